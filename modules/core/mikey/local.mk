# modules/core/mikey: MIKEY messages.  Floor 2: sees base and ident's header.
libmcx_core_all_la_SOURCES += \
	modules/core/mikey/batch.c \
	modules/core/mikey/build.c \
	modules/core/mikey/dump.c \
	modules/core/mikey/gsk.c \
	modules/core/mikey/guk.c \
	modules/core/mikey/hand.c \
	modules/core/mikey/inner.h \
	modules/core/mikey/kemac_wrap.c \
	modules/core/mikey/keyparams.c \
	modules/core/mikey/kind_csk.c \
	modules/core/mikey/kind_gmk.c \
	modules/core/mikey/kind_gsk.c \
	modules/core/mikey/kind_mkfc.c \
	modules/core/mikey/kind_mscck.c \
	modules/core/mikey/kind_musik.c \
	modules/core/mikey/kind_pck.c \
	modules/core/mikey/kind_spk.c \
	modules/core/mikey/kinds.c \
	modules/core/mikey/kinds.def \
	modules/core/mikey/kinds.h \
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
	modules/core/mikey/words.c \
	modules/core/mikey/xpk.c

EXTRA_DIST += modules/core/mikey/README modules/ADD-A-KEY-TYPE \
	modules/ADD-A-PAYLOAD \
	test-scenarios/vectors/interop-vendors.txt \
	test-scenarios/vectors/mikey-prf-computed.txt \
	test-scenarios/vectors/mikey-psk-computed.txt \
	test-scenarios/vectors/mikey-sakke-computed.txt \
	test-scenarios/vectors/rfc3394-section-4.txt \
	test-scenarios/vectors/rfc4567-section-5.1-mikey.txt

# Speed of parsing; `make bench` of test-scenarios/bench may run it.
check_PROGRAMS += bench_mikey
bench_mikey_SOURCES = test-scenarios/bench/bench_mikey.c
bench_mikey_LDADD = libmcx-core-all.la

if HAVE_CMOCKA
MIKEY_TESTS = test_batch test_edges test_families test_gsk test_hand \
	test_kinds test_mikey_oom test_open test_open_many test_params \
	test_parse test_prf test_psk
check_PROGRAMS += $(MIKEY_TESTS)
TESTS += $(MIKEY_TESTS)
test_batch_SOURCES = modules/core/mikey/test_batch.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_world.h
test_batch_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_batch_LDADD = $(CORE_TEST_LIBS)
test_edges_SOURCES = modules/core/mikey/test_edges.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_world.h
test_edges_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_edges_LDADD = $(CORE_TEST_LIBS)
test_families_SOURCES = modules/core/mikey/test_families.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_world.h
test_families_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_families_LDADD = $(CORE_TEST_LIBS)
test_gsk_SOURCES = modules/core/mikey/test_gsk.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_world.h
test_gsk_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_gsk_LDADD = $(CORE_TEST_LIBS)
test_hand_SOURCES = modules/core/mikey/test_hand.c
test_hand_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_hand_LDADD = $(CORE_TEST_LIBS)
# A made-up kind, added as modules/ADD-A-KEY-TYPE says: a row and a file.
test_kinds_SOURCES = modules/core/mikey/test_kinds.c \
	modules/core/mikey/test_kinds.def \
	modules/core/mikey/kinds.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_kind_xtk.c \
	modules/core/mikey/test_world.h
test_kinds_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_TEST_KINDS
test_kinds_LDADD = $(CORE_TEST_LIBS)
test_mikey_oom_SOURCES = modules/core/mikey/test_mikey_oom.c \
	modules/core/mikey/test_env.h
test_mikey_oom_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(CRYPTO_CFLAGS)
test_mikey_oom_LDADD = $(CORE_TEST_LIBS)
test_mikey_oom_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc,--wrap=calloc,--wrap=free
test_open_SOURCES = modules/core/mikey/test_open.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_world.h
test_open_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_open_LDADD = $(CORE_TEST_LIBS)
test_open_many_SOURCES = modules/core/mikey/test_open_many.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_world.h
test_open_many_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_open_many_LDADD = $(CORE_TEST_LIBS)
test_params_SOURCES = modules/core/mikey/test_params.c \
	modules/core/mikey/test_env.h \
	modules/core/mikey/test_world.h
test_params_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_params_LDADD = $(CORE_TEST_LIBS)
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
