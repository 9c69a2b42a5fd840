# test-scenarios/aarch64: the core compiled for aarch64 and its tests run under
# qemu-user.  Installs nothing but the compiler and qemu (GNUmakefile).
dist_noinst_SCRIPTS += test-scenarios/aarch64/check-aarch64
check-aarch64:
	@ONLY="$(ONLY)" $(srcdir)/test-scenarios/aarch64/check-aarch64 . \
	    config.h
clean-local: clean-aarch64
clean-aarch64:
	rm -rf aarch64
.PHONY: check-aarch64 clean-aarch64
