# sip-glue/host: modules, workers, counters.  No sofia-sip.
libmcx_host_la_SOURCES += \
	sip-glue/host/counters.c \
	sip-glue/host/counters.h \
	sip-glue/host/features.c \
	sip-glue/host/features.h \
	sip-glue/host/host.c \
	sip-glue/host/host.h \
	sip-glue/host/loader.c \
	sip-glue/host/loader.h \
	sip-glue/host/options.c \
	sip-glue/host/options.h \
	sip-glue/host/out.c \
	sip-glue/host/pool.c \
	sip-glue/host/pool.h \
	sip-glue/host/static_modules.c
