# test-scenarios
