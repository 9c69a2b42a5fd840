# modules/store: keys over a restart.  The only folder that sees SQLite.
store_file_sources = \
	modules/store/store.h \
	modules/store/store_add.c \
	modules/store/store_db.c \
	modules/store/store_head.c \
	modules/store/store_log.c \
	modules/store/store_pack.c \
	modules/store/store_rekey.c \
	modules/store/store_row.c \
	modules/store/store_segment.c
store_sources = modules/store/store.c modules/store/store_module.c
EXTRA_DIST += include/sofia-mcx/mcx_store.h modules/store/README

# The file alone: for the module, for mcx-keys and for the tests.
noinst_LTLIBRARIES += libmcx-store.la
libmcx_store_la_SOURCES = $(store_file_sources)
libmcx_store_la_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
libmcx_store_la_LIBADD = $(SQLITE_LIBS)

if MONOLITHIC
libsofia_mcx_all_la_SOURCES += $(store_sources)
libsofia_mcx_all_la_CPPFLAGS += $(SQLITE_CFLAGS)
libsofia_mcx_all_la_LIBADD += libmcx-store.la
else
modules_LTLIBRARIES += store.la
store_la_SOURCES = $(store_sources)
store_la_CPPFLAGS = $(AM_CPPFLAGS) $(SQLITE_CFLAGS)
store_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -no-undefined
store_la_LIBADD = libmcx-store.la libmcx-core.la
endif

if HAVE_CMOCKA
store_tests = test_store test_store_edit test_store_many test_store_oom \
	test_store_power test_store_rekey
check_PROGRAMS += $(store_tests)
TESTS += $(store_tests)
store_test_cppflags = $(CORE_TEST_CPPFLAGS) $(SQLITE_CFLAGS)
store_test_libs = libmcx-store.la $(CORE_TEST_LIBS) $(SQLITE_LIBS)
test_store_SOURCES = modules/store/test_store.c modules/store/test_kit.h \
	modules/store/store.c
test_store_CPPFLAGS = $(store_test_cppflags)
test_store_LDADD = $(store_test_libs)
test_store_edit_SOURCES = modules/store/test_store_edit.c \
	modules/store/test_kit.h modules/store/store.c
test_store_edit_CPPFLAGS = $(store_test_cppflags)
test_store_edit_LDADD = $(store_test_libs)
test_store_rekey_SOURCES = modules/store/test_store_rekey.c \
	modules/store/test_kit.h modules/store/test_vfs.c \
	modules/store/test_vfs.h modules/store/store.c
test_store_rekey_CPPFLAGS = $(store_test_cppflags)
test_store_rekey_LDADD = $(store_test_libs)
test_store_many_SOURCES = modules/store/test_store_many.c \
	modules/store/test_kit.h modules/store/store.c
test_store_many_CPPFLAGS = $(store_test_cppflags)
test_store_many_LDADD = $(store_test_libs)
test_store_oom_SOURCES = modules/store/test_store_oom.c \
	modules/store/test_kit.h modules/store/store.c
test_store_oom_CPPFLAGS = $(store_test_cppflags)
test_store_oom_LDADD = $(store_test_libs)
test_store_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc \
	-Wl,--wrap=realloc
test_store_power_SOURCES = modules/store/test_store_power.c \
	modules/store/test_kit.h modules/store/test_vfs.c \
	modules/store/test_vfs.h modules/store/store.c
test_store_power_CPPFLAGS = $(store_test_cppflags)
test_store_power_LDADD = $(store_test_libs)
endif
