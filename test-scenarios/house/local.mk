# test-scenarios/house: the rules of the house, and the tests of their checker.
EXTRA_DIST += \
	test-scenarios/house/check-tree \
	test-scenarios/house/install-packages \
	test-scenarios/house/test_check_tree.sh
TESTS += \
	test-scenarios/house/check-tree \
	test-scenarios/house/test_check_tree.sh

# What takes no time is said with every build.
all-local:
	@$(srcdir)/test-scenarios/house/check-tree --fast $(srcdir)

.PHONY: check-tree
check-tree:
	CC='$(CC)' SOFIA_CFLAGS='$(SOFIA_CFLAGS)' \
	    $(srcdir)/test-scenarios/house/check-tree $(srcdir)
