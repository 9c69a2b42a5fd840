# sip-glue/kms-server: a KMS as a service; linked into mcx-kms and its tests.
noinst_LTLIBRARIES += libmcx-kms-server.la
libmcx_kms_server_la_SOURCES = \
	sip-glue/kms-server/answer.c \
	sip-glue/kms-server/answer.h \
	sip-glue/kms-server/certs.c \
	sip-glue/kms-server/certs.h \
	sip-glue/kms-server/domain.c \
	sip-glue/kms-server/domain.h \
	sip-glue/kms-server/http.c \
	sip-glue/kms-server/http.h \
	sip-glue/kms-server/protect.c \
	sip-glue/kms-server/protect.h \
	sip-glue/kms-server/store.c \
	sip-glue/kms-server/store.h \
	sip-glue/kms-server/store_pg.c \
	sip-glue/kms-server/store_sqlite.c \
	sip-glue/kms-server/token.c \
	sip-glue/kms-server/token.h
libmcx_kms_server_la_CPPFLAGS = $(AM_CPPFLAGS) $(KMS_SERVER_CFLAGS) \
	$(SQLITE_CFLAGS)
libmcx_kms_server_la_LIBADD = libmcx-core.la $(KMS_SERVER_LIBS) $(SQLITE_LIBS)
EXTRA_DIST += sip-glue/kms-server/README sip-glue/kms-server/kms.xsd

if HAVE_CMOCKA
check_PROGRAMS += test_token
TESTS += test_token
test_token_SOURCES = sip-glue/kms-server/test_token.c
test_token_CPPFLAGS = $(AM_CPPFLAGS) $(KMS_SERVER_CFLAGS) $(CMOCKA_CFLAGS)
test_token_LDADD = libmcx-kms-server.la $(CMOCKA_LIBS)
endif

# Linked to the objects themselves, whose allocations are to fail.
if HAVE_CMOCKA
check_PROGRAMS += test_kms_oom
TESTS += test_kms_oom
test_kms_oom_SOURCES = sip-glue/kms-server/test_kms_oom.c \
	$(libmcx_kms_server_la_SOURCES)
test_kms_oom_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(KMS_SERVER_CFLAGS) \
	$(SQLITE_CFLAGS)
test_kms_oom_LDADD = $(CORE_TEST_LIBS) $(KMS_SERVER_LIBS) $(SQLITE_LIBS)
test_kms_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc \
	-Wl,--wrap=realloc
endif

# What one user's keys cost: `make kms-speed-run`.
noinst_PROGRAMS += kms-speed
kms_speed_SOURCES = sip-glue/kms-server/kms_speed.c
kms_speed_LDADD = libmcx-core.la
EXTRA_DIST += sip-glue/kms-server/kms_speed.sh
.PHONY: kms-speed-run
kms-speed-run: all
	@$(srcdir)/sip-glue/kms-server/kms_speed.sh
