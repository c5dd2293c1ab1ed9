/*
 * quarantine.c: see quarantine.h.
 */
#include "tls/quarantine.h"

#if HAK_SECURE

#include "base/options.h"
#include "segments/blame.h"
#include "segments/map.h"
#include "segments/page.h"
#include "tls/heap.h"

#include <string.h>

static uint64_t young_bytes(struct quarantine *q)
{
	return load_rlx(&q->x_half) - (uint64_t)load_rlx(&q->x_room) -
	       load_rlx(&q->x_young) * load_rlx(&q->x_toll);
}

/* First-class heaps hold nothing: what is destroyed with its heap is not freed by the block. */
static void begin_young(const struct heap *h, struct quarantine *q)
{
	size_t half = h->first_class ? 0 : load_rlx(&options.x_quarantine) / 2;
	store_rlx(&q->x_half, half);
	store_rlx(&q->x_toll, (half + QUARANTINE_SLOTS - 1) / QUARANTINE_SLOTS);
	store_rlx(&q->x_young, 0);
	store_rlx(&q->x_room, (int64_t)half);
}

void quarantine_open(struct heap *h)
{
	struct quarantine *q = &h->quarantine;
	q->turning = false;
	if (!load_rlx(&q->x_young))
		begin_young(h, q);
	if (!q->random)
		q->random = secure_random();
}

/* Nearly always the page is ours, and a current one or in its queue. */
static ALWAYS_INLINE void leave(struct heap *h, struct block *block)
{
	struct page *page = block_page(block);
	page_check_held(page, block);
	if (unlikely(page_owner(page) != (uintptr_t)h ||
		     !(page->queued | load_rlx(&page->x_pinned))))
		heap_free_held(h, page, block);
	else if (unlikely(page_push(page, block)))
		heap_page_emptied(h, page);
}

static void empty_old(struct heap *h, struct quarantine *q)
{
	uint64_t random = q->random;
	for (uint32_t left = load_rlx(&q->x_old); left > 0; left--) {
		uint32_t i = (uint32_t)(((random >> 32) * left) >> 32);
		struct block *block = q->old[i];
		random = secure_next(random);
		q->old[i] = q->old[left - 1];
		store_rlx(&q->x_old, left - 1);
		leave(h, block);
	}
	q->random = random;
}

/* What leaves can make the heap give up its pages, and that asks for the same: once is enough. */
void quarantine_turn(struct heap *h)
{
	struct quarantine *q = &h->quarantine;
	if (q->turning)
		return;
	q->turning = true;
	empty_old(h, q);
	memcpy(q->old, q->young, load_rlx(&q->x_young) * sizeof *q->old);
	store_rlx(&q->x_old_bytes, young_bytes(q));
	store_rlx(&q->x_old, load_rlx(&q->x_young));
	begin_young(h, q);
	/* Pages that wait for blocks that are held are not for a heap that holds none. */
	if (!load_rlx(&q->x_half))
		empty_old(h, q);
	q->turning = false;
}

void quarantine_flush(struct heap *h)
{
	bool was_leaving = h->leaving;
	h->leaving = true;
	quarantine_turn(h);
	quarantine_turn(h);
	h->leaving = was_leaving;
}

struct block *quarantine_block(struct quarantine *q, uint32_t i)
{
	uint32_t young = load_rlx(&q->x_young);
	return i < young ? q->young[i] : q->old[i - young];
}

uint64_t quarantine_blocks(struct quarantine *q)
{
	return (uint64_t)load_rlx(&q->x_young) + load_rlx(&q->x_old);
}

uint64_t quarantine_bytes(struct quarantine *q)
{
	return young_bytes(q) + load_rlx(&q->x_old_bytes);
}

#endif
