/*
 * Whales whose size is promoted: freed ones are looked at where they were fresh, and only there;
 * the next has huge pages, what it leaves in small pages is given back at once, and its first touch
 * is timed; in a large process sizes that were found hardly touched have none, unlike unknown ones.
 */
#include "base/options.h"
#include "policy/choice.h"
#include "policy/promote.h"
#include "policy/thp.h"
#include "segments/map.h"
#include "segments/purge.h"
#include "segments/whale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DENSE = 8, SPARSE = 6, OTHER = 12, LOOKS = 4, PRICE_NS = 3, SMALL_NS = 2000, MANY = 40 };

/* Huge pages always pay, whatever this kernel has. */
static void begin(size_t huge_from)
{
	memset(&promotion_now, 0, sizeof promotion_now);
	store_rlx(&x_thp_system, THP_YES);
	store_rlx(&world_now.x_fault_ns, SMALL_NS);
	store_rlx(&world_now.x_huge_ns, PRICE_NS);
	options.x_policy = POLICY_LEARN;
	options.x_huge = true;
	options.x_huge_from = huge_from;
	pool_purge(0, SIZE_MAX, SPLIT_ALWAYS);
	assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), 0);
}

static struct page *make(size_t mib, size_t touched)
{
	bool zero;
	struct page *page = whale_alloc(0, mib * MIB, 1, &zero);

	assert_non_null(page);
	memset(page->start, 1, touched);
	return page;
}

static bool is_huge(const struct page *page)
{
	return map_region(page->start)->kind & REGION_HUGE;
}

static uint32_t looks(size_t mib)
{
	return load_rlx(&promotion_now.x_looks[estimate_bin(mib * MIB)]);
}

static void test_dense(void **state)
{
	(void)state;
	begin(1 * GIB);
	struct page *page = make(DENSE, DENSE * MIB);
	assert_false(is_huge(page));
	whale_free(page);
	assert_int_equal(looks(DENSE), LOOKS);
	assert_true(promote_is_huge(&promotion_now, DENSE * MIB));
	assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), 0);
	assert_int_equal(load_rlx(&world_now.x_huge_ns), PRICE_NS);
	page = make(DENSE, DENSE * MIB);
	assert_true(is_huge(page));
	/* It took more than the price that was made up, but for one look that counts little. */
	assert_int_equal(load_rlx(&world_now.x_huge_ns), PRICE_NS + 1);
	char *start = page->start;
	whale_free(page);
	assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), DENSE * MIB);
	page = make(DENSE, DENSE * MIB);
	assert_ptr_equal(page->start, start);
	whale_free(page);
	assert_int_equal(looks(DENSE), LOOKS);
}

/* What others have left resident in small pages is not taken for them. */
static void test_resident(void **state)
{
	(void)state;
	begin(1 * GIB);
	struct page *other = make(OTHER, 4096), *page = make(DENSE, DENSE * MIB);
	whale_free(page);
	whale_free(other);
	assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), OTHER * MIB);
	page = make(DENSE, DENSE * MIB);
	assert_true(is_huge(page));
	assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), OTHER * MIB);
	whale_free(page);
}

static void test_sparse(void **state)
{
	(void)state;
	begin(1 * GIB);
	struct page *page = make(SPARSE, 4096);
	whale_free(page);
	uint32_t first = looks(SPARSE);
	assert_true(first > 0);
	/* What is used again was resident, and says nothing. */
	for (unsigned i = 0; i < MANY; i++) {
		page = make(SPARSE, 4096);
		assert_false(is_huge(page));
		whale_free(page);
	}
	assert_int_equal(looks(SPARSE), first);
}

static void free_fresh(size_t mib, size_t touched)
{
	whale_free(make(mib, touched));
	pool_purge(0, SIZE_MAX, SPLIT_ALWAYS);
}

static void test_large(void **state)
{
	(void)state;
	begin(1 * GIB);
	free_fresh(SPARSE, 4096);
	free_fresh(SPARSE, 4096);
	assert_true(looks(SPARSE) >= LOOKS);
	options.x_huge_from = 0;
	struct page *page = make(SPARSE, 4096), *other = make(OTHER, 4096);
	assert_false(is_huge(page));
	assert_true(is_huge(other));
	whale_free(page);
	whale_free(other);
}

static void make_dear(void)
{
	store_rlx(&world_now.x_huge_ns, UINT32_MAX - 1);
}

static void make_large(void)
{
	options.x_huge_from = 0;
}

/* Where they are dear, or the process is large, memory that is resident comes first, and stays. */
static void check_stays(void (*change)(void))
{
	begin(1 * GIB);
	struct page *other = make(OTHER, 4096);
	free_fresh(DENSE, DENSE * MIB);
	change();
	struct page *page = make(DENSE, DENSE * MIB);
	assert_true(is_huge(page));
	whale_free(other);
	change();
	other = make(DENSE, DENSE * MIB);
	assert_false(is_huge(other));
	whale_free(page);
	whale_free(other);
	assert_int_equal(load_rlx(&nodes[0].x_dirty_bytes), (DENSE + OTHER) * MIB);
}

static void test_dear(void **state)
{
	(void)state;
	check_stays(make_dear);
}

static void test_large_stays(void **state)
{
	(void)state;
	check_stays(make_large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dense),
		cmocka_unit_test(test_resident),
		cmocka_unit_test(test_sparse),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_dear),
		cmocka_unit_test(test_large_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
