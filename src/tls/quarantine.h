/*
 * quarantine.h: freed blocks that the secure library holds back, so that a pointer to one
 * does not soon point to another block. A heap has two halves: what it frees goes to the
 * young one; when that is full the old half goes to its pages, in random order, and the
 * young becomes the old. So a block is held while as much again is freed. A block that
 * is held counts as used in its page (I3), and was wiped: what was written to it since is
 * found when it leaves. Only the heap's own thread runs this. In other builds nothing is held.
 */
#ifndef TLS_QUARANTINE_H
#define TLS_QUARANTINE_H

#include "segments/blame.h"
#include "segments/freelist.h"

struct heap;

#if HAK_SECURE

/* Of one half. Each block costs its bytes and a toll, so that these are never exceeded. */
#define QUARANTINE_SLOTS 256

struct quarantine {
	_Atomic(size_t) x_half;   /* own writes, any reads relaxed: of each; 0: holds nothing */
	_Atomic(size_t) x_toll;   /* the same: see above */
	_Atomic(int64_t) x_room;  /* own writes, any reads relaxed: left of the young half */
	counter32 x_young, x_old; /* own writes, any reads relaxed: blocks in each half */
	_Atomic(uint64_t) x_old_bytes; /* own writes, any reads relaxed */
	uint64_t random;               /* own: of the order in which blocks leave */
	bool turning;                  /* own: blocks are just leaving */
	struct block *young[QUARANTINE_SLOTS], *old[QUARANTINE_SLOTS];
};

static ALWAYS_INLINE bool quarantine_is_on(const struct quarantine *q)
{
	return load_rlx(&q->x_half);
}

/* Holds a wiped block back; true when the young half is full now. */
static ALWAYS_INLINE bool quarantine_put(
	struct quarantine *q, const struct page *page, struct block *block)
{
	uint32_t n = load_rlx(&q->x_young);
	int64_t room =
		load_rlx(&q->x_room) - (int64_t)(load_rlx(&page->x_bytes) + load_rlx(&q->x_toll));
	block->next = NULL;
	block->mark = mark_resting(page);
	q->young[n] = block;
	store_rlx(&q->x_young, n + 1);
	store_rlx(&q->x_room, room);
	return room < 0;
}

/* Has nobody written to a block since it was held back? */
static ALWAYS_INLINE void page_check_held(const struct page *page, const struct block *block)
{
	if (unlikely(block->mark != mark_resting(page) || block->next ||
		     !secure_is_wiped(page, block)))
		page_blame_list(page, block);
}

/* At the begin and end of a heap's use, also where a call was cut off in the middle. */
void quarantine_open(struct heap *h);

/* The old half leaves, and the young one becomes it. */
void quarantine_turn(struct heap *h);

/* Everything leaves. */
void quarantine_flush(struct heap *h);

/* Blocks by number, up to quarantine_blocks. */
struct block *quarantine_block(struct quarantine *q, uint32_t i);

/* any: what is held; exact while the owner does nothing. */
uint64_t quarantine_blocks(struct quarantine *q);
uint64_t quarantine_bytes(struct quarantine *q);

#else

struct quarantine {
};

static ALWAYS_INLINE bool quarantine_is_on(const struct quarantine *q)
{
	(void)q;
	return false;
}

static ALWAYS_INLINE bool quarantine_put(
	struct quarantine *q, const struct page *page, struct block *block)
{
	(void)q;
	(void)page;
	(void)block;
	return false;
}

static inline void page_check_held(const struct page *page, const struct block *block)
{
	(void)page;
	(void)block;
}

static inline void quarantine_open(struct heap *h)
{
	(void)h;
}

static inline void quarantine_turn(struct heap *h)
{
	(void)h;
}

static inline void quarantine_flush(struct heap *h)
{
	(void)h;
}

static inline struct block *quarantine_block(struct quarantine *q, uint32_t i)
{
	(void)q;
	(void)i;
	return NULL;
}

static inline uint64_t quarantine_blocks(struct quarantine *q)
{
	(void)q;
	return 0;
}

static inline uint64_t quarantine_bytes(struct quarantine *q)
{
	(void)q;
	return 0;
}

#endif
#endif
