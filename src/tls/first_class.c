/*
 * first_class.c: see first_class.h. Pages of such a heap are never let go, and
 * its blocks are never stashed, so that destroying it finds everything. The
 * set itself is a block of the default heap.
 */
#include "tls/first_class.h"

#include "base/check.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/secure.h"
#include "tls/alloc.h"

#include <string.h>

/* Leases of threads that a fork left behind never end: they have an older number. */
static _Atomic(uint32_t) x_generation = 1; /* any: relaxed; changes in a forked child only */

void lease_forked(void)
{
	add_rlx(&x_generation, 1);
}

bool lease_try(struct heap *h)
{
	uint32_t idle = 0;
	return atomic_compare_exchange_strong_explicit(&h->x_lease, &idle, load_rlx(&x_generation),
		memory_order_seq_cst, memory_order_seq_cst); /* [L1] [L2] */
}

static bool lease_is_lost(struct heap *h)
{
	uint32_t lease = load_rlx(&h->x_lease);
	return lease != 0 && lease != load_rlx(&x_generation);
}

/* What came in while nobody else could free it is freed by whoever ends last. */
void lease_end(struct heap *h)
{
	do
		xchg_sc(&h->x_lease, 0);                                        /* [L1] [L2] */
	while (load_sc(&h->inbox.x_list) && lease_try(h) && heap_drain_all(h)); /* [L2] */
}

void lease_drain(struct heap *h)
{
	if (!lease_try(h))
		return;
	heap_drain_all(h);
	lease_end(h);
}

/* A heap for slot i, made when there is none. The caller holds no lease. */
static struct heap *slot_heap(struct hak_heap *set, unsigned i)
{
	struct heap *h = load_acq(&set->x_heaps[i]); /* [L3] */
	if (h)
		return h;
	struct heap *made = heap_get(set->node, true);
	if (!made)
		return NULL;
	if (cas_acq_rel(&set->x_heaps[i], &h, made)) /* [L3] */
		return made;
	heap_put(made);
	return h;
}

static struct hak_heap *make_set(unsigned node)
{
	struct hak_heap *set = alloc_zeroed(sizeof *set);
	if (set)
		set->node = node;
	return set;
}

/* Further heaps, made when there are none. */
static struct hak_heap *more(struct hak_heap *set)
{
	struct hak_heap *found = load_acq(&set->x_more); /* [L3] */
	if (found)
		return found;
	struct hak_heap *made = make_set(set->node);
	if (!made || cas_acq_rel(&set->x_more, &found, made)) /* [L3] */
		return made;
	block_free(made);
	return found;
}

/* Some heap of the set, leased; NULL when there is no memory. */
static struct heap *lease(struct hak_heap *set)
{
	for (; set; set = more(set)) {
		for (unsigned i = 0; i < LEASES; i++) {
			struct heap *h = slot_heap(set, i);
			if (!h)
				return NULL;
			if (lease_try(h))
				return h;
		}
	}
	return NULL;
}

struct hak_heap *first_class_create(unsigned node)
{
	struct hak_heap *set = make_set(node);
	if (!set || slot_heap(set, 0))
		return set;
	block_free(set);
	return NULL;
}

/*
 * The span may have had smaller blocks before: what is left of their marks must
 * not become one by what the program writes beside it.
 */
static void keep(struct heap *h, struct block *block, bool is_zero)
{
	struct page *page = block_page(block);
	if (!is_zero)
		block->mark = 0;
	page->keeper = h;
	secure_big(page);
	store_rlx(&page->x_owner, page_owner(page) | OWNER_KEPT);
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
		keep(h, block, is_zero);
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
		secure_wipe_page(page);
		page_free(page);
	}
}

static void drop(struct heap *h)
{
	heap_drain_all(h);
	drop_pages(h);
	while (h->kept)
		heap_free_kept(h, h->kept);
	heap_flush_mid(h);
	lease_end(h);
	heap_put(h);
}

/*
 * Nobody else uses the heap, so a lease that is taken means a program in error,
 * or a thread that a fork left behind: what that one had in hand is lost.
 */
static void destroy(struct hak_heap *set)
{
	for (unsigned i = 0; i < LEASES; i++) {
		struct heap *h = load_acq(&set->x_heaps[i]); /* [L3] */
		if (h && lease_try(h))
			drop(h);
		else
			CHECK(!h || lease_is_lost(h),
				"hak_heap_destroy(%p): the heap is in use by another thread",
				(void *)set);
	}
}

void first_class_destroy(struct hak_heap *set)
{
	while (set) {
		struct hak_heap *next = load_acq(&set->x_more); /* [L3] */
		destroy(set);
		block_free(set);
		set = next;
	}
}
