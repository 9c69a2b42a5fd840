# test-scenarios/judges: programs that are not ours read our MIKEY messages.
EXTRA_DIST += test-scenarios/judges/judge_tshark.sh \
	test-scenarios/judges/pcap.pl
TESTS += test-scenarios/judges/judge_tshark.sh
if HAVE_GST
check_PROGRAMS += judge_gst
TESTS += judge_gst
judge_gst_SOURCES = test-scenarios/judges/judge_gst.c
judge_gst_CPPFLAGS = $(AM_CPPFLAGS) $(GST_CFLAGS)
judge_gst_LDADD = libmcx-core.la $(GST_LIBS)
endif

# RFC 3711 and RFC 7714, read a second time, judge the packets of module srtp.
EXTRA_DIST += test-scenarios/vectors/rfc3711-appendix-b.txt \
	test-scenarios/vectors/rfc7714-sections-16-17.txt
if HAVE_CMOCKA
check_PROGRAMS += judge_srtp
TESTS += judge_srtp
judge_srtp_SOURCES = test-scenarios/judges/judge_srtp.c $(srtp_sources)
judge_srtp_CPPFLAGS = $(CORE_TEST_CPPFLAGS) $(SRTP_CFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
judge_srtp_LDADD = $(CORE_TEST_LIBS) $(SRTP_LIBS)
endif
