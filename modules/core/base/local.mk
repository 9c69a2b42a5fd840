# modules/core/base: errors, views, secrets, environment, cursors.  Floor 0.
libmcx_core_all_la_SOURCES += \
	modules/core/base/bytes.c \
	modules/core/base/env.c \
	modules/core/base/err.c \
	modules/core/base/guard.c \
	modules/core/base/log.c \
	modules/core/base/rd.h \
	modules/core/base/secret.c \
	modules/core/base/time.c \
	modules/core/base/wr.h

if HAVE_CMOCKA
check_PROGRAMS += test_base
TESTS += test_base
test_base_SOURCES = modules/core/base/test_base.c
test_base_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_base_LDADD = $(CORE_TEST_LIBS)
endif
