# test-scenarios/fuzz: one target for every function that eats foreign octets.
# replay_<t> runs files (always built); fuzz_<t> is libFuzzer's
# (--enable-fuzzing with clang).
FUZZ_TARGETS = mikey open text xml signed config mime sip srtp
fuzz_cppflags = $(AM_CPPFLAGS) -I$(top_srcdir)/test-scenarios/fuzz

check_PROGRAMS += replay_mikey replay_open replay_text replay_xml \
	replay_config replay_signed
fuzz_main = test-scenarios/fuzz/fuzz_main.c test-scenarios/fuzz/fuzz.h
replay_mikey_SOURCES = test-scenarios/fuzz/fuzz_mikey.c $(fuzz_main)
replay_mikey_CPPFLAGS = $(fuzz_cppflags)
replay_mikey_LDADD = libmcx-core-all.la
replay_open_SOURCES = test-scenarios/fuzz/fuzz_open.c $(fuzz_main)
replay_open_CPPFLAGS = $(fuzz_cppflags)
replay_open_LDADD = libmcx-core-all.la
replay_text_SOURCES = test-scenarios/fuzz/fuzz_text.c $(fuzz_main)
replay_text_CPPFLAGS = $(fuzz_cppflags)
replay_text_LDADD = libmcx-core-all.la
replay_xml_SOURCES = test-scenarios/fuzz/fuzz_xml.c $(fuzz_main)
replay_xml_CPPFLAGS = $(fuzz_cppflags)
replay_xml_LDADD = libmcx-core-all.la
replay_signed_SOURCES = test-scenarios/fuzz/fuzz_signed.c $(fuzz_main)
replay_signed_CPPFLAGS = $(fuzz_cppflags)
replay_signed_LDADD = libmcx-core-all.la
replay_config_SOURCES = test-scenarios/fuzz/fuzz_config.c $(fuzz_main)
replay_config_CPPFLAGS = $(fuzz_cppflags)
replay_config_LDADD = libmcx-core-all.la

# Those that meet SIP and SRTP.
glue_fuzz_cppflags = $(fuzz_cppflags) -I$(top_srcdir)/sip-glue \
	$(SOFIA_CFLAGS)
check_PROGRAMS += replay_mime replay_sip replay_srtp
replay_mime_SOURCES = test-scenarios/fuzz/fuzz_mime.c $(fuzz_main) \
	sip-glue/sofia/mime.c
replay_mime_CPPFLAGS = $(glue_fuzz_cppflags)
replay_mime_LDADD = libmcx-core-all.la
replay_sip_SOURCES = test-scenarios/fuzz/fuzz_sip.c $(fuzz_main) \
	sip-glue/sofia/mime.c sip-glue/sofia/guard.c
replay_sip_CPPFLAGS = $(glue_fuzz_cppflags)
replay_sip_LDADD = libmcx-core-all.la $(SOFIA_LIBS)
replay_srtp_SOURCES = test-scenarios/fuzz/fuzz_srtp.c $(fuzz_main) \
	$(srtp_sources)
replay_srtp_CPPFLAGS = $(fuzz_cppflags) $(SRTP_CFLAGS)
replay_srtp_LDADD = libmcx-core-all.la $(SRTP_LIBS)

if FUZZING
noinst_PROGRAMS += fuzz_mime fuzz_sip fuzz_srtp
fuzz_mime_SOURCES = test-scenarios/fuzz/fuzz_mime.c sip-glue/sofia/mime.c
fuzz_mime_CPPFLAGS = $(glue_fuzz_cppflags)
fuzz_mime_LDADD = libmcx-core-all.la
fuzz_mime_LDFLAGS = $(fuzz_ldflags)
fuzz_sip_SOURCES = test-scenarios/fuzz/fuzz_sip.c \
	sip-glue/sofia/mime.c sip-glue/sofia/guard.c
fuzz_sip_CPPFLAGS = $(glue_fuzz_cppflags)
fuzz_sip_LDADD = libmcx-core-all.la $(SOFIA_LIBS)
fuzz_sip_LDFLAGS = $(fuzz_ldflags)
fuzz_srtp_SOURCES = test-scenarios/fuzz/fuzz_srtp.c $(srtp_sources)
fuzz_srtp_CPPFLAGS = $(fuzz_cppflags) $(SRTP_CFLAGS)
fuzz_srtp_LDADD = libmcx-core-all.la $(SRTP_LIBS)
fuzz_srtp_LDFLAGS = $(fuzz_ldflags)
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
noinst_PROGRAMS += fuzz_mikey fuzz_open fuzz_text fuzz_xml fuzz_config \
	fuzz_signed
fuzz_signed_SOURCES = test-scenarios/fuzz/fuzz_signed.c
fuzz_signed_CPPFLAGS = $(fuzz_cppflags)
fuzz_signed_LDADD = libmcx-core-all.la
fuzz_signed_LDFLAGS = $(fuzz_ldflags)
fuzz_mikey_SOURCES = test-scenarios/fuzz/fuzz_mikey.c
fuzz_mikey_CPPFLAGS = $(fuzz_cppflags)
fuzz_mikey_LDADD = libmcx-core-all.la
fuzz_mikey_LDFLAGS = $(fuzz_ldflags)
fuzz_open_SOURCES = test-scenarios/fuzz/fuzz_open.c
fuzz_open_CPPFLAGS = $(fuzz_cppflags)
fuzz_open_LDADD = libmcx-core-all.la
fuzz_open_LDFLAGS = $(fuzz_ldflags)
fuzz_text_SOURCES = test-scenarios/fuzz/fuzz_text.c
fuzz_text_CPPFLAGS = $(fuzz_cppflags)
fuzz_text_LDADD = libmcx-core-all.la
fuzz_text_LDFLAGS = $(fuzz_ldflags)
fuzz_xml_SOURCES = test-scenarios/fuzz/fuzz_xml.c
fuzz_xml_CPPFLAGS = $(fuzz_cppflags)
fuzz_xml_LDADD = libmcx-core-all.la
fuzz_xml_LDFLAGS = $(fuzz_ldflags)
fuzz_config_SOURCES = test-scenarios/fuzz/fuzz_config.c
fuzz_config_CPPFLAGS = $(fuzz_cppflags)
fuzz_config_LDADD = libmcx-core-all.la
fuzz_config_LDFLAGS = $(fuzz_ldflags)
endif

TESTS += test-scenarios/fuzz/replay.sh
EXTRA_DIST += test-scenarios/fuzz/replay.sh test-scenarios/fuzz/fuzz-run.sh
EXTRA_DIST += test-scenarios/fuzz/corpus

# FUZZ_SECONDS each target; needs a build with --enable-fuzzing.
.PHONY: fuzz fuzz-long
FUZZ_SECONDS = 60
fuzz: all
	FUZZ_TARGETS="$(FUZZ_TARGETS)" SRCDIR=$(abs_top_srcdir) \
	    BUILD=$(abs_top_builddir) \
	    $(srcdir)/test-scenarios/fuzz/fuzz-run.sh $(FUZZ_SECONDS)
fuzz-long:
	$(MAKE) fuzz FUZZ_SECONDS=3600
