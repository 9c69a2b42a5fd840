# libmcx-core: no SIP, no sockets.  The objects live in a convenience library
# so that white-box tests can link what the shared library hides.
noinst_LTLIBRARIES += libmcx-core-all.la
libmcx_core_all_la_SOURCES =
libmcx_core_all_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS) \
	$(XML_CFLAGS) $(XMLSEC_CFLAGS)
libmcx_core_all_la_LIBADD = $(CRYPTO_LIBS) $(XML_LIBS) $(XMLSEC_LIBS)
lib_LTLIBRARIES += libmcx-core.la
libmcx_core_la_SOURCES =
libmcx_core_la_LIBADD = libmcx-core-all.la
libmcx_core_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined

# What a unit test of the core needs: `test_x_LDADD = $(CORE_TEST_LIBS)`,
# `test_x_CPPFLAGS = $(CORE_TEST_CPPFLAGS)`.
CORE_TEST_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/modules/core \
	$(CRYPTO_CFLAGS) $(XML_CFLAGS) $(CMOCKA_CFLAGS) \
	-DMCX_VECTORS='"$(abs_top_srcdir)/test-scenarios/vectors"'
CORE_TEST_LIBS = libmcx-core-all.la $(CMOCKA_LIBS)

EXTRA_DIST += modules/DECISIONS.md
