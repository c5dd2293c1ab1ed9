/*
 * protocols.h: rows of results, the clock, and the thread on the other side,
 * for bench_protocols.c.
 *
 * One unit is one cycle of the time stamp counter, which runs at a constant
 * rate whatever the core's clock is. Each round runs every measurement once, so
 * that a drift of the machine hits all alike; a row shows the median over all
 * rounds, the quartiles, and the median of its ratios to another row of the
 * same round.
 */
#ifndef BENCH_PROTOCOLS_H
#define BENCH_PROTOCOLS_H

#include "common.h"

#include "base/atomic.h"

/* X(name, the row it is compared with, what one unit of work is) */
#define ROWS(X)                                                                                    \
	X(FREE_OWN, FREE_OWN, "free into an own page")                                             \
	X(FREE_SENT_1, FREE_OWN, "free into another's page, each sent at once")                    \
	X(FREE_SENT_8, FREE_OWN, "  sent in batches of 8")                                         \
	X(FREE_SENT_64, FREE_OWN, "  sent in batches of 64")                                       \
	X(FREE_BUSY_1, FREE_OWN, "  while the owner drains all the time, each sent at once")       \
	X(FREE_BUSY_8, FREE_OWN, "  the same in batches of 8")                                     \
	X(FREE_BUSY_64, FREE_OWN, "  the same in batches of 64")                                   \
	X(DRAIN_1, FREE_OWN, "drain a block, each sent at once")                                   \
	X(DRAIN_8, FREE_OWN, "  sent in batches of 8")                                             \
	X(DRAIN_64, FREE_OWN, "  sent in batches of 64")                                           \
	X(PAIR, PAIR, "malloc+free, own page")                                                     \
	X(PAIR_FIRST, PAIR, "  while another thread reads its descriptor's first line")            \
	X(PAIR_SECOND, PAIR, "  while another thread reads the line that the owner writes")        \
	X(READ_FIRST, READ_FIRST, "that thread: a read of the first line")                         \
	X(READ_SECOND, READ_FIRST, "that thread: a read of the line that the owner writes")        \
	X(NOBODY_FREE, FREE_OWN, "free into a page nobody owns: take, push, let go")               \
	X(TAKE, TAKE, "take a page and let it go, bit stays set")                                  \
	X(TAKE_PARTIAL, TAKE, "  found through the partial map")                                   \
	X(TAKE_TWO, TAKE, "  while another thread does so with the same page")                     \
	X(CLAIM_DIRTY, CLAIM_DIRTY, "claim a slice, resident")                                     \
	X(CLAIM_CLEAN, CLAIM_DIRTY, "claim a slice, purged")                                       \
	X(SPAN_FREE, CLAIM_DIRTY, "free a slice")                                                  \
	X(TOUCH_DIRTY, TOUCH_DIRTY, "write to a slice's pages, resident")                          \
	X(TOUCH_CLEAN, TOUCH_DIRTY, "write to a slice's pages, purged")                            \
	X(SPAN_PAIR, SPAN_PAIR, "claim and free a slice")                                          \
	X(SPAN_PAIR_TWO, SPAN_PAIR, "  while another thread does so")                              \
	X(MADVISE, MADVISE, "bare madvise, per slice of 32 that were written")                     \
	X(PURGE, MADVISE, "claim, madvise and publish them")                                       \
	X(HEAP, HEAP, "get and put a heap")                                                        \
	X(HEAP_TWO, HEAP, "  while another thread does so")                                        \
	X(LOOKUP_ONE, LOOKUP_ONE, "address to descriptor, one slice")                              \
	X(LOOKUP_FEW, LOOKUP_ONE, "  64 slices in turn")                                           \
	X(LOOKUP_MANY, LOOKUP_ONE, "  4096 slices in turn")                                        \
	X(LOOKUP_FLUSHED, LOOKUP_ONE, "  descriptor in no cache")                                  \
	X(HEADER_ONE, LOOKUP_ONE, "header at the start of the slice instead, one slice")           \
	X(HEADER_FEW, LOOKUP_FEW, "  64 slices in turn")                                           \
	X(HEADER_MANY, LOOKUP_MANY, "  4096 slices in turn")

#define NAME(name, than, text) name,
enum row { ROWS(NAME) ROW_COUNT };

void rows_init(uint64_t rounds);
void rows_print(void);

/* Of this round; a row that is not recorded in a round is left out of it. */
void record(enum row row, uint64_t cycles, uint64_t units);
void next_round(void);

static inline uint64_t stamp(void)
{
	__builtin_ia32_lfence();
	uint64_t t = __builtin_ia32_rdtsc();
	__builtin_ia32_lfence();
	return t;
}

/* One step of the partner's, which is repeated until it is told to stop. */
typedef void job(void);

/* Starts the partner; each thread has a core of its own. False if there is one only. */
bool partner_init(void);

/* The partner has done a step at least when partner_start returns, and none after partner_stop. */
void partner_start(job *run);
void partner_stop(void);

/* Steps of the last job and, once it was stopped, what they cost. */
uint64_t partner_steps(void);
uint64_t partner_cycles(void);

/*
 * Runs `units` of work while the partner does its job. Recorded if the partner
 * did `least` steps meanwhile: on a busy machine it may not have run at all.
 */
bool beside(job *run, uint64_t (*work)(void), enum row row, uint64_t units, uint64_t least);

#endif
