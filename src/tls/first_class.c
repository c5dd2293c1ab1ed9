/*
 * first_class.c: see first_class.h. Pages of such a heap are never let go, and
 * its blocks are never stashed, so that destroying it finds everything. The
 * set itself is a block of the default heap.
 */
#include "tls/first_class.h"

#include "base/check.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/span.h"
#include "segments/whale.h"
#include "tls/alloc.h"

#include <errno.h>
#include <string.h>

bool lease_try(struct heap *h)
{
	uint32_t idle = 0;
	return cas_acq(&h->x_lease, &idle, 1); /* [L1] */
}

void lease_end(struct heap *h)
{
	store_rel(&h->x_lease, 0); /* [L1] */
}

void lease_drain(struct heap *h)
{
	if (inbox_is_empty(&h->inbox) || !lease_try(h))
		return;
	heap_drain(h);
	lease_end(h);
}

/* A heap for slot i, made when there is none. The caller holds no lease. */
static struct heap *slot_heap(struct hak_heap *set, unsigned i)
{
	struct heap *h = load_acq(&set->x_heaps[i]);
	if (h)
		return h;
	struct heap *made = heap_get(set->node);
	if (!made)
		return NULL;
	made->first_class = true;
	if (cas_acq_rel(&set->x_heaps[i], &h, made))
		return made;
	heap_put(made);
	return h;
}

struct hak_heap *first_class_create(void)
{
	struct hak_heap *set = alloc_zeroed(sizeof *set);
	if (!set)
		return NULL;
	set->node = topology_current_node();
	if (slot_heap(set, 0))
		return set;
	block_free(set);
	return NULL;
}

/* Some heap of the set, leased; NULL when there is no memory or all are taken. */
static struct heap *lease(struct hak_heap *set)
{
	for (unsigned i = 0; i < LEASES_MAX; i++) {
		struct heap *h = slot_heap(set, i);
		if (!h)
			return NULL;
		if (lease_try(h))
			return h;
	}
	errno = ENOMEM;
	return NULL;
}

static void keep(struct heap *h, void *block)
{
	struct page *page = block_page(block);
	page->keeper = h;
	store_rlx(&page->x_owner, OWNER_KEPT);
	heap_keep(&h->kept, page);
}

void *first_class_alloc(struct hak_heap *set, size_t size, size_t align, bool zero)
{
	struct heap *h = lease(set);
	if (!h)
		return NULL;
	bool is_zero;
	void *block = alloc_from(h, size, align, &is_zero);
	if (block && page_owner(block_page(block)) <= OWNER_SPECIAL_MAX)
		keep(h, block);
	lease_end(h);
	if (block && zero && !is_zero)
		memset(block, 0, block_bytes(block));
	return block;
}

static void drop_pages(struct heap *h)
{
	for (unsigned c = 0; c < SMALL_CLASSES; c++) {
		heap_retire_current(h, c);
		while (h->queue[c].first) {
			struct page *page = h->queue[c].first;
			heap_dequeue(h, page);
			heap_keep(&h->full, page);
		}
	}
	while (h->full) {
		struct page *page = h->full;
		heap_unkeep(&h->full, page);
		store_rlx(&page->x_used, 0);
		page_free(page);
	}
}

static void drop_kept(struct heap *h)
{
	while (h->kept) {
		struct page *page = h->kept;
		heap_unkeep(&h->kept, page);
		page->keeper = NULL;
		if (load_rlx(&page->x_bytes) > MID_MAX)
			whale_free(page);
		else
			span_free(page);
	}
}

/* Nobody else uses the heap, so a lease that is taken means a program in error. */
void first_class_destroy(struct hak_heap *set)
{
	for (unsigned i = 0; i < LEASES_MAX; i++) {
		struct heap *h = load_acq(&set->x_heaps[i]);
		if (!h)
			continue;
		CHECK(lease_try(h), "hak_heap_destroy(%p): the heap is in use by another thread",
			(void *)set);
		while (heap_drain(h))
			;
		drop_pages(h);
		drop_kept(h);
		heap_flush_mid(h);
		lease_end(h);
		heap_put(h);
	}
	block_free(set);
}
