/* objects.h -- the objects of mcx_ident.h from inside, and the operations
 * below the public ones that only this folder and its tests call. */
#ifndef MCX_IDENT_OBJECTS_H
#define MCX_IDENT_OBJECTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sofia-mcx/mcx_ident.h>
#include "consts.h"
#include "p256_ops.h"
#include "peers.h"

/* Is 'id' one of the identifiers both algorithms take: 1 to 128 octets, as
 * an integer 2..q-1 (RFC 6508 2.2)? */
bool mcx_id_legal(struct mcx_bytes id);

struct mcx_kms_pub {
    atomic_uint refs;
    uint8_t z[MCX_SAKKE_PT_SIZE];
    uint8_t kpak[MCX_ECCSI_PT_SIZE];
    struct mcx_point_table *z_table; /* 832 KiB */
    _Atomic(void *) z_lines;         /* 310 to 430 KB, at the first RSK */
    struct mcx_peers *peers;
    struct mcx_p256_point kpak_point;
    struct mcx_p256_table *kpak_table; /* 148 KiB */
    struct mcx_signers *signers;
};

/* What opening is fast by; made at the first opening, or before. */
struct mcx_key_tables {
    _Atomic(void *) lines;                    /* of RSK, guarded         */
    _Atomic(struct mcx_point_table *) point;  /* of I, public; 832 KiB   */
};

/* The windows of KPAK's table and of an own Y's. */
enum { MCX_KPAK_W = 7, MCX_OWN_Y_W = 6 };

/* The secrets of one user key, in guarded memory. */
struct mcx_user_secret {
    struct mcx_rsk rsk;
    struct mcx_ssk ssk;
};

struct mcx_user_key {
    atomic_uint refs;
    struct mcx_kms_pub *pub;
    struct mcx_user_secret *secret;
    size_t id_n;
    uint8_t id[MCX_ID_MAX];
    uint8_t pvt[MCX_ECCSI_PT_SIZE];
    uint8_t hs[MCX_P256_SIZE];        /* public: RFC 6507 5.1.2 step 3  */
    uint8_t point[MCX_SAKKE_PT_SIZE]; /* I = [a]P + Z, public, of TEST  */
    struct mcx_key_tables made, *tables; /* == &made: filled by readers */
    struct mcx_p256_table *y_table;   /* of Y, public; 86 KiB           */
};

struct mcx_kms_master {
    struct mcx_kms_secret *secret; /* guarded */
    uint8_t z[MCX_SAKKE_PT_SIZE];
    uint8_t kpak[MCX_ECCSI_PT_SIZE];
};

/* r = HashToIntegerRange(SSV | id, q) (RFC 6508 5.1), 128 octets. */
mcx_err mcx_sakke_r(uint8_t r[MCX_FP_SIZE], const struct mcx_ssv *ssv,
                    struct mcx_bytes id) MCX_MUST_USE;
/* HashToIntegerRange(w, 2^128). */
mcx_err mcx_sakke_mask(uint8_t mask[MCX_SSV_SIZE],
                       const uint8_t w[MCX_FP_SIZE]) MCX_MUST_USE;

/* I = [a]P + Z of 'id', which is legal.  MCX_E_STATE: infinity. */
mcx_err mcx_sakke_identity(uint8_t point[MCX_SAKKE_PT_SIZE],
                           const struct mcx_kms_pub *pub,
                           struct mcx_bytes id) MCX_MUST_USE;

/* RFC 6508 6.1.2 for 'rsk' of 'id', which is legal, and the order of the
 * point, which the equation does not see.  MCX_E_MALFORMED: no point of order
 * q; MCX_E_AUTH: not of that identifier; MCX_E_NOMEM. */
mcx_err mcx_sakke_check_rsk(struct mcx_kms_pub *pub, struct mcx_bytes id,
                            const struct mcx_rsk *rsk) MCX_MUST_USE;

/* Signs with nonce 'j', 1..q-1.  MCX_E_STATE: take another. */
mcx_err mcx_eccsi_sign_with(uint8_t sig[MCX_ECCSI_SIG_SIZE],
                            const struct mcx_user_key *key,
                            struct mcx_bytes msg,
                            const uint8_t j[MCX_P256_SIZE]) MCX_MUST_USE;
/* Y = [HS]PVT + KPAK; false: infinity. */
bool mcx_eccsi_y(struct mcx_p256_point *y, const struct mcx_kms_pub *pub,
                 const struct mcx_p256_point *pvt,
                 const uint8_t hs[MCX_P256_SIZE]);
/* Y = [HS]PVT + KPAK and J = [s]([HE]G + [r]Y), whose x is compared with r;
 * 'j_out' (NULL allowed) receives J. */
mcx_err mcx_eccsi_verify_at(uint8_t j_out[MCX_ECCSI_PT_SIZE],
                            const struct mcx_kms_pub *pub,
                            struct mcx_bytes id, struct mcx_bytes msg,
                            struct mcx_bytes sig,
                            struct mcx_why *why) MCX_MUST_USE;

/* RSK = [(a + z)^-1]P.  MCX_E_ARG when a = -z, which nobody can make an
 * identifier to be without knowing z. */
mcx_err mcx_kms_rsk(struct mcx_rsk *rsk, const struct mcx_kms_master *master,
                    struct mcx_bytes id) MCX_MUST_USE;
/* The pair (SSK, PVT) made with 'v', 1..q-1.  MCX_E_STATE: take another. */
mcx_err mcx_kms_pair_with(struct mcx_ssk *ssk,
                          uint8_t pvt[MCX_ECCSI_PT_SIZE],
                          const struct mcx_kms_master *master,
                          struct mcx_bytes id,
                          const uint8_t v[MCX_P256_SIZE]) MCX_MUST_USE;

#endif /* MCX_IDENT_OBJECTS_H */
