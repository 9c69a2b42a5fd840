# test-scenarios: the peer that lies, the demo, the scenarios, the fuzz targets
noinst_PROGRAMS += mallory
mallory_SOURCES = test-scenarios/liar/mallory.c
mallory_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS)
mallory_LDADD = libmcx-core.la $(CRYPTO_LIBS)

EXTRA_DIST += \
	test-scenarios/lib.sh \
	test-scenarios/demo/demo.sh \
	test-scenarios/demo/ladder.awk

# The main job, end to end, as a ladder and a table of what was checked.
.PHONY: demo
demo: all
	@SRCDIR=$(abs_top_srcdir) BUILD=$(abs_top_builddir) WAV="$(WAV)" \
	    bash $(srcdir)/test-scenarios/demo/demo.sh

# What every test script gets.
AM_TESTS_ENVIRONMENT = SRCDIR=$(abs_top_srcdir) BUILD=$(abs_top_builddir) \
	FUZZ_TARGETS="$(FUZZ_TARGETS)"; export SRCDIR BUILD FUZZ_TARGETS;

include test-scenarios/fuzz/local.mk
include test-scenarios/sipp/local.mk
