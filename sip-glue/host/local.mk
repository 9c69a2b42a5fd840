# sip-glue/host: modules, workers, counters.  No sofia-sip.
libmcx_host_la_SOURCES += \
	sip-glue/host/counters.c \
	sip-glue/host/counters.h \
	sip-glue/host/features.c \
	sip-glue/host/features.h \
	sip-glue/host/host.c \
	sip-glue/host/host.h \
	sip-glue/host/loader.c \
	sip-glue/host/loader.h \
	sip-glue/host/options.c \
	sip-glue/host/options.h \
	sip-glue/host/out.c \
	sip-glue/host/pool.c \
	sip-glue/host/pool.h \
	sip-glue/host/static_modules.c

# Modules that are wrong in one way each.  -rpath makes libtool build a shared
# object of what is not installed.
if HAVE_CMOCKA
test_module_ldflags = $(AM_LDFLAGS) -module -avoid-version -shared \
	-rpath /nonexistent
check_LTLIBRARIES += sip-glue/host/t-base.la
sip_glue_host_t_base_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_base_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_base \
	-DTM_NAME='"t-base"' -DTM_PROVIDES='"t.base"'
sip_glue_host_t_base_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-abi.la
sip_glue_host_t_abi_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_abi_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_abi \
	-DTM_NAME='"t-abi"' -DTM_ABI
sip_glue_host_t_abi_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-size.la
sip_glue_host_t_size_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_size_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_size \
	-DTM_NAME='"t-size"' -DTM_SIZE
sip_glue_host_t_size_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-version.la
sip_glue_host_t_version_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_version_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_version \
	-DTM_NAME='"t-version"' -DTM_VERSION
sip_glue_host_t_version_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-sofia.la
sip_glue_host_t_sofia_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_sofia_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_sofia \
	-DTM_NAME='"t-sofia"' -DTM_SOFIA
sip_glue_host_t_sofia_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-name.la
sip_glue_host_t_name_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_name_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_name \
	-DTM_NAME='"t-name"' -DTM_OTHER_NAME
sip_glue_host_t_name_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-nosym.la
sip_glue_host_t_nosym_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_nosym_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_nosym \
	-DTM_NAME='"t-nosym"' -DTM_NO_SYMBOL
sip_glue_host_t_nosym_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-user.la
sip_glue_host_t_user_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_user_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_user \
	-DTM_NAME='"t-user"' -DTM_NEEDS='"t.base"' -DTM_PROVIDES='"t.user"'
sip_glue_host_t_user_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-wanter.la
sip_glue_host_t_wanter_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_wanter_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_wanter \
	-DTM_NAME='"t-wanter"' -DTM_WANTS='"t.user"'
sip_glue_host_t_wanter_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-circle-a.la
sip_glue_host_t_circle_a_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_circle_a_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_circle_a \
	-DTM_NAME='"t-circle-a"' -DTM_NEEDS='"t.b"' -DTM_PROVIDES='"t.a"'
sip_glue_host_t_circle_a_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-circle-b.la
sip_glue_host_t_circle_b_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_circle_b_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_circle_b \
	-DTM_NAME='"t-circle-b"' -DTM_NEEDS='"t.a"' -DTM_PROVIDES='"t.b"'
sip_glue_host_t_circle_b_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-polite-a.la
sip_glue_host_t_polite_a_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_polite_a_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_polite_a \
	-DTM_NAME='"t-polite-a"' -DTM_WANTS='"t.b"' -DTM_PROVIDES='"t.a"'
sip_glue_host_t_polite_a_la_LDFLAGS = $(test_module_ldflags)
check_LTLIBRARIES += sip-glue/host/t-polite-b.la
sip_glue_host_t_polite_b_la_SOURCES = sip-glue/host/test_module.c
sip_glue_host_t_polite_b_la_CPPFLAGS = $(AM_CPPFLAGS) -DTM_IDENT=t_polite_b \
	-DTM_NAME='"t-polite-b"' -DTM_WANTS='"t.a"' -DTM_PROVIDES='"t.b"'
sip_glue_host_t_polite_b_la_LDFLAGS = $(test_module_ldflags)

check_PROGRAMS += test_host test_pool
TESTS += test_host test_pool
test_host_SOURCES = sip-glue/host/test_host.c
test_host_CPPFLAGS = $(GLUE_TEST_CPPFLAGS) \
	-DTEST_MODULES='"$(abs_builddir)/sip-glue/host/.libs"'
test_host_LDADD = libmcx-host.la $(CORE_TEST_LIBS)
test_pool_SOURCES = sip-glue/host/test_pool.c
test_pool_CPPFLAGS = $(GLUE_TEST_CPPFLAGS)
test_pool_LDADD = libmcx-host.la $(CORE_TEST_LIBS)
endif
