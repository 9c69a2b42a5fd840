# modules/csk-download: CSK from the participating function to the client.
csk_download_sources = \
	modules/csk-download/csk_download.c \
	modules/csk-download/csk_download.h \
	modules/csk-download/csk_download_module.c
EXTRA_DIST += modules/csk-download/README

if !MONOLITHIC
modules_LTLIBRARIES += csk-download.la
csk_download_la_SOURCES = $(csk_download_sources)
csk_download_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
csk_download_la_LIBADD = libsofia-mcx.la libmcx-core.la
endif
