# modules/core/keys: the key ring, the replay cache, the key store.  Floor 3.
libmcx_core_all_la_SOURCES += \
	modules/core/keys/due.c \
	modules/core/keys/due.h \
	modules/core/keys/hash.h \
	modules/core/keys/life.c \
	modules/core/keys/persist.c \
	modules/core/keys/policy.c \
	modules/core/keys/replay.c \
	modules/core/keys/ring.c \
	modules/core/keys/seal.c \
	modules/core/keys/store.c \
	modules/core/keys/store.h \
	modules/core/keys/tek.c \
	modules/core/keys/wrap.c \
	modules/core/keys/x509.c

# What must be tried without memory, by the headers.
dist_noinst_SCRIPTS += modules/core/keys/test_oom_list
TESTS += modules/core/keys/test_oom_list

if HAVE_CMOCKA
KEYS_TESTS = test_due test_keys test_life test_oom test_replay test_ring \
	test_seal test_x509
check_PROGRAMS += $(KEYS_TESTS)
TESTS += $(KEYS_TESTS)
test_x509_SOURCES = modules/core/keys/test_x509.c
test_x509_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_x509_LDADD = $(CORE_TEST_LIBS) -lcrypto
test_due_SOURCES = modules/core/keys/test_due.c
test_due_CPPFLAGS = $(CORE_TEST_CPPFLAGS) \
	-I$(top_srcdir)/test-scenarios/vectors
test_due_LDADD = libident-ref.la $(CORE_TEST_LIBS)
test_oom_SOURCES = modules/core/keys/test_oom.c
test_oom_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_oom_LDADD = $(CORE_TEST_LIBS)
test_oom_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=malloc,--wrap=calloc \
	-Wl,--wrap=realloc,--wrap=mmap,--wrap=mprotect
test_keys_SOURCES = modules/core/keys/test_keys.c
test_keys_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_keys_LDADD = $(CORE_TEST_LIBS)
test_life_SOURCES = modules/core/keys/test_life.c
test_life_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_life_LDADD = $(CORE_TEST_LIBS)
test_ring_SOURCES = modules/core/keys/test_ring.c
test_ring_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_ring_LDADD = $(CORE_TEST_LIBS)
test_seal_SOURCES = modules/core/keys/test_seal.c
test_seal_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_seal_LDADD = $(CORE_TEST_LIBS)
test_replay_SOURCES = modules/core/keys/test_replay.c
test_replay_CPPFLAGS = $(CORE_TEST_CPPFLAGS)
test_replay_LDADD = $(CORE_TEST_LIBS)
endif
