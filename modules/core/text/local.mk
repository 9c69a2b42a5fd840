# modules/core/text: the SDP attribute and the configuration syntax.  Floor 4.
libmcx_core_all_la_SOURCES += \
	modules/core/text/config.c \
	modules/core/text/keymgmt_attr.c
