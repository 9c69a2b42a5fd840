# modules/core/keys: the key ring, the replay cache, the key store.  Floor 3.
libmcx_core_all_la_SOURCES += \
	modules/core/keys/hash.h \
	modules/core/keys/replay.c \
	modules/core/keys/ring.c

if HAVE_CMOCKA
check_PROGRAMS += test_ring test_replay
TESTS += test_ring test_replay
test_ring_SOURCES = modules/core/keys/test_ring.c
test_ring_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_ring_LDADD = $(CORE_TEST_LIBS)
test_replay_SOURCES = modules/core/keys/test_replay.c
test_replay_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_replay_LDADD = $(CORE_TEST_LIBS)
endif
