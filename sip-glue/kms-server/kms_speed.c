/* kms_speed.c -- CPU time of issuing one key set, for kms_speed.sh, which
 * compares it with what the whole server takes.  Arithmetic only: no file, no
 * network. */
#include <config.h>
#include <stdio.h>
#include <time.h>
#include <sofia-mcx/mcx.h>

enum { N = 200 };

static double
cpu_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

int
main(void)
{
    const struct mcx_env *env = mcx_env_system();
    MCX_SECRET(mcx_rsk, rsk);
    MCX_SECRET(mcx_ssk, ssk);
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    struct mcx_kms_master *master = NULL;
    struct mcx_uid uid;
    double began;
    int i;

    if (mcx_kms_master_new(&master, NULL, env) != MCX_OK) {
        return 1;
    }
    began = cpu_ms();
    for (i = 0; i < N; i++) {
        if (env->random(env->ctx, uid.b, sizeof uid.b) != MCX_OK
            || mcx_kms_master_issue(master, mcx_bytes(uid.b, sizeof uid.b),
                                    &rsk, &ssk, pvt, env) != MCX_OK) {
            mcx_kms_master_free(master);
            return 1;
        }
    }
    (void)printf("%.3f\n", (cpu_ms() - began) / N);
    mcx_kms_master_free(master);
    return 0;
}
