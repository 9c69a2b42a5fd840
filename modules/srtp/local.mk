# modules/srtp: SRTP sessions.  The only folder that sees libsrtp.
srtp_sources = \
	modules/srtp/srtp.c \
	modules/srtp/srtp.h \
	modules/srtp/srtp_module.c
EXTRA_DIST += modules/srtp/README \
	test-scenarios/vectors/srtp-handover-computed.txt

if MONOLITHIC
libsofia_mcx_all_la_SOURCES += $(srtp_sources)
libsofia_mcx_all_la_CPPFLAGS += $(SRTP_CFLAGS)
libsofia_mcx_all_la_LIBADD += $(SRTP_LIBS)
else
modules_LTLIBRARIES += srtp.la
srtp_la_SOURCES = $(srtp_sources)
srtp_la_CPPFLAGS = $(AM_CPPFLAGS) $(SRTP_CFLAGS)
srtp_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
srtp_la_LIBADD = libmcx-core.la $(SRTP_LIBS)
endif

if HAVE_CMOCKA
check_PROGRAMS += test_srtp
TESTS += test_srtp
test_srtp_SOURCES = modules/srtp/test_srtp.c $(srtp_sources)
test_srtp_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(SRTP_CFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
test_srtp_LDADD = $(CORE_TEST_LIBS) $(SRTP_LIBS)
endif
