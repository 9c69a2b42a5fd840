# modules/core/curve: SAKKE's operations, once for each back-end.  Floor 1;
# sees core/field only.
libmcx_core_all_la_SOURCES += \
	modules/core/curve/be_portable.c \
	modules/core/curve/body.h \
	modules/core/curve/ops.h \
	modules/core/curve/pick.c

# Only the files of a back-end get its compiler flags.
EXTRA_DIST += modules/core/curve/be_adx.c modules/core/curve/be_ifma.c
if HAVE_X86
noinst_LTLIBRARIES += libcore-adx.la
libcore_adx_la_SOURCES = modules/core/curve/be_adx.c
libcore_adx_la_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
noinst_LTLIBRARIES += libcore-ifma.la
libcore_ifma_la_SOURCES = modules/core/curve/be_ifma.c
libcore_ifma_la_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
X86_LIBS = libcore-adx.la libcore-ifma.la
X86_CT_LIBS = libcore-adx-ct.la libcore-ifma-ct.la libp256-ifma-ct.la
X86_CPUS = adx ifma
libmcx_core_all_la_LIBADD += $(X86_LIBS)
endif

# make check-ct: the same sources compiled with MCX_CT, which tells valgrind
# what is public by design; the rest comes from the library.
EXTRA_LTLIBRARIES += libsakke-ct.la
libsakke_ct_la_SOURCES = \
	modules/core/curve/be_portable.c \
	modules/core/curve/pick.c \
	modules/core/field/consts.c \
	modules/core/field/words.c \
	modules/core/ident/eccsi.c \
	modules/core/ident/kms_master.c \
	modules/core/ident/kms_pub.c \
	modules/core/ident/peers.c \
	modules/core/ident/sakke.c \
	modules/core/ident/shared.c \
	modules/core/ident/user_key.c
libsakke_ct_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS) -DMCX_CT
libsakke_ct_la_LIBADD = $(X86_CT_LIBS)
EXTRA_LTLIBRARIES += libcore-adx-ct.la
libcore_adx_ct_la_SOURCES = modules/core/curve/be_adx.c
libcore_adx_ct_la_CPPFLAGS = $(AM_CPPFLAGS) -DMCX_CT
libcore_adx_ct_la_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
# valgrind 3.19 does not know the instructions: their emulation in C instead.
EXTRA_LTLIBRARIES += libcore-ifma-ct.la
libcore_ifma_ct_la_SOURCES = modules/core/curve/be_ifma.c
libcore_ifma_ct_la_CPPFLAGS = $(AM_CPPFLAGS) -DMCX_CT -DMCX_IFMA_EMULATED
EXTRA_LTLIBRARIES += libp256-ifma-ct.la
libp256_ifma_ct_la_SOURCES = modules/core/ident/p256_ifma.c
libp256_ifma_ct_la_CPPFLAGS = $(libcore_ifma_ct_la_CPPFLAGS)
EXTRA_PROGRAMS += test_ct_sakke
test_ct_sakke_SOURCES = modules/core/curve/test_ct_sakke.c
test_ct_sakke_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/modules/core -DMCX_CT
test_ct_sakke_LDADD = libsakke-ct.la libmcx-core-all.la
EXTRA_PROGRAMS += test_ct_eccsi
test_ct_eccsi_SOURCES = modules/core/ident/test_ct_eccsi.c
test_ct_eccsi_CPPFLAGS = $(test_ct_sakke_CPPFLAGS)
test_ct_eccsi_LDADD = $(test_ct_sakke_LDADD)
CT_CPUS = portable $(X86_CPUS)
dist_noinst_SCRIPTS += modules/core/curve/check-ct
check-ct: test_ct_sakke$(EXEEXT) test_ct_eccsi$(EXEEXT)
	$(srcdir)/modules/core/curve/check-ct ./test_ct_eccsi $(CT_CPUS)
	$(srcdir)/modules/core/curve/check-ct ./test_ct_sakke $(CT_CPUS)
.PHONY: check-ct

# The same tests over back-ends that assert the bounds they state.
if HAVE_CMOCKA
CURVE_TESTS = test_curve test_curve_bounds
check_LTLIBRARIES += libcore-bounds.la
libcore_bounds_la_SOURCES = modules/core/curve/be_portable.c
libcore_bounds_la_CPPFLAGS = $(AM_CPPFLAGS) -DMCX_DEBUG_BOUNDS
if HAVE_X86
check_LTLIBRARIES += libcore-adx-bounds.la libcore-ifma-bounds.la
libcore_adx_bounds_la_SOURCES = modules/core/curve/be_adx.c
libcore_adx_bounds_la_CPPFLAGS = $(AM_CPPFLAGS) -DMCX_DEBUG_BOUNDS
libcore_adx_bounds_la_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
libcore_ifma_bounds_la_SOURCES = modules/core/curve/be_ifma.c
libcore_ifma_bounds_la_CPPFLAGS = $(AM_CPPFLAGS) -DMCX_DEBUG_BOUNDS
libcore_ifma_bounds_la_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
X86_BOUNDS_LIBS = libcore-adx-bounds.la libcore-ifma-bounds.la
endif
test_curve_bounds_SOURCES = modules/core/curve/test_curve.c
test_curve_bounds_CPPFLAGS = $(test_curve_CPPFLAGS)
test_curve_bounds_LDADD = libcore-bounds.la $(X86_BOUNDS_LIBS) \
	libident-ref.la $(CORE_TEST_LIBS)
check_PROGRAMS += $(CURVE_TESTS)
TESTS += $(CURVE_TESTS)
test_curve_SOURCES = modules/core/curve/test_curve.c
test_curve_CPPFLAGS = $(CORE_TEST_CPPFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
test_curve_LDADD = libident-ref.la $(CORE_TEST_LIBS)
endif
