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

# Unit tests under valgrind, and those with threads in a build with
# --enable-sanitize=thread.
UNIT_TESTS = $(filter test_%,$(check_PROGRAMS))
EACH_TEST = $(abs_top_srcdir)/test-scenarios/house/each-test
# Not under valgrind: three tests search memory that was never written for
# secrets, which is what valgrind reports; one measures time-outs on a wire; in
# one libxml2 leaks when it has no memory.
NOT_VALGRIND = test_ident_oom test_stack test_mikey_oom test_kms_https test_kms_sign_oom
.PHONY: check-valgrind check-threads check-call
check-valgrind: all
	@$(MAKE) $(check_PROGRAMS) $(check_LTLIBRARIES) >/dev/null
	@MCX_CPU=portable MCX_TEST_ROUNDS=10 $(EACH_TEST) 600 ./libtool --mode=execute valgrind \
	    -q --error-exitcode=9 --leak-check=full \
	    --errors-for-leak-kinds=definite -- $(filter-out $(NOT_VALGRIND),$(UNIT_TESTS))
check-threads: all
	@$(MAKE) $(check_PROGRAMS) >/dev/null
	@TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" \
	    $(EACH_TEST) 300 -- $(filter $(THREAD_TESTS),$(UNIT_TESTS))
# The call of two phones through the function, alone (monolithic builds).
check-call: all
	@$(MAKE) check TESTS="sip-glue/tools/test_call.sh"
THREAD_TESTS = test_pool test_ring test_replay test_store test_srtp \
	test_signers test_attack test_open_many

EXTRA_DIST += \
	test-scenarios/house/each-test \
	test-scenarios/house/install-packages

include test-scenarios/fuzz/local.mk
include test-scenarios/judges/local.mk
include test-scenarios/sipp/local.mk

# Logs, disk and memory of one run of the main job, searched for its secrets.
TESTS += test-scenarios/secrets/test_secrets.sh
EXTRA_DIST += test-scenarios/secrets/scan.pl \
	test-scenarios/secrets/unseal.pl \
	test-scenarios/secrets/test_secrets.sh

# 2,000 registrations and downloads; SOAK=n for another number.
.PHONY: soak
SOAK = 2000
soak: all
	@SRCDIR=$(abs_top_srcdir) BUILD=$(abs_top_builddir) \
	    bash $(srcdir)/test-scenarios/soak/soak.sh $(SOAK)
EXTRA_DIST += test-scenarios/soak/soak.sh

# Registrations a second at a function, one at a time and many at once.
.PHONY: storm-run
EXTRA_PROGRAMS += storm
storm_SOURCES = test-scenarios/soak/storm.c
storm_LDADD = libmcx-core.la
STORM = 2000
storm-run: all
	@$(MAKE) storm$(EXEEXT) >/dev/null
	@SRCDIR=$(abs_top_srcdir) BUILD=$(abs_top_builddir) \
	    bash $(srcdir)/test-scenarios/soak/storm.sh $(STORM)
EXTRA_DIST += test-scenarios/soak/storm.sh
