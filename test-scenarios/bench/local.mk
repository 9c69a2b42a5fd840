# test-scenarios/bench: make bench writes bench/results.json in the build
# folder, with what every operation takes on every back-end.
dist_noinst_SCRIPTS += test-scenarios/bench/bench.sh
EXTRA_DIST += test-scenarios/bench/bench.c
if HAVE_CMOCKA
EXTRA_PROGRAMS += bench-sakke
bench_sakke_SOURCES = test-scenarios/bench/bench.c
bench_sakke_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
bench_sakke_LDADD = $(CORE_TEST_LIBS)
bench: bench-sakke$(EXEEXT)
	$(srcdir)/test-scenarios/bench/bench.sh $(abs_top_builddir) "$(CC)" \
	    "$(CFLAGS)"
endif
.PHONY: bench
