# modules/kms: identity keys from a KMS.  The only folder that sees libcurl.
kms_sources = \
	modules/kms/kms.c \
	modules/kms/kms.h \
	modules/kms/kms_ask.c \
	modules/kms/kms_find.c \
	modules/kms/kms_http.c \
	modules/kms/kms_module.c \
	modules/kms/kms_plan.c \
	modules/kms/kms_sec.c \
	modules/kms/kms_seen.c \
	modules/kms/kms_start.c \
	modules/kms/kms_state.h \
	modules/kms/kms_store.c
EXTRA_DIST += modules/kms/README

if MONOLITHIC
libsofia_mcx_all_la_SOURCES += $(kms_sources)
libsofia_mcx_all_la_CPPFLAGS += $(CURL_CFLAGS)
libsofia_mcx_all_la_LIBADD += $(CURL_LIBS) -lssl
else
modules_LTLIBRARIES += kms.la
kms_la_SOURCES = $(kms_sources)
kms_la_CPPFLAGS = $(AM_CPPFLAGS) $(CURL_CFLAGS)
kms_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
kms_la_LIBADD = libmcx-core.la $(CURL_LIBS) -lssl
endif

if HAVE_CMOCKA
check_PROGRAMS += test_kms_life test_kms_https test_kms_sec
TESTS += test_kms_life test_kms_https test_kms_sec modules/kms/test_kms_live.sh
dist_noinst_SCRIPTS += modules/kms/test_kms_live.sh
test_kms_https_SOURCES = modules/kms/test_kms_https.c \
	modules/kms/test_kms_kit.c modules/kms/test_kms_kit.h $(kms_sources)
test_kms_https_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(CURL_CFLAGS)
test_kms_https_LDADD = $(CORE_TEST_LIBS) $(CURL_LIBS) -lssl -lcrypto
test_kms_sec_SOURCES = modules/kms/test_kms_sec.c \
	modules/kms/test_kms_kit.c modules/kms/test_kms_kit.h $(kms_sources)
test_kms_sec_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(CURL_CFLAGS)
test_kms_sec_LDADD = $(CORE_TEST_LIBS) $(CURL_LIBS) -lssl
test_kms_life_SOURCES = modules/kms/test_kms_life.c \
	modules/kms/test_kms_kit.c modules/kms/test_kms_kit.h $(kms_sources)
test_kms_life_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(CURL_CFLAGS)
test_kms_life_LDADD = $(CORE_TEST_LIBS) $(CURL_LIBS) -lssl
check_PROGRAMS += test_kms_fleet
TESTS += test_kms_fleet
test_kms_fleet_SOURCES = modules/kms/test_kms_fleet.c \
	modules/kms/test_kms_kit.c modules/kms/test_kms_kit.h $(kms_sources)
test_kms_fleet_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(CURL_CFLAGS)
test_kms_fleet_LDADD = $(CORE_TEST_LIBS) $(CURL_LIBS) -lssl

# The same day for USERS clients; half an hour on one core with 10,000.
.PHONY: kms-fleet
USERS = 10000
kms-fleet: test_kms_fleet$(EXEEXT)
	MCX_FLEET_USERS=$(USERS) ./test_kms_fleet$(EXEEXT)
endif
