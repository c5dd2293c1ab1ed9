/*
 * alloc.c: where the fast paths go when they cannot finish: mid blocks and
 * whales, an empty free list, the first call of a thread, foreign pointers.
 */
#include "tls/alloc.h"

#include "base/options.h"
#include "base/os.h"
#include "policy/limit.h"
#include "numa/place.h"
#include "segments/blame.h"
#include "segments/guard.h"
#include "segments/span.h"
#include "segments/whale.h"
#include "tls/foreign.h"
#include "tls/helper.h"
#include "tls/sample.h"
#include "tls/thread.h"
#include "tls/verify.h"

#include <errno.h>
#include <string.h>

static void *alloc_whale(struct heap *h, size_t size, size_t align, bool *zero)
{
	struct page *page = whale_alloc(h->place, size, align, zero);
	if (page)
		heap_site(h, page, *zero ? size : 0);
	return page ? page->start : NULL;
}

/* The smallest class that holds `size` and whose blocks are multiples of `align`. */
static unsigned class_of_aligned(size_t size, size_t align)
{
	unsigned c = class_of(max_size(size, align));
	while (c < SMALL_CLASSES && (class_bytes(c) & (align - 1)))
		c++;
	return c;
}

void *alloc_from(struct heap *h, size_t size, size_t align, bool *zero)
{
	if (unlikely(size > MID_MAX || align >= GRANULE_BYTES))
		return alloc_whale(h, size, align, zero);
	unsigned c = align > BLOCK_ALIGN ? class_of_aligned(size, align) : class_of(size);
	if (c < SMALL_CLASSES)
		return heap_alloc_small(h, c, zero);
	if (unlikely(c >= CLASSES))
		return alloc_whale(h, size, align, zero);
	return heap_alloc_mid(h, c, align, zero);
}

/* The heap from which a thread of a machine with several nodes takes a block. */
static COLD struct heap *placed(struct heap *h, size_t size, size_t align)
{
	bool fresh = size > SMALL_MAX || align >= SLICE_BYTES ||
		     heap_wants_memory(h, class_of_aligned(size, align));
	return h == tls_home ? thread_place(h, fresh) : h;
}

/* From this thread's heap, or from a borrowed one. */
static NOINLINE void *alloc_entered(size_t size, size_t align, bool *zero, void *caller)
{
	struct heap *h = heap_enter();
	if (unlikely(!h))
		return NULL;
	if (unlikely(place_matters()))
		h = placed(h, size, align);
	if (unlikely(load_rlx(&options.x_verify)))
		verify_now_and_then(h);
	h->caller = (uintptr_t)caller;
	void *block = alloc_from(h, size, align, zero);
	if (unlikely(!block) && size <= SIZE_LIMIT) {
		/* What the heap itself holds back may be what is missing. */
		heap_flush(h);
		if (limit_exists())
			helper_purge_all();
		block = alloc_from(h, size, align, zero);
	}
	heap_leave(h);
	return block;
}

static NOINLINE void *alloc_small_entered(size_t size)
{
	bool zero;
	return alloc_entered(size, BLOCK_ALIGN, &zero, NULL); /* small blocks have no site */
}

/* A call that was counted, and goes on where the fast path would have found its block. */
static ALWAYS_INLINE void *alloc_counted(size_t size)
{
	struct heap *h = heap_look();
	struct block *block = page_pop(h->current[class_of(size)]);
	heap_done(h);
	return likely(block) ? block : alloc_small_entered(size);
}

void *alloc_due(size_t size)
{
	void *block = sample_block(size, BLOCK_ALIGN);
	return block ? block : alloc_counted(size);
}

/* No frame, no call: with sampling this is the path of most calls. */
void *alloc_small_slow(size_t size)
{
	if (likely(!sample_takes(size)))
		return alloc_small_entered(size);
	return sample_passes() ? alloc_counted(size) : alloc_due(size);
}

static NOINLINE void *alloc_large_slow(size_t size, void *caller)
{
	bool zero;
	return size <= GUARD_BYTES_MAX ? alloc_small_slow(size)
				       : alloc_entered(size, BLOCK_ALIGN, &zero, caller);
}

void *alloc_large(size_t size, void *caller)
{
	if (unlikely(size > MID_MAX))
		return alloc_large_slow(size, caller);
	struct heap *h = heap_look();
	size_t c = class_of_large(size);
	if (c < SMALL_CLASSES) {
		if (HAK_SECURE && size <= GUARD_BYTES_MAX && !sample_passes()) {
			heap_done(h);
			return alloc_due(size);
		}
		struct block *block = page_pop(h->front[c]);
		if (likely(block)) {
			heap_done(h);
			return block;
		}
	} else {
		struct page *page = h->mid[c - SMALL_CLASSES];
		if (likely(page)) {
			h->mid[c - SMALL_CLASSES] = page->next;
			h->mid_room += load_rlx(&page->x_bytes);
			store_rlx(&page->x_owner, OWNER_MID);
			heap_done(h);
			return page->start;
		}
	}
	heap_done(h);
	return alloc_large_slow(size, caller);
}

void *alloc_aligned(size_t size, size_t align, bool clear)
{
	bool zero = false;
	void *block = unlikely(sample_wants(size, align)) ? sample_block(size, align) : NULL;
	if (block)
		return block;
	block = alloc_entered(
		size, max_size(align, BLOCK_ALIGN), &zero, __builtin_return_address(0));
	if (clear && block && !zero)
		memset(block, 0, block_bytes(block));
	return block;
}

void *alloc_zeroed(size_t size)
{
	bool zero = false;
	void *block = NULL;
	if (unlikely(size > DIRECT_MAX && sample_wants(size, BLOCK_ALIGN)))
		block = sample_block(size, BLOCK_ALIGN);
	if (unlikely(block))
		return block;
	block = size <= DIRECT_MAX
			? block_alloc(size)
			: alloc_entered(size, BLOCK_ALIGN, &zero, __builtin_return_address(0));
	return block && !zero ? memset(block, 0, size) : block;
}

void free_emptied(struct page *page)
{
	/* First, because errno is a function of libc: what interrupts that may use the heap. */
	heap_hold();
	int saved = errno;
	heap_page_emptied(tls_home, page);
	errno = saved;
	heap_give(tls_home);
}

/* The young half of the quarantine is full. */
void free_turn(void)
{
	heap_hold();
	int saved = errno;
	quarantine_turn(tls_home);
	errno = saved;
	heap_give(tls_home);
}

void free_mid_fast(void *p, struct page *page)
{
	/* Before the heap is looked at: memset is a function of libc, see free_emptied. */
	if (HAK_SECURE && p == page->start)
		secure_wipe_mid(page);
	struct heap *h = heap_look();
	size_t bytes = load_rlx(&page->x_bytes);
	if (unlikely(p != page->start || bytes > h->mid_room || page->node != h->node)) {
		heap_done(h);
		free_slow(p);
		return;
	}
	struct page **stack = &h->mid[(size_t)page->size_class - SMALL_CLASSES];
	store_rlx(&page->x_owner, OWNER_CACHED);
	page->next = *stack;
	*stack = page;
	h->mid_room -= bytes;
	heap_done(h);
}

void free_slow(void *p)
{
	struct region *r = map_region(p);
	if (!p)
		return;
	if (unlikely(guard_has(p))) {
		guard_free(p);
		return;
	}
	if (unlikely(!r)) {
		foreign_free(p);
		return;
	}
	struct page *page = map_slice(r, p);
	if (unlikely(page_owner(page) == OWNER_NONE && !region_has(r, p))) {
		foreign_free(p);
		return;
	}
	int saved = errno;
	struct heap *h = heap_enter();
	if (unlikely(!h)) {
		free_without_heap(page, p);
		errno = saved;
		return;
	}
	heap_free_slow(h, page, p);
	heap_leave(h);
}

/* The descriptor of a block in use, given to `call`; NULL for a block that is not ours. */
static struct page *page_of_used(const void *p, const char *call)
{
	struct region *r = map_region(p);
	if (unlikely(!r))
		return NULL;
	struct page *page = block_page(p);
	uintptr_t owner = page_owner(page);
	if (unlikely(owner == OWNER_NONE && !region_has(r, p)))
		return NULL;
	if (likely(owner == OWNER_NOBODY || owner > OWNER_SPECIAL_MAX)) {
		bool mine = owner == (uintptr_t)tls_heap;
		bool first = (size_t)((const char *)p - page->start) < SLICE_BYTES;
		if (unlikely(!mine || !first || !page_may_free(page, p)))
			page_check_used(page, p, mine, call);
		return page;
	}
	CHECK(owner != OWNER_NONE && owner != OWNER_CACHED,
		"%s(%p): no block is in use there (double free, or not a pointer from malloc)",
		call, p);
	CHECK((const char *)p == page->start, "%s(%p): not the start of the block at %p", call, p,
		(void *)page->start);
	return page;
}

size_t block_bytes_for(const void *p, const char *call)
{
	if (!p)
		return 0;
	if (unlikely(guard_has(p)))
		return guard_bytes(p, call);
	struct page *page = page_of_used(p, call);
	return likely(page) ? load_rlx(&page->x_bytes) : foreign_bytes(p, call);
}

size_t block_bytes(const void *p)
{
	return block_bytes_for(p, "malloc_usable_size");
}

/* A block of `old` bytes stays where it is when realloc asks for so many. */
static bool stays(size_t old, size_t size)
{
	return size <= old && (size >= old / 2 || old <= LINEAR_MAX) && old <= MID_MAX;
}

void block_check_size(const void *p, size_t size, size_t align, bool resized)
{
	const char *call = "free with a size";
	if (unlikely(guard_has(p))) {
		size_t asked = guard_bytes(p, call);
		CHECK(size == asked, "free(%p) with a size of %zu: %zu bytes were asked for", p,
			size, asked);
		return;
	}
	struct page *page = p ? page_of_used(p, call) : NULL;
	if (!page)
		return;
	size_t bytes = load_rlx(&page->x_bytes);
	uintptr_t kind = page_owner(page) & ~OWNER_KEPT;
	bool right;
	if (resized && stays(bytes, size))
		right = true;
	else if (kind == OWNER_WHALE || kind == OWNER_MAPPED)
		right = size <= bytes && bytes - size <= os_page_bytes();
	else
		right = size <= MID_MAX && class_of_aligned(size, align) == page->size_class;
	CHECK(right, "free(%p) with a size of %zu: it is a block of %zu bytes", p, size, bytes);
}

void free_checked(void *p, size_t size)
{
	block_check_size(p, size, BLOCK_ALIGN, false);
	block_free(p);
}

/* A whale that becomes another whale keeps its pages wherever that can be done. */
static void *resize_whale(void *block, size_t size)
{
	struct page *page = block_page(block);
	uintptr_t kind = page_owner(page);
	if (size <= MID_MAX || (kind != OWNER_WHALE && kind != OWNER_MAPPED))
		return NULL;
	page = whale_resize(page, size);
	return page ? page->start : NULL;
}

void *block_resize(void *block, size_t size)
{
	if (!block)
		return block_alloc(size);
	if (size == 0) {
		block_free(block);
		return NULL;
	}
	bool guarded = guard_has(block);
	if (unlikely(!guarded && !foreign_is_ours(block)))
		return foreign_resize(block, size);
	size_t old = block_bytes_for(block, "realloc");
	if (likely(!guarded) && stays(old, size))
		return block;
	if (old > MID_MAX) {
		int saved = errno;
		void *moved = resize_whale(block, size);
		if (moved)
			return moved;
		errno = saved;
	}
	void *fresh = block_alloc(size);
	if (!fresh)
		return NULL;
	memcpy(fresh, block, min_size(size, old));
	block_free(block);
	return fresh;
}
