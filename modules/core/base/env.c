/* env.c -- the system as an environment: clock, getrandom, files, standard
 * error.  See mcx_env.h.  Nothing else in the core touches any of them. */
#include <config.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <sofia-mcx/mcx_env.h>
#include <sofia-mcx/mcx_secret.h>

static int64_t
clock_ms(clockid_t id)
{
    struct timespec ts = { 0 };

    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
sys_unix_ms(void *ctx)
{
    (void)ctx;
    return clock_ms(CLOCK_REALTIME);
}

static int64_t
sys_mono_ms(void *ctx)
{
    (void)ctx;
    return clock_ms(CLOCK_MONOTONIC);
}

static mcx_err
sys_random(void *ctx, void *out, size_t n)
{
    uint8_t *p = out;

    (void)ctx;
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return MCX_E_IO;
        }
        p += got;
        n -= (size_t)got;
    }
    return MCX_OK;
}

/* Grows by doubling up to 'max' and never trusts st_size: pipes have none.
 * Buffers that are left behind are wiped, for key files come this way. */
static mcx_err
sys_read_file(void *ctx, const char *path, size_t max, char **out, size_t *n)
{
    size_t room = 4096, have = 0;
    char *buf = malloc(room + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    mcx_err err = MCX_OK;

    (void)ctx;
    if (fd < 0 || !buf) {
        err = buf ? MCX_E_IO : MCX_E_NOMEM;
        goto out;
    }
    for (;;) {
        ssize_t got;

        if (have == room) {
            size_t more = room > max / 2 ? max + 1 : room * 2;
            char *bigger;

            if (room > max) {
                err = MCX_E_TOOBIG;
                goto out;
            }
            bigger = malloc(more + 1);
            if (!bigger) {
                err = MCX_E_NOMEM;
                goto out;
            }
            memcpy(bigger, buf, have);
            mcx_wipe(buf, have);
            free(buf);
            buf = bigger;
            room = more;
        }
        got = read(fd, buf + have, room - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            err = MCX_E_IO;
            goto out;
        }
        if (got == 0) {
            break;
        }
        have += (size_t)got;
    }
    if (have > max) {
        err = MCX_E_TOOBIG;
        goto out;
    }
    buf[have] = '\0';
    *out = buf;
    *n = have;
    buf = NULL;
out:
    if (fd >= 0) {
        (void)close(fd);
    }
    if (buf) {
        mcx_wipe(buf, have);
        free(buf);
    }
    return err;
}

static int
regular(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static mcx_err
sys_list_dir(void *ctx, const char *path,
             mcx_err (*each)(void *arg, const char *name), void *arg)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, regular, alphasort), i;
    mcx_err err = MCX_OK;

    (void)ctx;
    if (n < 0) {
        return errno == ENOMEM ? MCX_E_NOMEM : MCX_E_IO;
    }
    for (i = 0; i < n; i++) {
        if (err == MCX_OK) {
            char full[4096];
            struct stat st;
            int len = snprintf(full, sizeof full, "%s/%s", path,
                               list[i]->d_name);

            if (len > 0 && (size_t)len < sizeof full && stat(full, &st) == 0
                && S_ISREG(st.st_mode)) {
                err = each(arg, list[i]->d_name);
            }
        }
        free(list[i]);
    }
    free(list);
    return err;
}

static mcx_err
sys_write_file(void *ctx, const char *path, struct mcx_bytes data,
               unsigned mode)
{
    char temp[4096];
    size_t done = 0;
    int len = snprintf(temp, sizeof temp, "%s.XXXXXX", path), fd;
    bool down;

    (void)ctx;
    if (len < 0 || (size_t)len >= sizeof temp) {
        return MCX_E_TOOBIG;
    }
    fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        return MCX_E_IO;
    }
    while (done < data.n) {
        ssize_t put = write(fd, data.p + done, data.n - done);

        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            break;
        }
        done += (size_t)put;
    }
    down = done == data.n && fchmod(fd, (mode_t)mode) == 0 && fsync(fd) == 0;
    /* Closed once, whatever it says: the number may be another file's soon. */
    if (close(fd) != 0 || !down || rename(temp, path) != 0) {
        (void)unlink(temp);
        return MCX_E_IO;
    }
    return MCX_OK;
}

static void
sys_log(void *ctx, enum mcx_area area, int level, const char *line)
{
    (void)ctx;
    (void)level;
    (void)fprintf(stderr, "%s: %s\n", mcx_area_word(area), line);
}

static const struct mcx_env system_env = {
    .unix_ms = sys_unix_ms,
    .mono_ms = sys_mono_ms,
    .random = sys_random,
    .read_file = sys_read_file,
    .list_dir = sys_list_dir,
    .write_file = sys_write_file,
    .log = sys_log,
};

const struct mcx_env *
mcx_env_system(void)
{
    return &system_env;
}
