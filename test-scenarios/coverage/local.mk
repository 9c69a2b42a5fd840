# test-scenarios/coverage: which lines of the codec the unit tests and the
# corpus reach.  `make coverage` builds for gcov in a folder of its own.
EXTRA_DIST += test-scenarios/coverage/coverage.pl \
	test-scenarios/coverage/test_coverage.sh \
	test-scenarios/coverage/uncovered.txt
TESTS += test-scenarios/coverage/test_coverage.sh

COVERAGE_TESTS = test_base test_config test_keymgmt_attr $(MIKEY_TESTS) \
	$(KEYS_TESTS)
COVERAGE_REPLAYS = mikey open text config
# The floors that read, write, judge and keep messages.  wrap.c and x509.c of
# core/keys serve the KMS's documents, and core/xml's tests test them.
COVERAGE_CODEC = modules/core/base modules/core/text modules/core/mikey \
	modules/core/keys
COVERAGE_OTHER = modules/core/keys/wrap.c modules/core/keys/x509.c
COVERAGE_MIN = 95
.PHONY: coverage
if COVERAGE
coverage:
	@$(MAKE) libmcx-core-all.la $(COVERAGE_TESTS) \
	    $(COVERAGE_REPLAYS:%=replay_%) >/dev/null
	@find . -name '*.gcda' -exec rm -f {} +
	@MCX_TEST_SEED=1 $(EACH_TEST) 300 -- $(COVERAGE_TESTS)
	@SRCDIR=$(abs_top_srcdir) BUILD=$(abs_top_builddir) \
	    FUZZ_TARGETS="$(COVERAGE_REPLAYS)" \
	    sh $(srcdir)/test-scenarios/fuzz/replay.sh
	@perl $(srcdir)/test-scenarios/coverage/coverage.pl $(COVERAGE_MIN) \
	    $(abs_top_srcdir) $(COVERAGE_CODEC) -- $(COVERAGE_OTHER)
else
coverage:
	@echo "coverage: configure with --enable-coverage" >&2; exit 1
endif
