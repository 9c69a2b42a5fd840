# sip-glue/sofia

# ---- bodies and the offer/answer engine ----
libsofia_mcx_all_la_SOURCES += \
	sip-glue/sofia/mime.c \
	sip-glue/sofia/mime.h
EXTRA_DIST += \
	sip-glue/sofia/engine.h \
	sip-glue/sofia/guard.h
if HAVE_CMOCKA
check_PROGRAMS += test_mime
TESTS += test_mime
test_mime_SOURCES = sip-glue/sofia/test_mime.c sip-glue/sofia/mime.c
test_mime_CPPFLAGS = $(GLUE_TEST_CPPFLAGS)
test_mime_LDADD = $(CORE_TEST_LIBS)
endif
# ---- end ----
