/* test_host.h -- a host for the tests of modules: no SIP, no threads, a clock
 * that the test steps, a KMS made on the spot, and parties that hold user keys
 * of it.  Also the rows of bad messages that every judge must refuse.
 *
 * Used by the tests of keymgmt, csk-upload and csk-download only.  Failures
 * end the test (cmocka assertions). */
#ifndef TEST_HOST_H
#define TEST_HOST_H

#include <sofia-mcx/mcx_module.h>

#define TH_KMS "kms.mcx.test"
#define TH_PSI "sip:mcptt-pf@mcx.test"
#define TH_ALICE "sip:alice@mcx.test"
#define TH_BOB "sip:bob@mcx.test"
#define TH_MALLORY "sip:mallory@mcx.test"

enum { TH_PERIOD_S = 2592000, TH_ROOM = 8192, TH_STATE = 4096 };

/* One user agent or server. */
struct th {
    struct mcx_host host;
    struct mcx_env env;
    struct { char module[32], name[32], value[256]; } set[8];
    size_t n_set;
    unsigned peer_bits;
    struct { const char *name; unsigned n; } counter[16];
    size_t n_counters;
    char log[TH_ROOM]; /* every line, each with a line feed */
    const char *file;  /* what read_file gives; NULL: MCX_E_IO */
};

/* The world: clock and KMS, made by the first call.  The clock starts in the
 * middle of a key period. */
void th_world_new(void);
void th_world_free(void);
int64_t th_now(void);
void th_set_now(int64_t unix_ms);
void th_step(int64_t ms);
uint64_t th_period(void); /* of the clock */
int64_t th_period_start_ms(uint64_t no);

void th_new(struct th *t, enum mcx_role role, const char *self,
            const char *psi);
void th_free(struct th *t);
/* Gives 't' the user keys of 'uri' for period 'no'. */
void th_issue(struct th *t, const char *uri, uint64_t no);
void th_set_option(struct th *t, const char *module, const char *name,
                   const char *value);
unsigned th_counted(const struct th *t, const char *name);
/* Every key that is not wiped, with the traffic key of the CSK in use: two
 * equal texts mean that nothing has changed. */
void th_keys(struct th *t, char out[TH_STATE]);
/* TEK of 'key' under CS-ID 6 in hexadecimal. */
void th_tek(struct mcx_key *key, char out[2 * (MCX_TEK_MAX + MCX_SALT_MAX)
                                          + 1]);
/* mcx_keys_current(), which must be there; the caller unrefs. */
struct mcx_key *th_current(struct th *t, unsigned kind, const char *mc_id);

/* A message of somebody who holds all keys of the world. */
struct th_msg {
    uint8_t b[TH_ROOM];
    size_t n;
};
struct th_route {
    unsigned kind;
    const char *from, *to;
    const char *to_other; /* somebody else */
};
void th_build(struct th_msg *out, const struct mcx_build *how);
void th_good(struct th_msg *out, const struct th_route *route);
/* Signs again, as 'uri' in the present period. */
void th_sign(struct th_msg *m, const char *uri);

/* Bad messages: each of the rows must be refused by a judge that expects
 * 'route'.  'reason' MCX_R_NONE: any. */
struct th_bad {
    const char *name;
    mcx_reason reason;
    struct th_msg msg;
};
size_t th_bad_rows(void);
void th_bad_make(struct th_bad *out, size_t row,
                 const struct th_route *route);

#endif /* TEST_HOST_H */
