# test-scenarios/timing: the statistical timing test of everything that
# touches a secret.  Not in make check, for it is about a machine as much as
# about code; its statistics and a leak on purpose are (test_ttest), and so is
# that it is built and runs (test_timing.sh).
#   make check-timing [SAMPLES=n] [PROBES="name ..."]
# Each back-end's probes get its compiler flags, as its code does.
check_LTLIBRARIES += libtiming-portable.la libtiming-adx.la libtiming-ifma.la
TIMING_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/modules/core \
	$(CRYPTO_CFLAGS)
libtiming_portable_la_SOURCES = \
	test-scenarios/timing/field_be.h \
	test-scenarios/timing/field_portable.c
libtiming_portable_la_CPPFLAGS = $(TIMING_CPPFLAGS)
libtiming_adx_la_SOURCES = test-scenarios/timing/field_adx.c
libtiming_adx_la_CPPFLAGS = $(TIMING_CPPFLAGS)
libtiming_adx_la_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
libtiming_ifma_la_SOURCES = test-scenarios/timing/field_ifma.c
libtiming_ifma_la_CPPFLAGS = $(TIMING_CPPFLAGS)
libtiming_ifma_la_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
TIMING_LIBS = libtiming-portable.la
TIMING_CPUS = portable
if HAVE_X86
TIMING_LIBS += libtiming-adx.la libtiming-ifma.la
TIMING_CPUS += adx ifma
endif

check_PROGRAMS += timing
timing_SOURCES = \
	test-scenarios/timing/measure.c \
	test-scenarios/timing/timing.c \
	test-scenarios/timing/timing.h \
	test-scenarios/timing/ttest.c \
	test-scenarios/timing/ttest.h \
	test-scenarios/timing/whole.c
timing_CPPFLAGS = $(TIMING_CPPFLAGS)
timing_LDADD = $(TIMING_LIBS) libmcx-core-all.la

dist_noinst_SCRIPTS += test-scenarios/timing/check-timing \
	test-scenarios/timing/test_timing.sh
TESTS += test-scenarios/timing/test_timing.sh
check-timing: timing$(EXEEXT)
	@SAMPLES="$(SAMPLES)" PROBES="$(PROBES)" \
	    $(srcdir)/test-scenarios/timing/check-timing ./timing \
	    $(TIMING_CPUS)
.PHONY: check-timing
CLEANFILES += timing-portable.log timing-adx.log timing-ifma.log \
	timing-smoke.log

if HAVE_CMOCKA
check_PROGRAMS += test_ttest
TESTS += test_ttest
test_ttest_SOURCES = \
	test-scenarios/timing/measure.c \
	test-scenarios/timing/test_ttest.c \
	test-scenarios/timing/ttest.c
test_ttest_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_ttest_LDADD = $(CORE_TEST_LIBS)
endif
