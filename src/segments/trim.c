/*
 * trim.c: see trim.h. A unit of a page (units.h) is *away* (a bit of x_away)
 * when all blocks that touch it are free; these are on no list then, and the
 * memory between is purged. They come back a unit at a time, before the page is
 * carved any further, so no block beyond x_carved touches a unit that is away
 * and has others in use.
 */
#include "segments/trim.h"

#include "base/check.h"
#include "segments/blame.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/units.h"

/* A page of several slices has few blocks: its blocks are large. */
#define BLOCKS_MAX (SLICE_BYTES / BLOCK_ALIGN)

unsigned units_blocks(const struct page *page, uint32_t units)
{
	size_t bytes = load_rlx(&page->x_bytes);
	unsigned carved = load_rlx(&page->x_carved), count = 0;
	for (unsigned block = 0; units && block < carved; block++)
		count += block_is_away(bytes, units, block);
	return count;
}

unsigned page_away_blocks(const struct page *page)
{
	return units_blocks(page, load_rlx(&page->x_away));
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
		ASSERT(unit < UNITS_MAX);
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
	const struct page *page, size_t from, size_t to, struct iovec *ranges, size_t count)
{
	from = align_up(from, TRIM_BYTES);
	to = align_down(to, TRIM_BYTES);
	if (from >= to)
		return count;
	ranges[count] = (struct iovec){page->start + from, to - from};
	return count + 1;
}

size_t units_ranges(const struct page *page, uint32_t units, uint32_t fresh, struct tail tail,
	struct iovec *ranges)
{
	size_t bytes = load_rlx(&page->x_bytes), count = 0;
	size_t unit = units_are_blocks(bytes) ? bytes : TRIM_BYTES;
	uint32_t left = units;
	while (left) {
		unsigned first = (unsigned)__builtin_ctz(left);
		uint32_t rest = ~(left >> first);
		unsigned end = first + (rest ? (unsigned)__builtin_ctz(rest) : UNITS_MAX);
		uint32_t run = (uint32_t)(((uint64_t)1 << end) - ((uint64_t)1 << first));
		size_t to = end * unit;
		if (to >= tail.from) {
			to = tail.goes ? page_span_bytes(page) : align_up(to, TRIM_BYTES);
			tail.goes = false;
		}
		if (run & fresh)
			count = add_range(page, first * unit, to, ranges, count);
		left &= ~run;
	}
	if (tail.goes)
		count = add_range(page, tail.from, page_span_bytes(page), ranges, count);
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
	/* What lies beyond the blocks may have been in use before, or populated: it goes once. */
	struct tail tail = {
		load_rlx(&page->x_carved) * load_rlx(&page->x_bytes), !page->tail_purged};
	size_t count = units_ranges(page, away, away & ~before, tail, ranges);
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
