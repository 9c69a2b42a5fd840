# sip-glue/tools
# ---- mcx-kms, mcx-mikey: the core only, no SIP library.
bin_PROGRAMS += mcx-kms mcx-mikey
mcx_kms_SOURCES = \
	sip-glue/tools/cli.c \
	sip-glue/tools/cli.h \
	sip-glue/tools/mcx-kms.c
mcx_kms_LDADD = libmcx-core.la
mcx_mikey_SOURCES = \
	sip-glue/tools/cli.c \
	sip-glue/tools/cli.h \
	sip-glue/tools/input.c \
	sip-glue/tools/input.h \
	sip-glue/tools/mcx-mikey.c
mcx_mikey_LDADD = libmcx-core.la
dist_man1_MANS += sip-glue/tools/mcx-kms.1 sip-glue/tools/mcx-mikey.1
dist_noinst_SCRIPTS += sip-glue/tools/test_tools.sh
TESTS += sip-glue/tools/test_tools.sh
# ---- end of mcx-kms, mcx-mikey
