# modules/core/xml: KMS messages, mcptt-info, poc-settings.  The only folder
# that sees libxml2 and xmlsec1.  Floor 3: stands on ident and the ring.
libmcx_core_all_la_SOURCES += \
	modules/core/xml/gktp.c \
	modules/core/xml/gktp_take.c \
	modules/core/xml/kms_read.c \
	modules/core/xml/kms_reply.c \
	modules/core/xml/kms_request.c \
	modules/core/xml/kms_sign.c \
	modules/core/xml/kms_wrap.c \
	modules/core/xml/kms_write.c \
	modules/core/xml/krr.c \
	modules/core/xml/krr_sign.c \
	modules/core/xml/mcinfo.c \
	modules/core/xml/out.c \
	modules/core/xml/out.h \
	modules/core/xml/sig.c \
	modules/core/xml/sig.h \
	modules/core/xml/tree.c \
	modules/core/xml/tree.h

if HAVE_CMOCKA
check_PROGRAMS += test_gktp
TESTS += test_gktp
test_gktp_SOURCES = modules/core/xml/test_gktp.c
test_gktp_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_gktp_LDADD = $(CORE_TEST_LIBS)
check_PROGRAMS += test_kms_reply
TESTS += test_kms_reply
test_kms_reply_SOURCES = modules/core/xml/test_kms_reply.c
test_kms_reply_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_kms_reply_LDADD = $(CORE_TEST_LIBS)
check_PROGRAMS += test_krr test_krr_sign
TESTS += test_krr test_krr_sign
test_krr_sign_SOURCES = modules/core/xml/test_krr_sign.c
test_krr_sign_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_krr_sign_LDADD = $(CORE_TEST_LIBS) -lcrypto
check_PROGRAMS += test_krr_oom
TESTS += test_krr_oom
test_krr_oom_SOURCES = modules/core/xml/test_krr_oom.c
test_krr_oom_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_krr_oom_LDADD = $(CORE_TEST_LIBS) -lcrypto
test_krr_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc -Wl,--wrap=calloc \
	-Wl,--wrap=realloc
test_krr_SOURCES = modules/core/xml/test_krr.c
test_krr_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_krr_LDADD = $(CORE_TEST_LIBS)
check_PROGRAMS += test_kms_sign test_kms_sign_oom
TESTS += test_kms_sign test_kms_sign_oom
test_kms_sign_oom_SOURCES = modules/core/xml/test_kms_sign_oom.c
test_kms_sign_oom_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_kms_sign_oom_LDADD = $(CORE_TEST_LIBS)
test_kms_sign_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc \
	-Wl,--wrap=calloc -Wl,--wrap=realloc
test_kms_sign_SOURCES = modules/core/xml/test_kms_sign.c
test_kms_sign_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_kms_sign_LDADD = $(CORE_TEST_LIBS)
check_PROGRAMS += test_kms_attack
TESTS += test_kms_attack
test_kms_attack_SOURCES = modules/core/xml/test_kms_attack.c
test_kms_attack_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_kms_attack_LDADD = $(CORE_TEST_LIBS)
check_PROGRAMS += test_mcinfo test_kms test_kms_request
TESTS += test_mcinfo test_kms test_kms_request
test_mcinfo_SOURCES = modules/core/xml/test_mcinfo.c
test_mcinfo_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_mcinfo_LDADD = $(CORE_TEST_LIBS)
test_kms_SOURCES = modules/core/xml/test_kms.c
test_kms_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_kms_LDADD = $(CORE_TEST_LIBS)
test_kms_request_SOURCES = modules/core/xml/test_kms_request.c
test_kms_request_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_kms_request_LDADD = $(CORE_TEST_LIBS)
endif
