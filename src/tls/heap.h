/*
 * heap.h: what a thread allocates from. A heap belongs to one thread at a time
 * (or to one lock-free lease of a first-class heap), and every field without
 * an x_ is that thread's alone. Heaps are type-stable: a thread that ends puts
 * its heap, emptied, on its node's stack, and the next thread takes it from there.
 */
#ifndef TLS_HEAP_H
#define TLS_HEAP_H

#include "segments/inbox.h"
#include "segments/types.h"
#include "tls/quarantine.h"

#define STASHES 8
#define HEAP_SHIFT (12 + HAK_SECURE)

/* Blocks of one other heap, gathered before they are sent. */
struct stash {
	struct heap *to;
	struct block *first, *last;
	counter64 x_blocks, x_bytes; /* own writes, any reads relaxed */
};

struct page_queue {
	struct page *first, *last;
};

enum heap_state {
	HEAP_FREE, /* on the stack of free heaps; owns no page */
	HEAP_LIVE,
};

struct heap {
	struct page *direct[DIRECT_ENTRIES]; /* own: by size / 16, copies of front[] */
	struct page *current[SMALL_CLASSES]; /* own: pinned page of each class, or page_none */
	struct page *front[SMALL_CLASSES];   /* own: the same as fast paths see it, see sample.h */
	struct page *mid[MID_CLASSES];       /* own: stacks of cached mid blocks */
	size_t mid_room;                     /* own: bytes they may still hold; 0 in heap_none */
	bool mid_full; /* own: they overflowed since one was last taken from the node */
	bool mid_idle; /* own: they did so again; nothing is cached until then */
	struct page_queue queue[SMALL_CLASSES]; /* own: other pages with room, oldest first */
	uintptr_t caller;            /* own: where the program asks for the block in hand */
	size_t fresh_bytes;          /* own: of spans taken that were not resident */
	size_t partial_bytes;        /* own: bytes of those pages */
	struct stash stash[STASHES]; /* own: by address of the receiving heap */
	unsigned stash_credit;       /* own: blocks that may still be stashed */
	struct block *pending;       /* own: taken from an inbox, not yet freed */
	struct page *
		full; /* own: full pages of a first-class heap, or that wait for blocks held back */
	struct page *kept;            /* own: its mid blocks and whales */
	uint8_t grown[SMALL_CLASSES]; /* own: fresh pages taken, up to 255 */
	uint8_t node;                 /* const: the node of its memory */
	uint8_t place;                /* own: where its spans and whales come from now */
	bool first_class;             /* const */
	bool unregistered;            /* own: its thread's end would go unnoticed */
	bool leaving;                 /* own: keep nothing from here on */
	struct heap *left; /* own: closed: the heap its thread had before, on another node */
	uint32_t index;    /* const: names the heap on the stack */
	counter64 x_sent_bytes, x_sent_blocks;   /* own writes, any reads relaxed: ever sent */
	counter64 x_freed_bytes, x_freed_blocks; /* own writes, any reads relaxed: ever drained */
	counter64 x_batches;                     /* own writes, any reads relaxed: ever sent */
	counter64 x_let_go, x_taken;             /* own writes, any reads relaxed: pages, ever */
	uint32_t slow_frees;           /* own: since start, for what is done now and then */
	_Atomic(uint32_t) x_next_free; /* any: relaxed; link on the stack [H1] */

	struct quarantine quarantine; /* own */

	/* Written by other threads: a line of its own. */
	struct inbox inbox __attribute__((aligned(CACHE_LINE_BYTES)));
	_Atomic(uint32_t) x_state; /* any: enum heap_state [F2] */
	_Atomic(uint32_t) x_lease; /* any: a first-class heap's user holds it [L1] [L2] */
	/* any: relaxed, of idle.c: what the last reaper left there, how much had been drained
	 * then, and by the last look, and whether that found something waiting */
	struct block *_Atomic x_left;
	_Atomic(uint64_t) x_left_drained, x_seen_drained;
	_Atomic(bool) x_waited;
} __attribute__((aligned(1 << 12)));
_Static_assert(sizeof(struct heap) == 1 << HEAP_SHIFT, "an idle thread's heap is one page");

/* Two heaps without anything, so that the fast paths need not ask whether there is one. */
extern struct heap heap_none; /* of a thread that has had no heap yet */
extern struct heap heap_away; /* while its heap is in the hands of a call, and after its end */
extern struct page page_none;

/*
 * The heap that this thread's next call may use. It is away while a call is on
 * the slow path, because a signal handler may interrupt that: what the handler
 * allocates or frees finds heap_away, and makes do with a borrowed heap. While a
 * fast path is interrupted, whoever called the handler has taken the heap away
 * (api/signals.c); with HAK_GUARD the fast paths do it themselves.
 */
extern _Thread_local struct heap *tls_heap; /* own */

static ALWAYS_INLINE void heap_hold(void)
{
	tls_heap = &heap_away;
	compiler_barrier();
}

/*
 * A handler that comes between the two leaves tls_heap as it was, unless it has made
 * the thread's first heap or moved the thread to another one: whoever takes that
 * asks tls_home, and nothing is in the heap that was moved from.
 */
static ALWAYS_INLINE struct heap *heap_take(void)
{
	struct heap *h = tls_heap;
	heap_hold();
	return h;
}

static ALWAYS_INLINE void heap_give(struct heap *h)
{
	compiler_barrier();
	tls_heap = h;
}

/* For the fast paths. */
static ALWAYS_INLINE struct heap *heap_look(void)
{
	return HAK_GUARD ? heap_take() : tls_heap;
}

/* The same heap; loaded once more, that costs nothing beside a comparison. */
static ALWAYS_INLINE struct heap *heap_again(struct heap *h)
{
	return HAK_GUARD ? h : tls_heap;
}

static ALWAYS_INLINE void heap_done(struct heap *h)
{
	if (HAK_GUARD)
		heap_give(h);
}

/*
 * A live heap on a node, new or used before. NULL with ENOMEM. Threads' heaps
 * and first-class ones never mix: what a late sender pushes to a heap is of the
 * kind that its next user can free.
 */
struct heap *heap_get(unsigned node, bool first_class);

/*
 * Lets go of everything the heap has and puts it on its node's stack. The first half
 * alone leaves it with its thread, which may open it again.
 */
void heap_put(struct heap *h);
void heap_close(struct heap *h);
void heap_open(struct heap *h);

/* Lets go of everything that is free: caches, stashes and what is in the inbox. */
void heap_flush(struct heap *h);

/* Would a block of this class need memory that no block was made in yet? */
bool heap_wants_memory(const struct heap *h, unsigned size_class);

/* Number of heaps ever made, and each of them. */
unsigned heap_count(void);
struct heap *heap_at(unsigned index);

/* A block of a small class when the fast path found none; *zero: it is zero. */
void *heap_alloc_small(struct heap *h, unsigned size_class, bool *zero);

/* A block of a mid class, a multiple of `align` (up to a granule). */
void *heap_alloc_mid(struct heap *h, unsigned size_class, size_t align, bool *zero);

/*
 * Frees a block of any kind on behalf of the heap. heap_free_slow, the slow
 * path of free, also looks after what others sent.
 */
void heap_free(struct heap *h, struct page *page, struct block *block);
void heap_free_slow(struct heap *h, struct page *page, struct block *block);

/* Frees a block that leaves the heap's quarantine. */
void heap_free_held(struct heap *h, struct page *page, struct block *block);

/* The same when there is no memory for a heap. */
void free_without_heap(struct page *page, struct block *block);

/*
 * Sends a list of blocks to a heap; they are freed on behalf of `h` if nobody has that
 * heap any more. True: there were no others in its inbox.
 */
bool heap_send(struct heap *h, struct heap *to, struct block *first, struct block *last);

/* What was sent that way, by threads that have no counters of their own. */
struct orphans {
	_Atomic(uint64_t) x_blocks, x_bytes; /* any: relaxed */
};
extern struct orphans orphans;

/* Frees a mid block: into the heap's cache, or to the pool. */
void heap_free_mid(struct heap *h, struct page *page);

/* Notes the site of a big block just taken, and that so many bytes of it are fresh. */
void heap_site(struct heap *h, struct page *page, size_t fresh);

/*
 * Empties the heap's cache of mid blocks; because it is full, or because the
 * thread has no use for it, so that it stays empty until it allocates again.
 */
void heap_flush_mid(struct heap *h);
void heap_overflow_mid(struct heap *h);

/* Lets go of all pages and empties that cache. */
void heap_settle(struct heap *h);

/* Lets go of a page that is on no list. */
void heap_let_go(struct heap *h, struct page *page);

/* Puts a page on or takes it off a list of a first-class heap (full, kept). */
void heap_keep(struct page **list, struct page *page);
void heap_unkeep(struct page **list, struct page *page);

/* Frees a mid block or whale that the first-class heap keeps. */
void heap_free_kept(struct heap *h, struct page *page);

/* any: the right to use a first-class heap; never waits. */
bool lease_try(struct heap *h);
void lease_end(struct heap *h);

/* any: frees what lies in the inbox of a first-class heap, now or when its lease ends. */
void lease_drain(struct heap *h);

/* Frees up to DRAIN_BLOCKS_MAX blocks that others sent; false if there were none. */
bool heap_drain(struct heap *h);

/* Frees all of them. Always true. */
bool heap_drain_all(struct heap *h);

/* The page is empty and not current: its span goes to the pool. */
void heap_page_emptied(struct heap *h, struct page *page);

/* The class has no current page afterwards. */
void heap_retire_current(struct heap *h, unsigned size_class);

/* Puts a page on or takes it off the list of its class. */
void heap_enqueue(struct heap *h, struct page *page);
void heap_dequeue(struct heap *h, struct page *page);

/*
 * Frees a block whose page was found to belong to `owner`, which is neither this
 * thread nor OWNER_MID: the common case of a remote free, else free_slow.
 */
void free_other(void *p, struct page *page, uintptr_t owner);

/* Sends what is stashed. */
void stash_flush_all(struct heap *h);

#endif
