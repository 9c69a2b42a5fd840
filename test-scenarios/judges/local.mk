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
