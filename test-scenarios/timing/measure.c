/* measure.c -- samples of a probe, see timing.h; and the controls, which show
 * that a leak is seen and that none is invented. */
#include <config.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "timing.h"

enum { BATCH = 1024, BATCH_OCTETS = 8 * 1024 * 1024, WARM_UP = 8 };

volatile uint64_t timing_sink;

static uint64_t state;

uint64_t
timing_draw(void)
{
    if (state == 0) {
        const char *seed = getenv("MCX_TEST_SEED");

        state = (seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL))
                | UINT64_C(1) << 63;
    }
    state ^= state >> 12; /* xorshift64* */
    state ^= state << 25;
    state ^= state >> 27;
    return state * UINT64_C(0x2545f4914f6cdd1d);
}

void
timing_fill(void *p, size_t n)
{
    uint8_t *b = p;
    uint64_t v;

    for (; n >= sizeof v; n -= sizeof v, b += sizeof v) {
        v = timing_draw();
        memcpy(b, &v, sizeof v);
    }
    v = timing_draw();
    memcpy(b, &v, n);
}

/* Ticks of a clock that a process can read without a call, after everything
 * before and before everything after. */
static inline uint64_t
ticks_now(void)
{
#if defined __x86_64__
    uint32_t lo, hi;

    __asm__ volatile("lfence\n\trdtsc\n\tlfence"
                     : "=a"(lo), "=d"(hi) : : "memory");
    return (uint64_t)hi << 32 | lo;
#elif defined __aarch64__
    uint64_t t;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb"
                     : "=r"(t) : : "memory");
    return t;
#else
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
#endif
}

struct room {
    uint8_t *slots, *now; /* secrets of a batch; the one whose turn it is */
    size_t n_slots, stride;
    uint32_t *ticks, *sorted;
    uint8_t *class;
};

static void *
aligned(size_t n)
{
    return aligned_alloc(64, (n + 63) / 64 * 64);
}

static bool
room_make(struct room *room, const struct probe *p, size_t n)
{
    room->stride = (p->size + 63) / 64 * 64;
    room->n_slots = BATCH_OCTETS / room->stride;
    room->n_slots = room->n_slots > BATCH ? BATCH : room->n_slots;
    room->slots = aligned(room->n_slots * room->stride);
    room->now = aligned(room->stride);
    room->ticks = aligned(n * sizeof *room->ticks);
    room->sorted = aligned(n * sizeof *room->sorted);
    room->class = aligned(n);
    return room->slots && room->now && room->ticks && room->sorted
           && room->class;
}

static void
room_free(struct room *room)
{
    free(room->slots);
    free(room->now);
    free(room->ticks);
    free(room->sorted);
    free(room->class);
}

/* Up to a batch of samples from number 'at' on; returns how many. */
static size_t
measure_batch(struct room *room, const struct probe *p, size_t at, size_t n)
{
    size_t many = n - at < room->n_slots ? n - at : room->n_slots, i;

    for (i = 0; i < many; i++) {
        room->class[at + i] = timing_draw() >> 63 & 1;
        p->make(room->slots + i * room->stride, room->class[at + i] == 0);
    }
    for (i = 0; i < WARM_UP; i++) {
        memcpy(room->now, room->slots + i % many * room->stride, p->size);
        p->run(room->now);
    }
    for (i = 0; i < many; i++) {
        uint64_t start, spent;

        memcpy(room->now, room->slots + i * room->stride, p->size);
        start = ticks_now();
        p->run(room->now);
        spent = ticks_now() - start;
        room->ticks[at + i] = spent < UINT32_MAX ? (uint32_t)spent
                                                 : UINT32_MAX;
    }
    return many;
}

bool
timing_measure(struct ttest *r, const struct probe *p, size_t n)
{
    struct room room = { 0 };
    bool ok = room_make(&room, p, n);
    size_t at = 0;

    while (ok && at < n) {
        at += measure_batch(&room, p, at, n);
    }
    if (ok) {
        *r = ttest_run(room.ticks, room.class, n, n / 50 + 10, room.sorted);
    }
    room_free(&room);
    return ok;
}

/* ---- controls ---------------------------------------------------------- */

static void
make_word(void *secret, bool fixed)
{
    timing_fill(secret, 8);
    if (fixed) {
        memset(secret, 0, 8);
    }
}

static void
make_any_word(void *secret, bool fixed)
{
    (void)fixed;
    timing_fill(secret, 8);
}

static uint64_t
stir(uint64_t x)
{
    __asm__("" : "+r"(x));
    return (x ^ x >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

/* A multiplication for each bit that is set, as in the textbook. */
static void
leak_bits(const void *secret)
{
    uint64_t x, v = 1;

    memcpy(&x, secret, sizeof x);
    for (; x != 0; x >>= 1) {
        if (x & 1) {
            v = stir(v);
        }
    }
    timing_sink = v;
}

/* One step more when one bit is set: about the least that is a leak. */
static void
leak_one_bit(const void *secret)
{
    uint64_t x, v = 1;
    int i;

    memcpy(&x, secret, sizeof x);
    for (i = 0; i < 64; i++) {
        v = stir(v);
    }
    if (x & 1) {
        v = stir(stir(v));
    }
    timing_sink = v;
}

static void
leak_nothing(const void *secret)
{
    uint64_t x, v = 1;
    int i;

    memcpy(&x, secret, sizeof x);
    for (i = 0; i < 64; i++) {
        v = stir(v ^ (x >> i & 1));
    }
    timing_sink = v;
}

const struct probe timing_controls[] = {
    { "control: a multiplication per bit", 100000, 8, make_word, leak_bits,
      true },
    { "control: two steps for one bit", 1000000, 8, make_word, leak_one_bit,
      true },
    { "control: no leak", 1000000, 8, make_word, leak_nothing, false },
    { "control: leak, classes alike", 100000, 8, make_any_word, leak_bits,
      false },
    { 0 },
};
