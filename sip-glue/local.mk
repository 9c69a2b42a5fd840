# libsofia-mcx: the glue.  libmcx-host is its part that knows nothing of
# sofia-sip; unit tests of modules may link it.  The whole lives in a
# convenience library too, so that white-box tests reach what is hidden.
noinst_LTLIBRARIES += libmcx-host.la libsofia-mcx-all.la
libmcx_host_la_SOURCES =

libsofia_mcx_all_la_SOURCES =
libsofia_mcx_all_la_CPPFLAGS = $(AM_CPPFLAGS) $(SOFIA_CFLAGS) \
	-I$(top_srcdir)/sip-glue -DMCX_MODULES_DIR='"$(modulesdir)"'
libsofia_mcx_all_la_LIBADD = libmcx-host.la $(SOFIA_LIBS)

# Code that sofia's static lists point at may not be unmapped: -z nodelete.
lib_LTLIBRARIES += libsofia-mcx.la
libsofia_mcx_la_SOURCES =
libsofia_mcx_la_LIBADD = libsofia-mcx-all.la libmcx-core.la $(SOFIA_LIBS)
libsofia_mcx_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-Wl,-z,nodelete

GLUE_TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/sip-glue \
	$(SOFIA_CFLAGS) $(CMOCKA_CFLAGS)
