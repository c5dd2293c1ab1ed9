/*
 * common.h: what the stress programs share: the command line, threads that
 * work in rounds, random numbers, and items: blocks that carry a pattern which
 * is checked whenever they are resized, passed on or freed.
 *
 * Hand-over of items between threads orders only giver -> taker. Nothing here
 * orders a free before a later allocation of the same memory: that edge must
 * come from the allocator, so that ThreadSanitizer can miss it.
 */
#ifndef STRESS_COMMON_H
#define STRESS_COMMON_H

#include <hakmem.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

enum {
	THREADS_MAX = 64,
	BAG_ITEMS = 2048,
	OUTBOX_ITEMS = 16384,
};

/* Sanitizers make a program slower and larger; SANITIZED and TSAN scale for that. */
#if defined(HAK_SANITIZE)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
#if defined(HAK_TSAN)
enum { TSAN = 1 };
#else
enum { TSAN = 0 };
#endif

/* One block of the program's. */
struct item {
	unsigned char *p;
	size_t size;  /* bytes that carry the pattern: asked, or all that is usable */
	size_t asked; /* bytes asked for */
	uint64_t tag; /* what the pattern is made from; no two items share one */
};

/* Items held by one thread. */
struct bag {
	size_t count;
	struct item items[BAG_ITEMS];
};

/*
 * One thread of work(), or a lane of several threads that come after each
 * other. The outbox is a log: an entry is written once in a round, so it can
 * be read by others without ever telling the writer.
 */
struct worker {
	unsigned id;
	unsigned round;
	uint64_t rng;
	uint64_t serial; /* items made, over all rounds */
	unsigned asked_time;
	bool time_is_up;
	size_t posted;                       /* outbox entries written */
	_Alignas(64) _Atomic size_t sent;    /* outbox entries that others may take */
	_Alignas(64) _Atomic size_t claimed; /* outbox entries taken by outbox_take */
	_Atomic bool closed;                 /* nothing more will be sent in this round */
	struct item outbox[OUTBOX_ITEMS];
	struct bag bag;
};

/* A place where one thread leaves an item and any other takes it: 0 or worker and entry. */
typedef _Atomic uint64_t slot;

struct program {
	const char *name;
	bool alone;    /* internal structures only: the library's helper thread stays out */
	size_t budget; /* the most bytes to hold at one time; less is used under sanitizers */
	void (*before)(void);           /* in main, all threads quiet; may be NULL */
	void (*work)(struct worker *w); /* each thread in each round */
	void (*after)(void);  /* in main, all threads quiet: frees what is left; or NULL */
	bool (*enough)(void); /* after each round: ends before the time is up; or NULL */
};

/* Each program defines this; main() is in common.c. */
extern const struct program program;

extern unsigned threads;          /* --threads */
extern struct worker *workers;    /* `threads` of them, and one for main */
extern struct hak_stats baseline; /* before the first allocation */

/* Prints one line with the seed and ends the process with status 1. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Ends main's and every worker's loops soon after the time is up. */
bool keep_going(struct worker *w);
/* How many times to do something in a round: fewer under sanitizers. */
size_t effort(size_t times);
/* main's own worker, for before() and after(). */
struct worker *main_worker(void);

pthread_t thread_start(void *(*body)(void *), void *arg);
void thread_join(pthread_t thread);

uint64_t random_word(struct worker *w);
size_t random_below(struct worker *w, size_t limit);
bool random_chance(struct worker *w, unsigned percent);
/* Small sizes as likely as large ones, powers of two and their neighbours often. */
size_t random_size(struct worker *w, size_t low, size_t high);

/* False without an allocation when the budget is used up. */
bool item_new(struct worker *w, struct item *it, size_t size);
/* The same with hak_calloc or HAK_ZERO; the block is checked to be zero. */
bool item_zeroed(struct worker *w, struct item *it, size_t size);
/* False when the budget is used up; else realloc, the contents checked. size > 0. */
bool item_resize(struct worker *w, struct item *it, size_t size);
void item_check(const struct item *it);
void item_free(struct item *it);

/* The parts of item_new, for blocks that come from another call. */
bool budget_take(size_t bytes);
void budget_return(size_t bytes);
void item_adopt(struct worker *w, struct item *it, void *p, size_t size);
/* Fails unless the block reads as zero: all of it up to 1 MiB, else samples. */
void block_check_zero(const unsigned char *p, size_t size);
/* Checks and prepares for the block's end; the caller frees the memory it returns. */
void *item_release(struct item *it);

void bag_put(struct bag *bag, const struct item *it);
bool bag_full(const struct bag *bag);
/* Removes an item by chance; the bag is not empty. */
struct item bag_pick(struct worker *w, struct bag *bag);
void bag_drain(struct worker *w, struct bag *bag);

/*
 * Leaves the item in the slot. True when another item had to make room: it is
 * now the caller's, in *displaced. When the outbox is full nothing is left and
 * the item itself comes back.
 */
bool slot_post(struct worker *w, slot *s, const struct item *it, struct item *displaced);
bool slot_take(slot *s, struct item *it);
/* Frees what is in the slots. For after(). */
void slots_drain(slot *s, size_t count);

/* True when `window` or more items wait in the outbox, or it is full. */
bool outbox_busy(const struct worker *w, size_t window);
void outbox_send(struct worker *w, const struct item *it);
void outbox_close(struct worker *w);
/* The next item sent by `from`. *ended is set when there will be no more. */
bool outbox_take(struct worker *from, struct item *it, bool *ended);

#endif
