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

# make check-field-long: 10^7 operands a back-end.
check-field-long: $(FIELD_TESTS)
	for t in $(FIELD_TESTS); do \
	    MCX_FIELD_ROUNDS=10000000 ./$$t || exit 1; done
.PHONY: check-field-long
TESTS += modules/core/field/test_consts

FIELD_TESTS =
if HAVE_CMOCKA
FIELD_TESTS += test_field_portable
if HAVE_X86
FIELD_TESTS += test_field_adx
test_field_adx_SOURCES = modules/core/field/test_field_adx.c
test_field_adx_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS
test_field_adx_CFLAGS = $(AM_CFLAGS) $(ADX_CFLAGS)
test_field_adx_LDADD = $(CORE_TEST_LIBS)
FIELD_TESTS += test_field_ifma test_field_emul
test_field_ifma_SOURCES = modules/core/field/test_field_ifma.c
test_field_ifma_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS
test_field_ifma_CFLAGS = $(AM_CFLAGS) $(IFMA_CFLAGS)
test_field_ifma_LDADD = $(CORE_TEST_LIBS)
test_field_emul_SOURCES = modules/core/field/test_field_ifma.c
test_field_emul_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS \
	-DMCX_IFMA_EMULATED
test_field_emul_LDADD = $(CORE_TEST_LIBS)
endif
check_PROGRAMS += $(FIELD_TESTS)
TESTS += $(FIELD_TESTS)
test_field_portable_SOURCES = modules/core/field/test_field_portable.c \
	modules/core/field/test_field.h
test_field_portable_CPPFLAGS = $(CORE_TEST_CPPFLAGS) -DMCX_DEBUG_BOUNDS
test_field_portable_LDADD = $(CORE_TEST_LIBS)
endif
