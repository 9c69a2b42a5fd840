# modules/keymgmt: the PCK of a private call in the SDP offer.
keymgmt_sources = \
	modules/keymgmt/keymgmt.c \
	modules/keymgmt/keymgmt.h \
	modules/keymgmt/keymgmt_module.c
EXTRA_DIST += modules/ADD-A-MODULE modules/keymgmt/README

if MONOLITHIC
libsofia_mcx_all_la_SOURCES += $(keymgmt_sources)
else
modules_LTLIBRARIES += keymgmt.la
keymgmt_la_SOURCES = $(keymgmt_sources)
keymgmt_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
keymgmt_la_LIBADD = libmcx-core.la
endif

if HAVE_CMOCKA
check_PROGRAMS += test_keymgmt
TESTS += test_keymgmt
test_keymgmt_SOURCES = modules/keymgmt/test_keymgmt.c \
	modules/test-host/test_host.c modules/test-host/test_host.h \
	$(keymgmt_sources)
test_keymgmt_CPPFLAGS = $(CORE_TEST_CPPFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
test_keymgmt_LDADD = libmcx-host.la $(CORE_TEST_LIBS)
endif
