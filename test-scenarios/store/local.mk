# test-scenarios/store: a function that keeps its keys, and mcx-keys.
dist_noinst_SCRIPTS += test-scenarios/store/test_store.sh
TESTS += test-scenarios/store/test_store.sh
