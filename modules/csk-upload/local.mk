# modules/csk-upload: CSK from the client to the participating function.
csk_upload_sources = \
	modules/csk-upload/csk_server.c \
	modules/csk-upload/csk_upload.c \
	modules/csk-upload/csk_upload.h \
	modules/csk-upload/csk_upload_module.c
EXTRA_DIST += modules/csk-upload/README

if MONOLITHIC
libsofia_mcx_all_la_SOURCES += $(csk_upload_sources)
else
modules_LTLIBRARIES += csk-upload.la
csk_upload_la_SOURCES = $(csk_upload_sources)
csk_upload_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
csk_upload_la_LIBADD = libsofia-mcx.la libmcx-core.la
endif

if HAVE_CMOCKA
check_PROGRAMS += test_csk_upload
TESTS += test_csk_upload
test_csk_upload_SOURCES = modules/csk-upload/test_csk_upload.c \
	modules/test-host/test_host.c modules/test-host/test_host.h \
	$(csk_upload_sources)
test_csk_upload_CPPFLAGS = $(CORE_TEST_CPPFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
test_csk_upload_LDADD = libmcx-host.la $(CORE_TEST_LIBS)
endif
