/*
 * trim.c: see trim.h. A page is cut into units: its blocks, where a block has
 * at least one system page; else its system pages. A unit is *away* (a bit of
 * x_away) when all blocks that touch it are free; these are on no list then,
 * and the memory between is purged. They come back a unit at a time, before
 * the page is carved any further, so no block beyond x_carved touches a unit
 * that is away and has others in use.
 */
#include "segments/trim.h"

#include "base/check.h"
#include "segments/blame.h"
#include "segments/map.h"
#include "segments/page.h"

/* A page of several slices has few blocks: its blocks are large. */
#define BLOCKS_MAX (SLICE_BYTES / BLOCK_ALIGN)

static bool by_blocks(size_t bytes)
{
	return bytes >= TRIM_BYTES;
}

/* Blocks first .. end touch a unit; `total` bounds them. */
static unsigned unit_first(size_t bytes, unsigned unit)
{
	return by_blocks(bytes) ? unit : (unsigned)(unit * TRIM_BYTES / bytes);
}

static unsigned unit_end(size_t bytes, unsigned unit, unsigned total)
{
	unsigned end =
		by_blocks(bytes) ? unit + 1 : (unsigned)(((unit + 1) * TRIM_BYTES - 1) / bytes + 1);
	return end < total ? end : total;
}

static bool block_is_away(size_t bytes, uint32_t away, unsigned block)
{
	if (by_blocks(bytes))
		return away >> block & 1;
	size_t first = block * bytes / TRIM_BYTES, last = ((block + 1) * bytes - 1) / TRIM_BYTES;
	return (away >> first & 1) || (away >> last & 1);
}

unsigned page_away_blocks(const struct page *page)
{
	size_t bytes = load_rlx(&page->x_bytes);
	uint32_t away = load_rlx(&page->x_away);
	unsigned carved = load_rlx(&page->x_carved), count = 0;
	for (unsigned block = 0; away && block < carved; block++)
		count += block_is_away(bytes, away, block);
	return count;
}

struct bits {
	uint64_t word[BLOCKS_MAX / 64];
};

static void bit_set(struct bits *b, unsigned i)
{
	b->word[i / 64] |= (uint64_t)1 << (i % 64);
}

static bool bit_get(const struct bits *b, unsigned i)
{
	return b->word[i / 64] >> (i % 64) & 1;
}

/* The blocks that nobody uses: on the free list, away, or not carved yet. */
static void find_free(const struct page *page, struct bits *b)
{
	size_t bytes = load_rlx(&page->x_bytes);
	unsigned carved = load_rlx(&page->x_carved);
	uint32_t away = load_rlx(&page->x_away);
	for (struct block *block = page->free; block != &list_end; block = list_next(page, block))
		bit_set(b, class_index(page->size_class, (size_t)((char *)block - page->start)));
	for (unsigned i = 0; away && i < carved; i++)
		if (block_is_away(bytes, away, i))
			bit_set(b, i);
	for (unsigned i = carved; i < page->total; i++)
		bit_set(b, i);
}

/* The units whose blocks are all free, one of them carved. */
static uint32_t find_units(const struct page *page, const struct bits *b)
{
	size_t bytes = load_rlx(&page->x_bytes);
	unsigned carved = load_rlx(&page->x_carved);
	uint32_t units = 0;
	for (unsigned unit = 0; unit_first(bytes, unit) < carved; unit++) {
		unsigned i = unit_first(bytes, unit), end = unit_end(bytes, unit, page->total);
		ASSERT(unit < 32);
		while (i < end && bit_get(b, i))
			i++;
		if (i == end)
			units |= (uint32_t)1 << unit;
	}
	return units;
}

/* What is free and not away, in the order of addresses. What goes away has no mark. */
static void relink(struct page *page, const struct bits *b, uint32_t away, uint32_t before)
{
	size_t bytes = load_rlx(&page->x_bytes);
	page->free = &list_end;
	for (unsigned i = load_rlx(&page->x_carved); i-- > 0;) {
		struct block *block = (struct block *)(page->start + i * bytes);
		if (!bit_get(b, i) || block_is_away(bytes, before, i))
			continue;
		if (block_is_away(bytes, away, i)) {
			block->mark = 0;
			continue;
		}
		list_link(page, block, page->free);
		page->free = block;
	}
}

/* Whole system pages between two offsets. */
static size_t add_range(
	struct page *page, size_t from, size_t to, struct iovec *ranges, size_t count)
{
	from = align_up(from, TRIM_BYTES);
	to = align_down(to, TRIM_BYTES);
	if (from >= to)
		return count;
	ranges[count] = (struct iovec){page->start + from, to - from};
	return count + 1;
}

/*
 * Runs of units in which one is new. What lies beyond the blocks may have been
 * in use before, or populated: it goes the first time.
 */
static size_t find_ranges(struct page *page, uint32_t away, uint32_t fresh, struct iovec *ranges)
{
	size_t bytes = load_rlx(&page->x_bytes), count = 0;
	size_t unit = by_blocks(bytes) ? bytes : TRIM_BYTES;
	size_t carved = load_rlx(&page->x_carved) * bytes;
	bool tail = !page->tail_purged;
	uint32_t left = away;
	while (left) {
		unsigned first = (unsigned)__builtin_ctz(left);
		uint32_t rest = ~(left >> first);
		unsigned end = first + (rest ? (unsigned)__builtin_ctz(rest) : 32);
		uint32_t run = (uint32_t)(((uint64_t)1 << end) - ((uint64_t)1 << first));
		size_t to = end * unit;
		if (to >= carved) {
			to = tail ? page_span_bytes(page) : align_up(to, TRIM_BYTES);
			tail = false;
		}
		if (run & fresh)
			count = add_range(page, first * unit, to, ranges, count);
		left &= ~run;
	}
	if (tail)
		count = add_range(page, carved, page_span_bytes(page), ranges, count);
	return count;
}

size_t page_trim(struct page *page, struct iovec *ranges)
{
	struct bits b = {{0}};
	uint32_t before = load_rlx(&page->x_away);
	page_check_list(page);
	find_free(page, &b);
	uint32_t away = find_units(page, &b);
	ASSERT((away & before) == before);
	store_rlx(&page->x_away, away);
	relink(page, &b, away, before);
	size_t count = find_ranges(page, away, away & ~before, ranges);
	page->tail_purged = true;
	page->trimmed = true;
	return count;
}

/* Links the carved blocks of a unit that no other unit keeps away. */
static void restore_unit(struct page *page, unsigned unit, uint32_t away)
{
	size_t bytes = load_rlx(&page->x_bytes);
	unsigned carved = load_rlx(&page->x_carved);
	for (unsigned i = unit_end(bytes, unit, carved); i-- > unit_first(bytes, unit);) {
		struct block *block = (struct block *)(page->start + i * bytes);
		if (block_is_away(bytes, away, i))
			continue;
		if (HAK_CHECKED && block->mark)
			page_blame_list(page, block);
		list_link(page, block, page->free);
		page->free = block;
	}
}

void page_restore(struct page *page)
{
	uint32_t away = load_rlx(&page->x_away);
	ASSERT(list_is_empty(page) && away);
	while (list_is_empty(page) && away) {
		unsigned unit = (unsigned)__builtin_ctz(away);
		away &= away - 1;
		restore_unit(page, unit, away);
	}
	store_rlx(&page->x_away, away);
	page->trimmed = false;
}

struct page *page_take_untrimmed(struct region *r, size_t word, uint64_t *bits, uintptr_t owner)
{
	while (*bits) {
		size_t index = word * 64 + (size_t)__builtin_ctzl(*bits);
		uint64_t bit = *bits & -*bits;
		*bits &= *bits - 1;
		if (!(and_sc(&r->x_untrimmed[word], ~bit) & bit)) /* [P2] */
			continue;
		sub_rlx(&nodes[r->node].x_untrimmed, 1);
		if (page_take(&r->pages[index], owner))
			return &r->pages[index];
	}
	return NULL;
}
