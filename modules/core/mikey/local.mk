# modules/core/mikey: MIKEY messages.  Floor 2: sees base and ident's header.
libmcx_core_all_la_SOURCES += \
	modules/core/mikey/build.c \
	modules/core/mikey/dump.c \
	modules/core/mikey/guk.c \
	modules/core/mikey/inner.h \
	modules/core/mikey/keyparams.c \
	modules/core/mikey/mac.c \
	modules/core/mikey/mac.h \
	modules/core/mikey/open.c \
	modules/core/mikey/parse.c \
	modules/core/mikey/pl.c \
	modules/core/mikey/pl.h \
	modules/core/mikey/pl_ext.c \
	modules/core/mikey/pl_hdr.c \
	modules/core/mikey/pl_id.c \
	modules/core/mikey/pl_kemac.c \
	modules/core/mikey/pl_rand.c \
	modules/core/mikey/pl_sakke.c \
	modules/core/mikey/pl_sign.c \
	modules/core/mikey/pl_sp.c \
	modules/core/mikey/pl_t.c \
	modules/core/mikey/prf.c \
	modules/core/mikey/profile.c \
	modules/core/mikey/psk.c \
	modules/core/mikey/whom.c \
	modules/core/mikey/words.c

EXTRA_DIST += modules/core/mikey/README \
	test-scenarios/vectors/interop-vendors.txt \
	test-scenarios/vectors/mikey-prf-computed.txt \
	test-scenarios/vectors/mikey-psk-computed.txt \
	test-scenarios/vectors/mikey-sakke-computed.txt \
	test-scenarios/vectors/rfc4567-section-5.1-mikey.txt

if HAVE_CMOCKA
check_PROGRAMS += test_open test_parse test_prf test_psk
TESTS += test_open test_parse test_prf test_psk
test_open_SOURCES = modules/core/mikey/test_open.c \
	modules/core/mikey/test_env.h
test_open_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_open_LDADD = $(CORE_TEST_LIBS)
test_parse_SOURCES = modules/core/mikey/test_parse.c \
	modules/core/mikey/test_env.h
test_parse_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_parse_LDADD = $(CORE_TEST_LIBS)
test_prf_SOURCES = modules/core/mikey/test_prf.c
test_prf_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_prf_LDADD = $(CORE_TEST_LIBS)
test_psk_SOURCES = modules/core/mikey/test_psk.c \
	modules/core/mikey/test_env.h
test_psk_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_psk_LDADD = $(CORE_TEST_LIBS)
endif
