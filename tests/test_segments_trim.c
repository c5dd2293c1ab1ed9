/*
 * Trimming of small pages, every size class, many patterns of free blocks: exactly the system pages
 * that no block in use touches are given back, no block is lost or comes twice, what is in use keeps
 * its contents, and the memory really leaves.
 */
#include "segments/trim.h"

#include "base/os.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/region.h"
#include "segments/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum {
	PATTERNS = HAK_SANITIZE ? 10 : 40, /* of each class */
	TURNS = 6,                         /* trims of each pattern */
	BLOCKS_MAX = SLICE_BYTES * PAGE_SLICES_MAX / BLOCK_ALIGN,
	OS_PAGES_MAX = SLICE_BYTES * PAGE_SLICES_MAX / TRIM_BYTES,
};

static uint64_t seed = 1;
static char owner[64] __attribute__((aligned(64)));

/* What the page should be. */
static struct model {
	struct page *page;
	size_t bytes, os_pages;
	unsigned used, carved;
	bool in_use[BLOCKS_MAX];
	bool gone[OS_PAGES_MAX]; /* purged, and no block was made of it since */
} m;

static uint64_t draw(uint64_t limit)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	return ((z ^ (z >> 27)) * 0x94d049bb133111ebu >> 20) % limit;
}

static uint64_t *block_at(unsigned i)
{
	return (uint64_t *)(m.page->start + i * m.bytes);
}

/* The pattern lies in all words of a block, but of big ones in few of each line. */
static void write_block(unsigned i)
{
	for (size_t word = 0; word<m.bytes / 8; word += m.bytes> 256 ? 1 + word % 16 : 1)
		block_at(i)[word] = (uint64_t)i << 32 | (word + 1);
}

static void check_block(unsigned i)
{
	for (size_t word = 0; word<m.bytes / 8; word += m.bytes> 256 ? 1 + word % 16 : 1)
		if (block_at(i)[word] != ((uint64_t)i << 32 | (word + 1)))
			fail_msg("blocks of %zu: block %u lost word %zu", m.bytes, i, word);
}

static void check_blocks(void)
{
	for (unsigned i = 0; i < m.carved; i++)
		if (m.in_use[i])
			check_block(i);
}

/* ---- What the owner of a page does ---------------------------------------------------------- */

/* The page gives one block, as it does in a heap; false when it is full. */
static bool take_block(void)
{
	struct page *page = m.page;

	if (list_is_empty(page) && load_rlx(&page->x_away)) {
		page_restore(page);
		assert_false(list_is_empty(page));
	} else if (list_is_empty(page)) {
		if (load_rlx(&page->x_carved) == page->total)
			return false;
		page_carve(page, false);
		m.carved = load_rlx(&page->x_carved);
	}
	size_t offset = (size_t)((char *)page->free - page->start);
	unsigned i = (unsigned)(offset / m.bytes);
	if (offset % m.bytes || i >= m.carved || m.in_use[i])
		fail_msg("blocks of %zu: offset %zu was given out; %s", m.bytes, offset,
			i < m.carved ? "it is in use" : "no block was made there");
	assert_non_null(page_pop(page));
	m.in_use[i] = true;
	m.used++;
	for (size_t at = offset / TRIM_BYTES; at <= (offset + m.bytes - 1) / TRIM_BYTES; at++)
		m.gone[at] = false;
	write_block(i);
	return true;
}

static void give_block(unsigned i)
{
	check_block(i);
	memset(block_at(i), 0xee, m.bytes);
	m.in_use[i] = false;
	m.used--;
	if (page_push(m.page, (struct block *)block_at(i)))
		fail_msg("blocks of %zu: the page is empty, %u are in use", m.bytes, m.used);
}

/* Frees blocks one by one or in runs, but for the last. */
static void free_some(void)
{
	unsigned run = 1 + (unsigned)draw(draw(2) ? 3 : m.carved), keep = (unsigned)draw(3) * 40;

	for (unsigned i = 0; i < m.carved;) {
		bool all = draw(100) >= keep;

		for (unsigned end = i + 1 + (unsigned)draw(run); i < end && i < m.carved; i++)
			if (all && m.in_use[i] && m.used > 1)
				give_block(i);
	}
}

static void take_some(void)
{
	for (size_t n = draw(3) ? draw(m.page->total) : 1 + draw(4); n > 0; n--)
		if (!take_block())
			break;
}

/* ---- What must hold ------------------------------------------------------------------------- */

/* Free list, away and in use: every carved block is one of them. Returns those on the list. */
static unsigned check_blocks_of_page(void)
{
	static bool seen[BLOCKS_MAX];
	unsigned listed = 0;

	memset(seen, 0, sizeof seen);
	for (struct block *b = m.page->free; b != &list_end; b = list_next(m.page, b)) {
		size_t offset = (size_t)((char *)b - m.page->start);
		size_t i = offset / m.bytes;

		assert_true(offset % m.bytes == 0 && i < m.carved);
		assert_false(m.in_use[i]);
		assert_false(seen[i]);
		seen[i] = true;
		listed++;
	}
	assert_int_equal(load_rlx(&m.page->x_used), m.used);
	assert_int_equal(load_rlx(&m.page->x_carved), m.carved);
	assert_int_equal(listed + page_away_blocks(m.page) + m.used, m.carved);
	return listed;
}

/* May this system page of the span leave? Not when a block in use touches it. */
static bool may_leave(size_t at)
{
	size_t first = at * TRIM_BYTES / m.bytes, last = ((at + 1) * TRIM_BYTES - 1) / m.bytes;

	for (size_t i = first; i <= last && i < m.carved; i++)
		if (m.in_use[i])
			return false;
	return true;
}

/* The ranges are those system pages, each once; what is gone already may be left out. */
static void check_ranges(const struct iovec *ranges, size_t count)
{
	static bool covered[OS_PAGES_MAX];

	memset(covered, 0, sizeof covered);
	assert_true(count <= TRIM_RANGES_MAX);
	for (size_t n = 0; n < count; n++) {
		size_t from = (size_t)((char *)ranges[n].iov_base - m.page->start);
		size_t to = from + ranges[n].iov_len;

		assert_true(ranges[n].iov_len > 0 && to <= m.os_pages * TRIM_BYTES);
		assert_true(from % TRIM_BYTES == 0 && to % TRIM_BYTES == 0);
		for (size_t at = from / TRIM_BYTES; at < to / TRIM_BYTES; at++) {
			assert_false(covered[at]);
			covered[at] = true;
		}
	}
	for (size_t at = 0; at < m.os_pages; at++) {
		if (covered[at] && !may_leave(at))
			fail_msg("blocks of %zu: page %zu is in use and would be purged", m.bytes,
				at);
		if (!covered[at] && may_leave(at) && !m.gone[at])
			fail_msg("blocks of %zu, %u carved: page %zu is free and stays", m.bytes,
				m.carved, at);
		m.gone[at] |= covered[at];
	}
}

static void check_memory(void)
{
	unsigned char present[OS_PAGES_MAX];

	assert_int_equal(mincore(m.page->start, m.os_pages * TRIM_BYTES, present), 0);
	for (size_t at = 0; at < m.os_pages; at++)
		if (m.gone[at] && (present[at] & 1))
			fail_msg("blocks of %zu: page %zu was purged and is resident", m.bytes, at);
}

static void trim(void)
{
	struct iovec ranges[TRIM_RANGES_MAX];
	size_t count = page_trim(m.page, ranges);

	check_ranges(ranges, count);
	check_blocks_of_page();
	assert_true(m.page->trimmed);
	assert_true(os_purge_ranges(ranges, count));
	check_blocks_of_page();
	check_memory();
	check_blocks();
	/* The same again finds nothing new. */
	assert_int_equal(page_trim(m.page, ranges), 0);
	check_blocks_of_page();
}

static void make_page(unsigned c)
{
	bool zero;

	memset(&m, 0, sizeof m);
	m.page = span_claim(0, REGION_SPANS, class_slices(c), 1, &zero);
	assert_non_null(m.page);
	m.bytes = class_bytes(c);
	m.os_pages = page_span_bytes(m.page) / TRIM_BYTES;
	/* Resident to its end, as a page that was in use before. */
	memset(m.page->start, 0xdd, page_span_bytes(m.page));
	page_init(m.page, c, (uintptr_t)owner, false);
}

static void end_page(void)
{
	unsigned last = 0;

	/* All of it can be had again. */
	while (take_block())
		;
	assert_int_equal(m.used, m.page->total);
	assert_int_equal(check_blocks_of_page(), 0);
	assert_int_equal(page_away_blocks(m.page), 0);
	for (unsigned i = 0; i < m.carved; i++)
		if (m.used > 1)
			give_block(last = i);
	trim();
	for (last++; !m.in_use[last]; last++)
		;
	assert_true(page_push(m.page, (struct block *)block_at(last)));
	page_free(m.page);
}

static void test_patterns(void **state)
{
	(void)state;
	for (unsigned c = 0; c < SMALL_CLASSES; c++) {
		for (unsigned pattern = 0; pattern < PATTERNS; pattern++) {
			make_page(c);
			for (unsigned turn = 0; turn < TURNS; turn++) {
				if (m.used == 0 || draw(4))
					take_some();
				if (m.used == 0)
					assert_true(take_block());
				if (draw(6))
					free_some();
				trim();
			}
			end_page();
		}
	}
}

/* ---- Which pages are offered ---------------------------------------------------------------- */

static struct page *offered(const struct region *r)
{
	struct page *page = NULL;
	struct region *writable = (struct region *)r;

	for (size_t word = 0; !page && word < REGION_SLICES / 64; word++) {
		uint64_t bits = load_rlx(&writable->x_untrimmed[word]);

		page = page_take_untrimmed(writable, word, &bits, (uintptr_t)owner);
	}
	return page;
}

/* A page that is let go with room is offered once; not when it was trimmed, nor by a stale bit. */
static void test_offers(void **state)
{
	(void)state;
	make_page(class_of(512));
	struct region *r = page_region(m.page);
	struct page *page = m.page;
	struct iovec ranges[TRIM_RANGES_MAX];

	while (take_block())
		;
	assert_null(offered(r));
	page_let_go(page);
	assert_null(offered(r)); /* full */
	assert_int_equal(load_rlx(&nodes[0].x_untrimmed), 0);
	assert_true(page_take(page, (uintptr_t)owner));
	for (unsigned i = 1; i < m.carved; i++)
		give_block(i);
	page_let_go(page);
	assert_int_equal(load_rlx(&nodes[0].x_untrimmed), 1);
	assert_ptr_equal(offered(r), page);
	assert_int_equal(load_rlx(&nodes[0].x_untrimmed), 0);
	assert_int_equal(page_owner(page), (uintptr_t)owner);
	page_trim(page, ranges);
	page_let_go(page);
	assert_null(offered(r)); /* trimmed */
	assert_true(page_take(page, (uintptr_t)owner));
	page->trimmed = false;
	page_let_go(page);
	/* Somebody takes it, the bit stays, and is worth nothing. */
	assert_true(page_take(page, (uintptr_t)owner));
	assert_int_equal(load_rlx(&nodes[0].x_untrimmed), 1);
	assert_null(offered(r));
	assert_int_equal(load_rlx(&nodes[0].x_untrimmed), 0);
	assert_true(page_push(page, (struct block *)block_at(0)));
	page_free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
