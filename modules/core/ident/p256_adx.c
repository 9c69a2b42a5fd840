/* p256_adx.c -- P-256 with mulx, adcx and adox. */
#include <config.h>
#define MCX_P256_ADX
#define MCX_P256_NAME "adx"
#define MCX_P256_OPS mcx_p256_adx
#include "p256_body.h"
