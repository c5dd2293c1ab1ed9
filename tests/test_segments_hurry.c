/*
 * What stays for less than the purge delay: of freed granules exactly those go whose stamp says that
 * their time is over; the node knows whether there are others to come, and what has no such stamp,
 * or is in use again, stays.
 */
#include "base/options.h"
#include "base/os.h"
#include "segments/granule.h"
#include "segments/map.h"
#include "segments/purge.h"
#include "segments/whale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { GRANULES = 4, LONG_MS = 600000, BIN = 9 };

/* As choice.c makes them. */
static uint32_t stamp(uint32_t ms, unsigned patience)
{
	return ms << 9 | patience << 7 | BIN;
}

static bool is_resident(const char *start)
{
	unsigned char seen = 0;

	assert_int_equal(mincore((void *)start, os_page_bytes(), &seen), 0);
	return seen & 1;
}

static char *make(struct page **page)
{
	bool zero;

	*page = whale_alloc(0, GRANULES * GRANULE_BYTES, 1, &zero);
	assert_non_null(*page);
	memset((*page)->start, 1, GRANULES * GRANULE_BYTES);
	return (*page)->start;
}

static void test_over(void **state)
{
	struct page *page;
	char *start = make(&page);
	uint32_t now = os_now_ms();

	(void)state;
	whale_free(page);
	/* Of the purge delay; over; not over; over. */
	granules_stamp(start, 1, stamp(now - LONG_MS, 0));
	assert_false(pool_hurries(0));
	granules_stamp(start + GRANULE_BYTES, 1, stamp(now - 126, 1));
	granules_stamp(start + 2 * GRANULE_BYTES, 1, stamp(now + LONG_MS, 2));
	granules_stamp(start + 3 * GRANULE_BYTES, 1, stamp(now - 61, 2));
	assert_true(pool_hurries(0));
	uint64_t dirty = load_rlx(&nodes[0].x_dirty_bytes);
	pool_hurry(0);
	assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), dirty - 2 * GRANULE_BYTES);
	assert_true(is_resident(start));
	assert_false(is_resident(start + GRANULE_BYTES));
	assert_true(is_resident(start + 2 * GRANULE_BYTES));
	assert_false(is_resident(start + 3 * GRANULE_BYTES));
	/* One is to come; then none is. */
	assert_true(pool_hurries(0));
	granules_stamp(start + 2 * GRANULE_BYTES, 1, stamp(now - LONG_MS, 2));
	pool_hurry(0);
	assert_false(is_resident(start + 2 * GRANULE_BYTES));
	assert_false(pool_hurries(0));
	assert_true(is_resident(start));
}

static void test_in_use(void **state)
{
	struct page *page;
	char *start = make(&page);

	(void)state;
	granules_stamp(start, GRANULES, stamp(os_now_ms() - LONG_MS, 1));
	pool_hurry(0);
	assert_false(pool_hurries(0));
	for (unsigned i = 0; i < GRANULES; i++)
		assert_int_equal(start[i * GRANULE_BYTES], 1);
	whale_free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over),
		cmocka_unit_test(test_in_use),
	};
	/* Blocks that move to huge pages are purged when they are freed. */
	options.x_huge = false;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
