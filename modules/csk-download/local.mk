# modules/csk-download: CSK from the participating function to the client.
csk_download_sources = \
	modules/csk-download/csk_download.c \
	modules/csk-download/csk_download.h \
	modules/csk-download/csk_download_module.c
EXTRA_DIST += modules/csk-download/README

if MONOLITHIC
libsofia_mcx_all_la_SOURCES += $(csk_download_sources)
else
modules_LTLIBRARIES += csk-download.la
csk_download_la_SOURCES = $(csk_download_sources)
csk_download_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
csk_download_la_LIBADD = libsofia-mcx.la libmcx-core.la
endif

if HAVE_CMOCKA
check_PROGRAMS += test_csk_download
TESTS += test_csk_download
test_csk_download_SOURCES = modules/csk-download/test_csk_download.c \
	modules/test-host/test_host.c modules/test-host/test_host.h \
	$(csk_download_sources)
test_csk_download_CPPFLAGS = $(CORE_TEST_CPPFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
test_csk_download_LDADD = libmcx-host.la $(CORE_TEST_LIBS)
endif
