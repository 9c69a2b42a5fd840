# sip-glue/tools
# ---- mcx-kms, mcx-mikey: the core only, no SIP library.
bin_PROGRAMS += mcx-kms mcx-mikey
mcx_kms_SOURCES = \
	sip-glue/tools/cli.c \
	sip-glue/tools/cli.h \
	sip-glue/tools/kms_cmd.c \
	sip-glue/tools/kms_cmd.h \
	sip-glue/tools/kms_serve.c \
	sip-glue/tools/mcx-kms.c
mcx_kms_LDADD = libmcx-kms-server.la libmcx-core.la
mcx_mikey_SOURCES = \
	sip-glue/tools/cli.c \
	sip-glue/tools/cli.h \
	sip-glue/tools/input.c \
	sip-glue/tools/input.h \
	sip-glue/tools/mcx-mikey.c \
	sip-glue/tools/mikey.h \
	sip-glue/tools/mikey_build.c \
	sip-glue/tools/mikey_inspect.c \
	sip-glue/tools/mikey_open.c
mcx_mikey_LDADD = libmcx-core.la
dist_man1_MANS += sip-glue/tools/mcx-kms.1 sip-glue/tools/mcx-mikey.1
dist_noinst_SCRIPTS += sip-glue/tools/test_tools.sh \
	sip-glue/tools/test_mikey_kinds.sh \
	sip-glue/tools/test_kms_attack.sh \
	sip-glue/tools/test_kms_pg.sh sip-glue/tools/test_kms_proxy.sh \
	sip-glue/tools/test_kms_sec.sh sip-glue/tools/test_kms_serve.sh
TESTS += sip-glue/tools/test_tools.sh sip-glue/tools/test_mikey_kinds.sh \
	sip-glue/tools/test_kms_attack.sh sip-glue/tools/test_kms_proxy.sh \
	sip-glue/tools/test_kms_sec.sh sip-glue/tools/test_kms_serve.sh \
	sip-glue/tools/test_kms_pg.sh
# ---- end of mcx-kms, mcx-mikey

# ---- transport keys, and two servers over one PostgreSQL.
dist_noinst_SCRIPTS += sip-glue/tools/test_kms_pg_sec.sh
TESTS += sip-glue/tools/test_kms_pg_sec.sh

# ---- mcx.conf(5) and the settings that there are.
dist_noinst_SCRIPTS += sip-glue/tools/test_man.pl
TESTS += sip-glue/tools/test_man.pl

# ---- mcx-keys: the core and the store's file.
bin_PROGRAMS += mcx-keys
mcx_keys_SOURCES = \
	sip-glue/tools/cli.c \
	sip-glue/tools/cli.h \
	sip-glue/tools/mcx-keys.c
mcx_keys_LDADD = libmcx-store.la libmcx-core.la
dist_man1_MANS += sip-glue/tools/mcx-keys.1
# ---- end of mcx-keys

# ---- mcx-ua and mcx-pf --------------------------------------------------
APP_CPPFLAGS = $(AM_CPPFLAGS) $(SOFIA_CFLAGS)
APP_LIBS = libsofia-mcx.la libmcx-core.la $(SOFIA_LIBS)
app_sources = \
	sip-glue/tools/app_config.c \
	sip-glue/tools/app_config.h \
	sip-glue/tools/app_mcx.c \
	sip-glue/tools/app_mcx.h \
	sip-glue/tools/control.c \
	sip-glue/tools/control.h \
	sip-glue/tools/events.c \
	sip-glue/tools/events.h

bin_PROGRAMS += mcx-ua mcx-pf
mcx_ua_SOURCES = $(app_sources) \
	sip-glue/tools/media.c \
	sip-glue/tools/media.h \
	sip-glue/tools/rtp.c \
	sip-glue/tools/rtp.h \
	sip-glue/tools/ua.h \
	sip-glue/tools/ua_call.c \
	sip-glue/tools/ua_main.c \
	sip-glue/tools/ua_sdp.c \
	sip-glue/tools/ua_sdp.h \
	sip-glue/tools/ua_sip.c \
	sip-glue/tools/ulaw.c \
	sip-glue/tools/ulaw.h \
	sip-glue/tools/wav.c \
	sip-glue/tools/wav.h
mcx_ua_CPPFLAGS = $(APP_CPPFLAGS)
mcx_ua_LDADD = $(APP_LIBS)
mcx_pf_SOURCES = $(app_sources) \
	sip-glue/tools/pf.h \
	sip-glue/tools/pf_call.c \
	sip-glue/tools/pf_main.c \
	sip-glue/tools/pf_reg.c \
	sip-glue/tools/pf_reg.h \
	sip-glue/tools/pf_sip.c
mcx_pf_CPPFLAGS = $(APP_CPPFLAGS)
mcx_pf_LDADD = $(APP_LIBS)
dist_man1_MANS += sip-glue/tools/mcx-ua.1 sip-glue/tools/mcx-pf.1
dist_man5_MANS += sip-glue/tools/mcx.conf.5

# The example: an existing phone with three changed lines.
noinst_PROGRAMS += tiny-phone
tiny_phone_SOURCES = sip-glue/tools/tiny-phone.c
tiny_phone_CPPFLAGS = $(APP_CPPFLAGS)
tiny_phone_LDADD = $(APP_LIBS)

# The demo wants it too, and builds no tests.
noinst_PROGRAMS += wavcmp
wavcmp_SOURCES = \
	sip-glue/tools/ulaw.c \
	sip-glue/tools/wav.c \
	sip-glue/tools/wavcmp.c
wavcmp_LDADD = libmcx-core.la
TESTS += sip-glue/tools/test_call.sh sip-glue/tools/test_monthly.sh
EXTRA_DIST += sip-glue/tools/test_call.sh sip-glue/tools/test_monthly.sh

if HAVE_CMOCKA
APP_TEST_CPPFLAGS = $(APP_CPPFLAGS) $(CMOCKA_CFLAGS)
APP_TEST_LIBS = libmcx-core-all.la $(CMOCKA_LIBS)
app_tests = test_ulaw test_wav test_rtp test_events test_pf_reg \
	test_app_config
check_PROGRAMS += $(app_tests)
TESTS += $(app_tests)
test_ulaw_SOURCES = sip-glue/tools/test_ulaw.c sip-glue/tools/ulaw.c
test_ulaw_CPPFLAGS = $(APP_TEST_CPPFLAGS)
test_ulaw_LDADD = $(APP_TEST_LIBS)
test_wav_SOURCES = sip-glue/tools/test_wav.c sip-glue/tools/wav.c
test_wav_CPPFLAGS = $(APP_TEST_CPPFLAGS)
test_wav_LDADD = $(APP_TEST_LIBS)
test_rtp_SOURCES = sip-glue/tools/test_rtp.c sip-glue/tools/rtp.c \
	sip-glue/tools/ulaw.c
test_rtp_CPPFLAGS = $(APP_TEST_CPPFLAGS)
test_rtp_LDADD = $(APP_TEST_LIBS)
test_events_SOURCES = sip-glue/tools/test_events.c sip-glue/tools/events.c
test_events_CPPFLAGS = $(APP_TEST_CPPFLAGS)
test_events_LDADD = $(APP_TEST_LIBS)
test_pf_reg_SOURCES = sip-glue/tools/test_pf_reg.c sip-glue/tools/pf_reg.c
test_pf_reg_CPPFLAGS = $(APP_TEST_CPPFLAGS)
test_pf_reg_LDADD = $(APP_TEST_LIBS)
test_app_config_SOURCES = sip-glue/tools/test_app_config.c \
	sip-glue/tools/app_config.c sip-glue/tools/control.c \
	sip-glue/tools/events.c sip-glue/sofia/tags.c
test_app_config_CPPFLAGS = $(APP_TEST_CPPFLAGS)
test_app_config_LDADD = $(APP_TEST_LIBS) $(SOFIA_LIBS)
endif
# ---- end of mcx-ua and mcx-pf
