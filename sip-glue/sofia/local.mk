# sip-glue/sofia

# ---- bodies and the offer/answer engine ----
libsofia_mcx_all_la_SOURCES += \
	sip-glue/sofia/engine.c \
	sip-glue/sofia/engine.h \
	sip-glue/sofia/guard.c \
	sip-glue/sofia/guard.h \
	sip-glue/sofia/mime.c \
	sip-glue/sofia/mime.h
if HAVE_CMOCKA
check_PROGRAMS += test_mime
TESTS += test_mime
test_mime_SOURCES = sip-glue/sofia/test_mime.c sip-glue/sofia/mime.c
test_mime_CPPFLAGS = $(GLUE_TEST_CPPFLAGS)
test_mime_LDADD = $(CORE_TEST_LIBS)
check_PROGRAMS += test_redirect
TESTS += test_redirect
test_kms = $(abs_top_srcdir)/test-scenarios/fuzz/corpus/xml/kms-kms.mcx.test.xml
test_redirect_SOURCES = sip-glue/sofia/test_redirect.c \
	sip-glue/sofia/redirect.c sip-glue/sofia/mime.c \
	sip-glue/sofia/tags.c sip-glue/host/counters.c
test_redirect_CPPFLAGS = $(GLUE_TEST_CPPFLAGS) -DTEST_KMS='"$(test_kms)"'
test_redirect_LDADD = $(CORE_TEST_LIBS) $(SOFIA_LIBS) -lcrypto
check_PROGRAMS += test_guard
TESTS += test_guard
test_guard_SOURCES = sip-glue/sofia/test_guard.c \
	sip-glue/sofia/test_wire.h sip-glue/sofia/guard.c \
	sip-glue/sofia/mime.c
test_guard_CPPFLAGS = $(GLUE_TEST_CPPFLAGS)
test_guard_LDADD = $(CORE_TEST_LIBS) $(SOFIA_LIBS)
check_PROGRAMS += test_engine
TESTS += test_engine
test_engine_SOURCES = sip-glue/sofia/test_engine.c \
	sip-glue/sofia/test_wire.h sip-glue/sofia/engine.c \
	sip-glue/sofia/guard.c sip-glue/sofia/mime.c sip-glue/sofia/tags.c
test_engine_CPPFLAGS = $(GLUE_TEST_CPPFLAGS)
test_engine_LDADD = $(CORE_TEST_LIBS) $(SOFIA_LIBS)
endif
# ---- end ----

# ---- the glue ----
libsofia_mcx_all_la_SOURCES += \
	sip-glue/sofia/body.c \
	sip-glue/sofia/call.c \
	sip-glue/sofia/call.h \
	sip-glue/sofia/call_in.c \
	sip-glue/sofia/glue.h \
	sip-glue/sofia/incoming.c \
	sip-glue/sofia/mcx.c \
	sip-glue/sofia/nua_events.c \
	sip-glue/sofia/outgoing.c \
	sip-glue/sofia/parked.c \
	sip-glue/sofia/redirect.c \
	sip-glue/sofia/refresh.c \
	sip-glue/sofia/report.c \
	sip-glue/sofia/request.c \
	sip-glue/sofia/su_post.c \
	sip-glue/sofia/su_post.h \
	sip-glue/sofia/su_sink.c \
	sip-glue/sofia/su_sink.h \
	sip-glue/sofia/tags.c \
	sip-glue/sofia/token.c
# ---- end of the glue ----

# ---- tests of the glue ----
if HAVE_CMOCKA
check_LTLIBRARIES += sip-glue/sofia/dbl.la
sip_glue_sofia_dbl_la_SOURCES = sip-glue/sofia/test_double.c \
	sip-glue/sofia/test_double.h
sip_glue_sofia_dbl_la_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sip-glue
sip_glue_sofia_dbl_la_LDFLAGS = $(test_module_ldflags)
sip_glue_sofia_dbl_la_LIBADD = libsofia-mcx.la libmcx-core.la
check_PROGRAMS += test_glue
TESTS += test_glue sip-glue/sofia/test_glue_single
dist_noinst_SCRIPTS += sip-glue/sofia/test_glue_single
test_glue_SOURCES = sip-glue/sofia/test_glue.c sip-glue/sofia/test_double.h
test_glue_CPPFLAGS = $(GLUE_TEST_CPPFLAGS) \
	-DTEST_MODULES='"$(abs_builddir)/sip-glue/sofia/.libs"'
test_glue_LDADD = libsofia-mcx.la libmcx-core.la $(SOFIA_LIBS) $(CMOCKA_LIBS)
endif
# ---- end ----
