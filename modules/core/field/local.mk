# modules/core/field: F_p of SAKKE in the forms the back-ends want.  Floor 1;
# sees libc only.
libmcx_core_all_la_SOURCES += \
	modules/core/field/consts.c \
	modules/core/field/consts.h \
	modules/core/field/fp_adx.h \
	modules/core/field/fp_ifma.h \
	modules/core/field/fp_portable.h \
	modules/core/field/public.h \
	modules/core/field/v8.h \
	modules/core/field/words.c \
	modules/core/field/words.h

dist_noinst_SCRIPTS += modules/core/field/gen-consts \
	modules/core/field/test_consts

# make check-field-long: 10^7 operands a back-end (FIELD_ROUNDS), 10^6 of the
# emulation, which is no back-end of any machine.  A target each, so that -j
# runs them side by side.
FIELD_ROUNDS = 10000000
FIELD_LONG = $(FIELD_TESTS:%=long-%)
check-field-long: $(FIELD_LONG)
$(FIELD_LONG): long-%: %
	@n=$(FIELD_ROUNDS); \
	case $* in *_emul) n=$$(expr $$n / 10) ;; esac; \
	MCX_FIELD_ROUNDS=$$n ./$* || test $$? = 77
.PHONY: check-field-long $(FIELD_LONG)
TESTS += modules/core/field/test_consts

FIELD_TESTS =
if HAVE_CMOCKA
# Compiled without a back-end's flags.
check_LTLIBRARIES += libfield-ref.la
libfield_ref_la_SOURCES = modules/core/field/test_field_ref.c \
	modules/core/field/test_field_ref.h
libfield_ref_la_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
FIELD_TESTS += test_field_portable
if HAVE_X86
FIELD_TESTS += test_field_adx
test_field_adx_SOURCES = modules/core/field/test_field_adx.c
test_field_adx_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS
test_field_adx_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
test_field_adx_LDADD = libfield-ref.la $(CORE_TEST_LIBS)
FIELD_TESTS += test_field_ifma test_field_emul
test_field_ifma_SOURCES = modules/core/field/test_field_ifma.c
test_field_ifma_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS
test_field_ifma_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
test_field_ifma_LDADD = libfield-ref.la $(CORE_TEST_LIBS)
test_field_emul_SOURCES = modules/core/field/test_field_ifma.c
test_field_emul_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS \
	-DMCX_IFMA_EMULATED
test_field_emul_LDADD = libfield-ref.la $(CORE_TEST_LIBS)
endif
FIELD_TESTS += test_inv
check_PROGRAMS += $(FIELD_TESTS)
TESTS += $(FIELD_TESTS)
test_inv_SOURCES = modules/core/field/test_inv.c
test_inv_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_inv_LDADD = $(CORE_TEST_LIBS)
test_field_portable_SOURCES = modules/core/field/test_field_portable.c \
	modules/core/field/test_field.h
test_field_portable_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS
test_field_portable_LDADD = libfield-ref.la $(CORE_TEST_LIBS)
endif
