# modules/core/field: F_p of SAKKE in the forms the back-ends want.  Floor 1;
# sees libc only.
libmcx_core_all_la_SOURCES += \
	modules/core/field/consts.c \
	modules/core/field/consts.h \
	modules/core/field/fp_portable.h \
	modules/core/field/words.c \
	modules/core/field/words.h

EXTRA_DIST += modules/core/field/gen-consts
