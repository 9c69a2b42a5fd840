# test-scenarios/bench: make bench writes results.json and plots to bench/ in
# the build folder; make bench-compare OLD=results.json says what moved since.
# Other folders add programs that print lines as bench.sh describes them:
#   EXTRA_PROGRAMS += bench_x
#   BENCH_EXTRA += bench_x
dist_noinst_SCRIPTS += test-scenarios/bench/bench.sh \
	test-scenarios/bench/check-counts
TESTS += test-scenarios/bench/test_report.sh
EXTRA_DIST += \
	test-scenarios/bench/test_report.sh \
	test-scenarios/bench/compare.awk \
	test-scenarios/bench/counts.txt \
	test-scenarios/bench/figures.awk \
	test-scenarios/bench/plot.awk \
	test-scenarios/bench/report.awk \
	test-scenarios/bench/targets.txt
BENCH_EXTRA =
BENCH_CPUS = portable
if HAVE_X86
BENCH_CPUS += adx ifma
endif
if HAVE_CMOCKA
EXTRA_PROGRAMS += bench-sakke bench-scale
bench_sakke_SOURCES = test-scenarios/bench/bench.c \
	test-scenarios/bench/bench.h
bench_sakke_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
bench_sakke_LDADD = $(CORE_TEST_LIBS)
if HAVE_WOLFSSL
bench_sakke_SOURCES += test-scenarios/bench/bench_wolf.c
bench_sakke_CPPFLAGS += $(WOLFSSL_CFLAGS) -DBENCH_WOLFSSL
bench_sakke_LDADD += $(WOLFSSL_LIBS)
else
EXTRA_DIST += test-scenarios/bench/bench_wolf.c
endif
bench_scale_SOURCES = test-scenarios/bench/bench_scale.c
bench_scale_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
bench_scale_LDADD = $(CORE_TEST_LIBS)

# Instructions of each operation of the portable back-end, under callgrind,
# against counts.txt; make check-counts UPDATE=yes writes that anew.
EXTRA_PROGRAMS += bench-count
bench_count_SOURCES = test-scenarios/bench/bench.c \
	test-scenarios/bench/bench.h
bench_count_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DBENCH_COUNT
bench_count_LDADD = $(CORE_TEST_LIBS)
check-counts: bench-count$(EXEEXT)
	@$(srcdir)/test-scenarios/bench/check-counts ./bench-count \
	    "$(CC)" "$(CFLAGS)" $(UPDATE)

bench: bench-sakke$(EXEEXT) bench-scale$(EXEEXT) bench_mikey$(EXEEXT) \
	$(BENCH_EXTRA)
	@BENCH_EXTRA="$(BENCH_EXTRA)" \
	    $(srcdir)/test-scenarios/bench/bench.sh $(abs_top_builddir) \
	    "$(CC)" "$(CFLAGS)" $(BENCH_CPUS)
endif
bench-compare:
	@test -s "$(OLD)" || { echo "bench-compare: OLD=results.json?"; exit 2; }
	@awk -f $(srcdir)/test-scenarios/bench/compare.awk "$(OLD)" \
	    bench/results.json
.PHONY: bench bench-compare check-counts

# What module store costs, alone.
if HAVE_CMOCKA
BENCH_EXTRA += bench_store
EXTRA_PROGRAMS += bench_store
bench_store_SOURCES = test-scenarios/bench/bench_store.c \
	modules/store/store.c
bench_store_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(SQLITE_CFLAGS) \
	-I$(srcdir)/modules/store
bench_store_LDADD = libmcx-store.la $(CORE_TEST_LIBS) $(SQLITE_LIBS)
bench-store: bench_store$(EXEEXT)
	./bench_store$(EXEEXT)
endif
.PHONY: bench-store
