# modules/csk-upload: CSK from the client to the participating function.
csk_upload_sources = \
	modules/csk-upload/csk_server.c \
	modules/csk-upload/csk_upload.c \
	modules/csk-upload/csk_upload.h \
	modules/csk-upload/csk_upload_module.c
EXTRA_DIST += modules/csk-upload/README

if !MONOLITHIC
modules_LTLIBRARIES += csk-upload.la
csk_upload_la_SOURCES = $(csk_upload_sources)
csk_upload_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
csk_upload_la_LIBADD = libsofia-mcx.la libmcx-core.la
endif
