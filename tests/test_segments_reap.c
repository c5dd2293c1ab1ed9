/*
 * Reaping of small pages, every size class, blocks in hand by chance: exactly the system pages that
 * only they touch are given back, and what lies beyond the blocks ever made; blocks in use keep their
 * contents; the owner gets the others back, each once. And the slack of mid blocks.
 */
#include "segments/reap.h"

#include "base/os.h"
#include "segments/map.h"
#include "segments/page.h"
#include "segments/purge.h"
#include "segments/slack.h"
#include "segments/span.h"
#include "segments/trim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum {
	PATTERNS = HAK_SANITIZE ? 2 : 10, /* of each class */
	BLOCKS_MAX = SLICE_BYTES * PAGE_SLICES_MAX / BLOCK_ALIGN,
	OS_PAGES_MAX = SLICE_BYTES * PAGE_SLICES_MAX / TRIM_BYTES,
};

enum place { NOT_MADE, LISTED, USED, IN_HAND, LEFT };

static uint64_t seed = 1;
static char owner[64] __attribute__((aligned(64)));
static struct page *page;
static size_t bytes;
static enum place place[BLOCKS_MAX];

static uint64_t draw(uint64_t limit)
{
	uint64_t z = (seed += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	return ((z ^ (z >> 27)) * 0x94d049bb133111ebu >> 20) % limit;
}

static char *block_at(unsigned i)
{
	return page->start + i * bytes;
}

static unsigned index_of(const void *block)
{
	return (unsigned)((size_t)((const char *)block - page->start) / bytes);
}

/* Its number lies in the first and last word. */
static void write_block(unsigned i)
{
	memset(block_at(i), (int)(i % 251) + 1, bytes);
}

static void check_block(unsigned i)
{
	for (size_t at = 0; at < bytes; at += at < 32 || at + 128 > bytes ? 1 : 97)
		assert_int_equal((unsigned char)block_at(i)[at], i % 251 + 1);
}

static bool take_block(enum place to)
{
	if (list_is_empty(page) && (load_rlx(&page->x_away) || page_collect(page)))
		page_restore(page);
	if (list_is_empty(page)) {
		unsigned from = load_rlx(&page->x_carved);

		if (from == page->total || !tail_try(page))
			return false;
		page_carve(page, false);
		tail_done(page);
		for (unsigned i = from; i < load_rlx(&page->x_carved); i++)
			place[i] = LISTED;
	}
	unsigned i = index_of(page_pop(page));
	assert_true(place[i] == LISTED || place[i] == LEFT);
	place[i] = to;
	write_block(i);
	return true;
}

static void give_block(unsigned i)
{
	check_block(i);
	place[i] = LISTED;
	page_push(page, (struct block *)block_at(i));
}

/* Some blocks are made, some of these freed by the owner, many by others. */
static void make_page(unsigned c)
{
	bool zero;
	unsigned hold = (unsigned)draw(4);

	page = span_claim(0, REGION_SPANS, class_slices(c), 1, &zero);
	assert_non_null(page);
	bytes = class_bytes(c);
	memset(place, 0, sizeof place);
	memset(page->start, 0xdd, page_span_bytes(page));
	page_init(page, c, (uintptr_t)owner, false);
	for (unsigned n = 1 + (unsigned)draw(page->total); n > 0; n--)
		take_block(USED);
	for (unsigned i = 0; i < load_rlx(&page->x_carved); i++)
		if (place[i] == USED && draw(bytes > 2048 ? 3 : 200) >= hold)
			place[i] = IN_HAND;
		else if (place[i] == USED && load_rlx(&page->x_used) > 2 && draw(3) == 0)
			give_block(i);
}

/* May nobody but a reaper say whether this system page is needed? */
static bool only_in_hand(size_t os_page)
{
	size_t from = os_page * TRIM_BYTES, to = from + TRIM_BYTES;

	for (unsigned i = (unsigned)(from / bytes); i < page->total && i * bytes < to; i++)
		if (place[i] != LEFT && place[i] != NOT_MADE)
			return false;
	return true;
}

static void reap(void)
{
	unsigned carved = load_rlx(&page->x_carved);

	assert_true(reap_begin());
	assert_false(reap_begin());
	for (unsigned i = 0; i < carved; i++)
		if (place[i] == IN_HAND) {
			check_block(i);
			reap_add(page, (struct block *)block_at(i), SPLIT_ALWAYS);
		}
	reap_decide();
	for (unsigned i = 0; i < carved; i++)
		if (place[i] == IN_HAND && reap_takes(page, (struct block *)block_at(i))) {
			((struct block *)block_at(i))->mark = 0;
			place[i] = LEFT;
		} else {
			assert_true(place[i] == IN_HAND ||
				    !reap_takes(page, (struct block *)block_at(i)));
		}
	reap_purge((uintptr_t)owner);
	reap_end();
}

/* What is not resident is what may be, and all of it where units are system pages. */
static void check_resident(void)
{
	unsigned char resident[OS_PAGES_MAX];
	size_t os_pages = page_span_bytes(page) / TRIM_BYTES;
	size_t carved = load_rlx(&page->x_carved) * bytes;
	bool any = false;

	for (unsigned i = 0; i < page->total; i++)
		any = any || place[i] == IN_HAND || place[i] == LEFT;
	assert_int_equal(mincore(page->start, os_pages * TRIM_BYTES, resident), 0);
	for (size_t i = 0; i < os_pages; i++) {
		bool gone = !(resident[i] & 1);

		if (gone)
			assert_true(only_in_hand(i));
		else if (any && !HAK_SANITIZE && i * TRIM_BYTES >= carved)
			fail_msg("blocks of %zu: what was never used stays", bytes);
	}
	for (unsigned i = 0; !HAK_SANITIZE && i * bytes < carved; i++)
		for (size_t at = align_up(i * bytes, TRIM_BYTES);
			place[i] == LEFT && bytes >= TRIM_BYTES &&
			at + TRIM_BYTES <= (i + 1) * bytes;
			at += TRIM_BYTES)
			assert_false(resident[at / TRIM_BYTES] & 1);
}

/* Of small blocks, a system page that only those in hand touched has none of them any more. */
static void check_complete(void)
{
	unsigned carved = load_rlx(&page->x_carved);

	for (unsigned i = 0; i < carved; i++) {
		size_t from = align_down(i * bytes, TRIM_BYTES);
		bool all = true;

		if (place[i] != IN_HAND)
			continue;
		for (unsigned j = (unsigned)(from / bytes);
			j < page->total && j * bytes < from + TRIM_BYTES; j++)
			all = all && place[j] == IN_HAND;
		assert_false(all && bytes < TRIM_BYTES);
		assert_true(bytes < TRIM_BYTES);
	}
}

static void end_page(void)
{
	unsigned in_use = 0;

	for (unsigned i = 0; i < page->total; i++)
		in_use += place[i] == USED || place[i] == IN_HAND;
	while (take_block(USED))
		in_use++;
	assert_int_equal(in_use, page->total);
	for (unsigned i = 0; i < page->total; i++)
		check_block(i);
	for (unsigned i = 0; i + 1 < page->total; i++)
		give_block(i);
	assert_true(page_push(page, (struct block *)block_at(page->total - 1u)));
	page_free(page);
}

static void test_classes(void **state)
{
	(void)state;
	for (unsigned c = 0; c < SMALL_CLASSES; c++)
		for (unsigned n = 0; n < PATTERNS; n++) {
			make_page(c);
			reap();
			check_complete();
			check_resident();
			/* What was in hand and stays may come again, with more. */
			if (n % 2) {
				while (draw(3) && take_block(IN_HAND))
					;
				reap();
				check_complete();
			}
			end_page();
		}
}

/* A page whose owner lets it go while all that was in use is reaped goes to the pool. */
static void test_let_go(void **state)
{
	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		bool zero;

		page = span_claim(0, REGION_SPANS, 1, 1, &zero);
		assert_non_null(page);
		bytes = TRIM_BYTES;
		memset(place, 0, sizeof place);
		page_init(page, class_of(TRIM_BYTES), (uintptr_t)owner, false);
		for (unsigned i = 0; i < 3; i++)
			assert_true(take_block(IN_HAND));
		if (first)
			page_let_go(page);
		reap();
		if (!first)
			page_let_go(page);
		assert_int_equal(page_owner(page), OWNER_NONE);
	}
}

/* Only what nobody was given goes; a block that is freed goes to the pool. */
static void test_slack(void **state)
{
	(void)state;
	pool_purge(0, SIZE_MAX, SPLIT_ALWAYS); /* so that no resident ones are preferred */
	for (unsigned c = SMALL_CLASSES; c < CLASSES; c++) {
		bool zero;
		unsigned kind = REGION_SPANS | REGION_HUGE, slices = class_slices(c);
		struct page *mid = span_claim(0, kind, slices, 1, &zero);
		unsigned char resident[GRANULE_BYTES / TRIM_BYTES];
		size_t used = align_up(class_bytes(c), TRIM_BYTES) / TRIM_BYTES;

		assert_true(mid && page_region(mid)->kind == kind);
		mid->site = 0;
		memset(mid->start, 0x77, slices * SLICE_BYTES);
		store_rlx(&mid->x_bytes, class_bytes(c));
		store_rlx(&mid->x_owner, OWNER_MID);
		slack_begin(mid);
		assert_true(region_may_split(page_region(mid), SPLIT_ALWAYS));
		slack_purge(page_region(mid));
		for (size_t at = 0; at < class_bytes(c); at++)
			if (mid->start[at] != 0x77)
				fail_msg("a block of %zu lost byte %zu", class_bytes(c), at);
		assert_int_equal(mincore(mid->start, slices * SLICE_BYTES, resident), 0);
		for (size_t i = used; i < slices * SLICE_BYTES / TRIM_BYTES; i++)
			assert_false(resident[i] & 1);
		slack_purge(page_region(mid));
		mid_free(mid);
		assert_int_equal(page_owner(mid), OWNER_NONE);
		pool_purge(0, SIZE_MAX, SPLIT_ALWAYS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_let_go),
		cmocka_unit_test(test_slack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
