/*
 * page.c: the life of a small page.
 *
 *              | take              | let go            | scan for partial
 *   take       | CAS, one wins     | after the store   | CAS, one wins
 *   let go     |                   | one owner         | bit after owner [P2]
 *   scan       |                   |                   | bit, then CAS
 */
#include "segments/page.h"

#include "base/os.h"
#include "policy/clock.h"
#include "segments/map.h"
#include "segments/reap.h"
#include "segments/span.h"

/* Blocks are linked up to the next multiple of this: where that may cost page faults, and
 * where the memory was in use before. */
#define CARVE_BYTES_FRESH ((size_t)4096)
#define CARVE_BYTES_RESIDENT ((size_t)16384)

struct block list_end;

/* Blocks below are made; what page_may_free compares with follows from it. */
static void set_carved(struct page *page, unsigned carved)
{
	uint32_t bytes = (uint32_t)load_rlx(&page->x_bytes), excess = page->start_factor * bytes;
	store_rlx(&page->x_carved, (uint16_t)carved);
	/* Beyond the factor, other offsets could pass. */
	page->start_limit = (uint32_t)min_size((size_t)carved * excess, (size_t)page->start_factor);
}

void page_init(struct page *page, unsigned size_class, uintptr_t owner, bool zero)
{
	size_t bytes = class_bytes(size_class);
	secure_page(page, bytes);
	page->free = &list_end;
	page->next = page->prev = NULL;
	page->size_class = (uint8_t)size_class;
	page->total = (uint16_t)(page_span_bytes(page) / bytes);
	page->queued = page->first_class = page->trimmed = page->tail_purged = false;
	page->zero = zero;
	page->site = 0;
	store_rlx(&page->x_away, 0);
	store_rlx(&page->x_reaped, 0);
	store_rlx(&page->x_tail, TAIL_OPEN);
	store_rlx(&page->x_used, 0);
	store_rlx(&page->x_pinned, 0);
	store_rlx(&page->x_bytes, bytes);
	page->start_factor = (uint32_t)(((uint64_t)1 << 32) / bytes + 1);
	set_carved(page, 0);
	for (unsigned i = 1; i < page->slices; i++) {
		page[i].head = page;
		store_rlx(&page[i].x_owner, OWNER_INSIDE);
	}
	store_rlx(&page->x_owner, owner);
}

static ALWAYS_INLINE char *link_block(struct page *page, char *block, size_t bytes)
{
	char *next = block + bytes;
	list_link(page, (struct block *)block, (struct block *)next);
	return next;
}

/* By fours: this loop is what a new block costs beyond the fast path. */
static void link_blocks(struct page *page, char *block, size_t count, size_t bytes)
{
	size_t left = count - 1;
	for (; left >= 4; left -= 4) {
		block = link_block(page, link_block(page, block, bytes), bytes);
		block = link_block(page, link_block(page, block, bytes), bytes);
	}
	for (; left; left--)
		block = link_block(page, block, bytes);
	list_link(page, (struct block *)block, &list_end);
}

/* The same in random order; returns the first. */
static struct block *link_shuffled(struct page *page, char *first, size_t count, size_t bytes)
{
	uint16_t order[CARVE_BYTES_RESIDENT / BLOCK_ALIGN + 1];
	struct block *next = &list_end;
	secure_order(order, count);
	for (size_t i = 0; i < count; i++) {
		struct block *block = (struct block *)(first + order[i] * bytes);
		list_link(page, block, next);
		next = block;
	}
	return next;
}

void page_carve(struct page *page, bool populate)
{
	size_t bytes = load_rlx(&page->x_bytes);
	unsigned carved = load_rlx(&page->x_carved);
	ASSERT(list_is_empty(page) && !load_rlx(&page->x_away) && carved < page->total);
	if (populate && page->zero && !carved)
		os_populate(page->start, page_span_bytes(page));
	char *first = page->start + carved * bytes;
	size_t step = page->zero ? CARVE_BYTES_FRESH : CARVE_BYTES_RESIDENT;
	size_t count = (align_up((uintptr_t)first + bytes, step) - (uintptr_t)first) / bytes;
	count = min_size(count, page->total - carved);
	if (HAK_SECURE) {
		page->free = link_shuffled(page, first, count, bytes);
	} else {
		link_blocks(page, first, count, bytes);
		page->free = (struct block *)first;
	}
	set_carved(page, carved + (unsigned)count);
}

void page_free(struct page *page)
{
	ASSERT(load_rlx(&page->x_used) == 0 && !page->queued && !load_rlx(&page->x_reaped));
	page->free = &list_end;
	set_carved(page, 0);
	span_free(page);
}

/* The load first: a page that changes hands often keeps its bit. */
static bool set_bit(_Atomic(uint64_t) *x_word, uint64_t bit)
{
	return !(load_sc(x_word) & bit) && !(or_sc(x_word, bit) & bit); /* [P2] */
}

static void partial_set(struct region *r, size_t index, unsigned c)
{
	uint64_t bit = (uint64_t)1 << (index % 64);
	size_t word = index / 64;
	_Atomic(uint64_t) *x_word = &r->x_partial[c][word];
	if (!set_bit(x_word, bit))
		return;
	add_rlx(&nodes[r->node].x_partial[c], 1);
	or_rel(&r->x_partial_words[c], (uint64_t)1 << (word / PARTIAL_STRIDE)); /* [S4] */
}

static void untrimmed_set(struct region *r, size_t index)
{
	if (!set_bit(&r->x_untrimmed[index / 64], (uint64_t)1 << (index % 64)))
		return;
	add_sc(&nodes[r->node].x_untrimmed, 1); /* [T1] */
	clock_poke();
}

/* True for the one caller that found the bit set. */
static bool partial_clear(struct region *r, size_t index, unsigned c)
{
	uint64_t bit = (uint64_t)1 << (index % 64);
	if (!(and_sc(&r->x_partial[c][index / 64], ~bit) & bit)) /* [P2] */
		return false;
	sub_rlx(&nodes[r->node].x_partial[c], 1);
	return true;
}

static void disown(struct page *page)
{
	atomic_store_explicit(
		&page->x_owner, OWNER_NOBODY, memory_order_seq_cst); /* [P1] [P2] [V2] */
}

void page_let_go(struct page *page)
{
	struct region *r = page_region(page);
	uintptr_t owner = page_owner(page);
	bool partial, trimmed;
	unsigned c;
	ASSERT(load_rlx(&page->x_used) > 0 && !page->queued && !load_rlx(&page->x_pinned));
	do {
		if (page_collect(page) && load_rlx(&page->x_used) == 0) {
			page_free(page);
			return;
		}
		/* Once more each time: taken back, it may be a page of another class. */
		c = page->size_class;
		partial = page_is_partial(page);
		trimmed = page->trimmed;
		disown(page);
	} while (unlikely(load_sc(&page->x_reaped)) && page_take(page, owner)); /* [V2] */
	if (!partial)
		return;
	partial_set(r, (size_t)(page - r->pages), c);
	if (!trimmed)
		untrimmed_set(r, (size_t)(page - r->pages));
}

bool page_take(struct page *page, uintptr_t owner)
{
	uintptr_t nobody = OWNER_NOBODY;
	return atomic_compare_exchange_strong_explicit(&page->x_owner, &nobody, owner,
		memory_order_seq_cst, memory_order_seq_cst); /* [P1] [P2] */
}

/*
 * Wins the page behind a bit that was just cleared. A stale bit may name a
 * page that has an owner, or one that was let go as another class.
 */
static struct page *take_hinted(struct region *r, size_t index, unsigned c, uintptr_t owner)
{
	struct page *page = &r->pages[index];
	if (!page_take(page, owner))
		return NULL;
	if (page->size_class == c && page_has_room(page))
		return page;
	page_let_go(page);
	return NULL;
}

static struct page *scan_word(struct region *r, size_t word, unsigned c, uintptr_t owner)
{
	uint64_t bits = load_rlx(&r->x_partial[c][word]);
	for (; bits; bits &= bits - 1) {
		size_t index = word * 64 + (size_t)__builtin_ctzl(bits);
		struct page *page =
			partial_clear(r, index, c) ? take_hinted(r, index, c, owner) : NULL;
		if (page)
			return page;
	}
	return NULL;
}

static struct page *scan_region(struct region *r, unsigned c, uintptr_t owner)
{
	uint64_t strides = load_rlx(&r->x_partial_words[c]);
	for (; strides; strides &= strides - 1) {
		size_t stride = (size_t)__builtin_ctzl(strides), from = stride * PARTIAL_STRIDE;
		size_t to = min_size(from + PARTIAL_STRIDE, REGION_SLICES / 64);
		for (size_t word = from; word < to; word++) {
			struct page *page = scan_word(r, word, c, owner);
			if (page)
				return page;
		}
		/* Empty: forget it, unless a bit was set meanwhile. */
		and_acq(&r->x_partial_words[c], ~((uint64_t)1 << stride)); /* [S4] */
		for (size_t word = from; word < to; word++)
			if (load_rlx(&r->x_partial[c][word]))
				or_rlx(&r->x_partial_words[c], (uint64_t)1 << stride);
	}
	return NULL;
}

static struct page *take_partial(unsigned node, unsigned kind, unsigned c, uintptr_t owner)
{
	struct region *r = load_acq(&nodes[node].x_regions[kind]); /* [R1] */
	for (unsigned tries = 0; r && tries < SEARCH_REGIONS;) {
		bool room = load_rlx(&r->x_partial_words[c]);
		struct page *page = room ? scan_region(r, c, owner) : NULL;
		if (page)
			return page;
		tries += room;
		r = load_acq(&r->x_next); /* [R1+] */
	}
	return NULL;
}

struct page *page_take_partial(unsigned node, unsigned c, uintptr_t owner)
{
	if (!load_rlx(&nodes[node].x_partial[c]))
		return NULL;
	struct page *page = take_partial(node, REGION_SPANS | REGION_HUGE, c, owner);
	return page ? page : take_partial(node, REGION_SPANS, c, owner);
}
