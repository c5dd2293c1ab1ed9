/*
 * Big blocks by what a policy file says of their size, before anything was looked at: huge pages
 * where the kernel has them and they are cheaper, which is found out with the first block and not
 * before; elsewhere small ones that are kept as others are. Also where the policy is frozen, and
 * then too freed blocks stay for as long as the file says.
 */
#include "base/options.h"
#include "base/os.h"
#include "policy/learner.h"
#include "policy/promote.h"
#include "policy/thp.h"
#include "segments/granule.h"
#include "segments/map.h"
#include "segments/purge.h"
#include "segments/whale.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 4 * GRANULE_BYTES, LONG_MS = 60000 };

static uint8_t numbers[ESTIMATE_BINS];

static struct page *make(void)
{
	bool zero;
	struct page *page = whale_alloc(0, BYTES, 1, &zero);

	assert_non_null(page);
	assert_true(zero);
	memset(page->start, 1, BYTES);
	return page;
}

static bool is_huge(const struct page *page)
{
	return page_region(page)->kind & REGION_HUGE;
}

static void begin(size_t policy, enum promote_verdict verdict, unsigned stays)
{
	pool_purge(0, SIZE_MAX, SPLIT_NEVER);
	options.x_policy = policy;
	store_rlx(&x_thp_system, THP_YES);
	memset(&promotion_now, 0, sizeof promotion_now);
	memset(&patience_now, 0, sizeof patience_now);
	store_rlx(&world_now.x_huge_ns, 0);
	store_rlx(&nodes[0].x_hurries, false);
	memset(numbers, 0, sizeof numbers);
	numbers[estimate_bin(BYTES)] = (uint8_t)verdict;
	promote_load(&promotion_now, numbers);
	numbers[estimate_bin(BYTES)] = (uint8_t)stays;
	patience_load(&patience_now, numbers, 500);
	assert_int_equal(load_rlx(&world_now.x_huge_ns), 0);
}

/* Whatever this machine has: it is asked, and what it says is followed. */
static void test_asked(void **state)
{
	static const size_t policies[] = {POLICY_LEARN, POLICY_FROZEN};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		begin(policies[i], PROMOTE_HUGE, 0);
		errno = 0;
		struct page *page = make();
		assert_int_equal(errno, 0);
		assert_int_not_equal(load_rlx(&world_now.x_huge_ns), 0);
		assert_int_equal(is_huge(page), world_has_huge(&world_now));
		whale_free(page);
	}
	begin(POLICY_FIXED, PROMOTE_HUGE, 0);
	struct page *page = make();
	assert_int_equal(load_rlx(&world_now.x_huge_ns), 0);
	assert_false(is_huge(page));
	whale_free(page);
}

/* Found to be cheaper: blocks go there. */
static void test_huge(void **state)
{
	(void)state;
	begin(POLICY_FROZEN, PROMOTE_HUGE, 0);
	store_rlx(&world_now.x_huge_ns, 600);
	struct page *page = make();
	assert_true(is_huge(page));
	whale_free(page);
}

/*
 * Found to be none, or off: as if nothing was known, also when much memory is in use. The memory was
 * in use before, so that there is nothing to look at.
 */
static void test_none(void **state)
{
	(void)state;
	for (unsigned off = 0; off < 2; off++) {
		begin(POLICY_LEARN, PROMOTE_HUGE, 0);
		store_rlx(&world_now.x_huge_ns, WORLD_NO_HUGE);
		store_rlx(&x_thp_system, off ? THP_NO : THP_YES);
		options.x_policy = POLICY_FIXED + ELO_ARMS - 1;
		whale_free(make());
		options.x_policy = POLICY_LEARN;
		bool zero;
		struct page *page = whale_alloc(0, BYTES, 1, &zero);
		assert_false(zero);
		assert_false(is_huge(page));
		uint64_t dirty = load_rlx(&nodes[0].x_dirty_bytes);
		whale_free(page);
		assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), dirty + BYTES);
		assert_true(promote_is_huge(&promotion_now, BYTES));
	}
	begin(POLICY_LEARN, PROMOTE_HUGE, 0);
	store_rlx(&world_now.x_huge_ns, WORLD_NO_HUGE);
	options.x_huge_from = 0;
	struct page *page = make();
	assert_true(is_huge(page));
	whale_free(page);
	options.x_huge_from = 64 * MIB;
}

static void test_stays(void **state)
{
	static const size_t policies[] = {POLICY_LEARN, POLICY_FROZEN, POLICY_FIXED + ELO_ARMS - 1};

	(void)state;
	/* Blocks that move to huge pages are purged when they are freed. */
	options.x_huge = false;
	for (size_t i = 0; i < 3; i++)
		for (unsigned stays = 0; stays < PATIENCES; stays++) {
			begin(policies[i], PROMOTE_UNKNOWN, stays);
			whale_free(make());
			assert_int_equal(pool_hurries(0), stays && policies[i] < POLICY_FIXED);
		}
	/* What is stamped last decides, of the last granule too, which is hardly used. */
	begin(POLICY_FROZEN, PROMOTE_UNKNOWN, PATIENCES - 1);
	struct page *page = make();
	const char *start = page->start;
	bool zero;
	whale_free(page);
	memset(&patience_now, 0, sizeof patience_now);
	page = whale_alloc(0, BYTES - GRANULE_BYTES + 4096, 1, &zero);
	assert_ptr_equal(page->start, start);
	whale_free(page);
	struct region *r = map_region(start);
	for (size_t word = 0; word < REGION_GRANULES / GRANULE_SLICES; word++)
		assert_int_equal(granules_over(r, word, os_now_ms() + LONG_MS), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
