# modules/core/text: the SDP attribute and the configuration syntax.  Floor 4.
libmcx_core_all_la_SOURCES += \
	modules/core/text/config.c \
	modules/core/text/keymgmt_attr.c

if HAVE_CMOCKA
check_PROGRAMS += test_config test_keymgmt_attr
TESTS += test_config test_keymgmt_attr
test_config_SOURCES = modules/core/text/test_config.c
test_config_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_config_LDADD = $(CORE_TEST_LIBS)
test_keymgmt_attr_SOURCES = modules/core/text/test_keymgmt_attr.c
test_keymgmt_attr_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_keymgmt_attr_LDADD = $(CORE_TEST_LIBS)
endif
