# modules/core/curve: SAKKE's operations, once for each back-end.  Floor 1;
# sees core/field only.
libmcx_core_all_la_SOURCES += \
	modules/core/curve/be_portable.c \
	modules/core/curve/body.h \
	modules/core/curve/ops.h \
	modules/core/curve/pick.c
