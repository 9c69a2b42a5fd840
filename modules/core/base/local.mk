# modules/core/base: errors, views, secrets, environment, cursors.  Floor 0.
libmcx_core_all_la_SOURCES += \
	modules/core/base/bytes.c \
	modules/core/base/env.c \
	modules/core/base/err.c \
	modules/core/base/guard.c \
	modules/core/base/log.c \
	modules/core/base/rd.h \
	modules/core/base/secret.c \
	modules/core/base/time.c \
	modules/core/base/wr.h
