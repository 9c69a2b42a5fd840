# modules/keymgmt: the PCK of a private call in the SDP offer.
keymgmt_sources = \
	modules/keymgmt/keymgmt.c \
	modules/keymgmt/keymgmt.h \
	modules/keymgmt/keymgmt_module.c
EXTRA_DIST += modules/keymgmt/README

if !MONOLITHIC
modules_LTLIBRARIES += keymgmt.la
keymgmt_la_SOURCES = $(keymgmt_sources)
keymgmt_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
keymgmt_la_LIBADD = libmcx-core.la
endif
