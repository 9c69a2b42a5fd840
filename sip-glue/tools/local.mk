# sip-glue/tools
# ---- mcx-kms, mcx-mikey: the core only, no SIP library.
bin_PROGRAMS += mcx-kms
mcx_kms_SOURCES = \
	sip-glue/tools/cli.c \
	sip-glue/tools/cli.h \
	sip-glue/tools/mcx-kms.c
mcx_kms_LDADD = libmcx-core.la
dist_man1_MANS += sip-glue/tools/mcx-kms.1
# ---- end of mcx-kms, mcx-mikey
