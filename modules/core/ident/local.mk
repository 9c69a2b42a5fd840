# modules/core/ident: SAKKE (on core/field, core/curve), ECCSI, UID, key
# periods.  Floor 1.
libmcx_core_all_la_SOURCES += \
	modules/core/ident/consts.c \
	modules/core/ident/consts.h \
	modules/core/ident/eccsi.c \
	modules/core/ident/hash.c \
	modules/core/ident/hash.h \
	modules/core/ident/kms_master.c \
	modules/core/ident/kms_pub.c \
	modules/core/ident/objects.h \
	modules/core/ident/p256.c \
	modules/core/ident/p256.h \
	modules/core/ident/p256_body.h \
	modules/core/ident/p256_fe.h \
	modules/core/ident/p256_inv.h \
	modules/core/ident/p256_lanes.h \
	modules/core/ident/p256_ops.h \
	modules/core/ident/p256_portable.c \
	modules/core/ident/peers.c \
	modules/core/ident/peers.h \
	modules/core/ident/period.c \
	modules/core/ident/sakke.c \
	modules/core/ident/selftest.c \
	modules/core/ident/shared.c \
	modules/core/ident/shared.h \
	modules/core/ident/signers.c \
	modules/core/ident/signers.h \
	modules/core/ident/uid.c \
	modules/core/ident/user_key.c

EXTRA_DIST += modules/core/ident/p256_adx.c modules/core/ident/p256_ifma.c
if HAVE_X86
noinst_LTLIBRARIES += libp256-adx.la
libp256_adx_la_SOURCES = modules/core/ident/p256_adx.c
libp256_adx_la_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
noinst_LTLIBRARIES += libp256-ifma.la
libp256_ifma_la_SOURCES = modules/core/ident/p256_ifma.c
libp256_ifma_la_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
libmcx_core_all_la_LIBADD += libp256-adx.la libp256-ifma.la
endif

if HAVE_CMOCKA
# SAKKE's arithmetic on BIGNUM, against which the tests hold ours.
check_LTLIBRARIES += libident-ref.la
libident_ref_la_SOURCES = \
	modules/core/ident/ref_curve.c modules/core/ident/ref_curve.h \
	modules/core/ident/ref_fp.c modules/core/ident/ref_fp.h \
	modules/core/ident/ref_pairing.c modules/core/ident/ref_pairing.h
libident_ref_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
IDENT_TEST_LIBS = libident-ref.la $(CORE_TEST_LIBS)
IDENT_TESTS = test_ident_math test_sakke test_eccsi test_ident_keys \
	test_uid test_ident_oom test_peers test_p256 test_signers \
	test_fallback test_attack test_stack test_p256_bounds
IDENT_TESTS += test_fe256_portable
if HAVE_X86
IDENT_TESTS += test_fe256_adx test_lanes256
test_fe256_adx_SOURCES = modules/core/ident/test_fe256_adx.c
test_fe256_adx_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_fe256_adx_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
test_fe256_adx_LDADD = $(CORE_TEST_LIBS)
test_lanes256_SOURCES = modules/core/ident/test_lanes256.c
test_lanes256_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_lanes256_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
test_lanes256_LDADD = $(CORE_TEST_LIBS)
endif
test_fe256_portable_SOURCES = modules/core/ident/test_fe256_portable.c \
	modules/core/ident/test_fe256.h
test_fe256_portable_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_fe256_portable_LDADD = $(CORE_TEST_LIBS)
check_PROGRAMS += $(IDENT_TESTS)
TESTS += $(IDENT_TESTS)
IDENT_TEST_CPPFLAGS = $(CORE_TEST_CPPFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
test_sakke_SOURCES = modules/core/ident/test_sakke.c \
	modules/core/ident/test_kit.h
test_sakke_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_sakke_LDADD = $(IDENT_TEST_LIBS)
test_eccsi_SOURCES = modules/core/ident/test_eccsi.c \
	modules/core/ident/test_kit.h
test_eccsi_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_eccsi_LDADD = $(IDENT_TEST_LIBS)
test_p256_SOURCES = modules/core/ident/test_p256.c \
	modules/core/ident/test_kit.h
test_p256_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_p256_LDADD = $(IDENT_TEST_LIBS)
# The same over lanes that assert the bounds they state.
if HAVE_X86
check_LTLIBRARIES += libp256-ifma-bounds.la
libp256_ifma_bounds_la_SOURCES = modules/core/ident/p256_ifma.c
libp256_ifma_bounds_la_CPPFLAGS = $(AM_CPPFLAGS) -DMCX_DEBUG_BOUNDS
libp256_ifma_bounds_la_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
P256_BOUNDS_LIBS = libp256-ifma-bounds.la
endif
test_p256_bounds_SOURCES = $(test_p256_SOURCES)
test_p256_bounds_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_p256_bounds_LDADD = $(P256_BOUNDS_LIBS) $(IDENT_TEST_LIBS)
test_signers_SOURCES = modules/core/ident/test_signers.c \
	modules/core/ident/test_kit.h
test_signers_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_signers_LDADD = $(IDENT_TEST_LIBS)
test_uid_SOURCES = modules/core/ident/test_uid.c \
	modules/core/ident/test_kit.h
test_uid_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_uid_LDADD = $(CORE_TEST_LIBS)
test_ident_math_SOURCES = modules/core/ident/test_ident_math.c \
	modules/core/ident/test_kit.h
test_ident_math_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_ident_math_LDADD = $(IDENT_TEST_LIBS)
test_ident_keys_SOURCES = modules/core/ident/test_ident_keys.c \
	modules/core/ident/test_kit.h
test_ident_keys_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_ident_keys_LDADD = $(IDENT_TEST_LIBS)
test_fallback_SOURCES = modules/core/ident/test_fallback.c \
	modules/core/ident/test_kit.h
test_fallback_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_fallback_LDADD = $(IDENT_TEST_LIBS)
test_fallback_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=mcx_ops,--wrap=mcx_ops_fall_back
test_attack_SOURCES = modules/core/ident/test_attack.c \
	modules/core/ident/test_kit.h
test_attack_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_attack_LDADD = $(IDENT_TEST_LIBS)
test_attack_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=mcx_eccsi_hs,--wrap=mcx_eccsi_he
test_stack_SOURCES = modules/core/ident/test_stack.c \
	modules/core/ident/test_kit.h
test_stack_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_stack_LDADD = $(IDENT_TEST_LIBS)
test_stack_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=free
test_peers_SOURCES = modules/core/ident/test_peers.c \
	modules/core/ident/test_kit.h
test_peers_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_peers_LDADD = $(IDENT_TEST_LIBS)
test_ident_oom_SOURCES = modules/core/ident/test_ident_oom.c \
	modules/core/ident/test_kit.h
test_ident_oom_CPPFLAGS = $(IDENT_TEST_CPPFLAGS)
test_ident_oom_LDADD = $(IDENT_TEST_LIBS)
test_ident_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc
if HAVE_WOLFSSL
check_PROGRAMS += test_wolfssl
TESTS += test_wolfssl
test_wolfssl_SOURCES = modules/core/ident/test_wolfssl.c
test_wolfssl_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(WOLFSSL_CFLAGS)
test_wolfssl_LDADD = $(CORE_TEST_LIBS) $(WOLFSSL_LIBS)
endif
endif

EXTRA_DIST += \
	test-scenarios/vectors/vec.h \
	test-scenarios/vectors/interop-streamwide-mikey-sakke.txt \
	test-scenarios/vectors/rfc6507-appendix-a.txt \
	test-scenarios/vectors/rfc6508-appendix-a.txt \
	test-scenarios/vectors/rfc6509-parameter-set-1.txt \
	test-scenarios/vectors/uid-ts-33180-f2.txt
