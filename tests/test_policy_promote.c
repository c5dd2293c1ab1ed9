/*
 * promote.c: sizes that are written all over have huge pages after a few looks, others have none,
 * a change of habit is noticed, sizes do not mix but for the first look, small pages now and then
 * show whether a verdict still holds, and where there are no huge pages there is no verdict for them.
 * Verdicts that were loaded stand at once, and as long as looks are few or bear them out.
 */
#include "base/options.h"
#include "policy/promote.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DENSE = PROMOTE_ALL, SPARSE = PROMOTE_ALL / 16, FIRST = 4, MANY = 640 };

static struct promotion p;
static struct world w;

static void begin(size_t policy)
{
	memset(&p, 0, sizeof p);
	memset(&w, 0, sizeof w);
	w.x_fault_ns = 2400;
	w.x_huge_ns = 600;
	options.x_policy = policy;
}

static void looks(unsigned n, uint64_t bytes, uint32_t touched)
{
	while (n--)
		promote_observe(&p, &w, bytes, touched);
}

static enum promote_verdict verdict(uint64_t bytes)
{
	return p.x_verdict[estimate_bin(bytes)];
}

static void test_habits(void **state)
{
	(void)state;
	begin(POLICY_LEARN);
	looks(FIRST - 1, 4 * MIB, DENSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_UNKNOWN);
	looks(1, 4 * MIB, DENSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_HUGE);
	assert_true(promote_is_huge(&p, 4 * MIB));
	/* One sixteenth that is never touched is no reason to change, a seventh is. */
	looks(MANY, 4 * MIB, DENSE - PROMOTE_ALL / 16);
	assert_int_equal(verdict(4 * MIB), PROMOTE_HUGE);
	looks(MANY, 4 * MIB, DENSE - PROMOTE_ALL / 7);
	assert_int_equal(verdict(4 * MIB), PROMOTE_SMALL);
	looks(MANY, 4 * MIB, DENSE - PROMOTE_ALL / 10);
	assert_int_equal(verdict(4 * MIB), PROMOTE_SMALL);
	looks(MANY, 4 * MIB, DENSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_HUGE);
	/* What is hardly touched any more is noticed with the first look. */
	looks(1, 4 * MIB, SPARSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_SMALL);
}

static void test_sizes(void **state)
{
	(void)state;
	begin(POLICY_LEARN);
	looks(FIRST, 4 * MIB, DENSE);
	assert_int_equal(verdict(24 * MIB), PROMOTE_UNKNOWN);
	looks(1, 24 * MIB, DENSE);
	assert_int_equal(verdict(24 * MIB), PROMOTE_HUGE);
	/* All that was seen was alike, but one that is not needs more looks. */
	looks(1, 12 * MIB, SPARSE);
	assert_int_equal(verdict(12 * MIB), PROMOTE_UNKNOWN);
	looks(FIRST - 1, 12 * MIB, SPARSE);
	assert_int_equal(verdict(12 * MIB), PROMOTE_SMALL);
	assert_int_equal(verdict(4 * MIB), PROMOTE_HUGE);
	/* Sizes are not alike: each needs its own looks. */
	looks(FIRST - 1, 8 * MIB, DENSE);
	assert_int_equal(verdict(8 * MIB), PROMOTE_UNKNOWN);
	looks(1, 8 * MIB, DENSE);
	assert_int_equal(verdict(8 * MIB), PROMOTE_HUGE);
}

static unsigned claims_in_small_pages(unsigned n)
{
	unsigned small = 0;

	for (unsigned i = 0; i < n; i++)
		small += promote_claimed(&p, 4 * MIB) == PROMOTE_SMALL;
	return small;
}

static unsigned frees_looked_at(unsigned n, bool canary)
{
	unsigned looked = 0;

	for (unsigned i = 0; i < n; i++)
		looked += promote_is_due(&p, 4 * MIB, canary);
	return looked;
}

static void test_turns(void **state)
{
	(void)state;
	begin(POLICY_LEARN);
	assert_int_equal(frees_looked_at(MANY, false), MANY);
	looks(FIRST, 4 * MIB, DENSE);
	assert_in_range(claims_in_small_pages(MANY), MANY / 64, MANY / 16);
	/* What lies in small pages although it need not is there to be looked at. */
	assert_int_equal(frees_looked_at(MANY, true), MANY);
	assert_in_range(frees_looked_at(MANY, false), MANY / 32, MANY / 8);
	looks(FIRST, 4 * MIB, SPARSE);
	assert_int_equal(claims_in_small_pages(MANY), MANY);
	assert_in_range(frees_looked_at(MANY, true), MANY / 32, MANY / 8);
}

/* Of a program that takes one block of a size and then some of another, again and again. */
static void test_alternating(void **state)
{
	(void)state;
	for (unsigned others = 1; others < 16; others++) {
		unsigned small = 0, looked = 0;

		begin(POLICY_LEARN);
		looks(FIRST, 4 * MIB, DENSE);
		looks(FIRST, 8 * MIB, DENSE);
		for (unsigned i = 0; i < MANY; i++) {
			for (unsigned other = 0; other < others; other++)
				promote_claimed(&p, 8 * MIB);
			small += promote_claimed(&p, 4 * MIB) == PROMOTE_SMALL;
		}
		assert_in_range(small, MANY / 64, MANY / 16);
		looks(FIRST, 4 * MIB, SPARSE);
		looks(FIRST, 8 * MIB, SPARSE);
		for (unsigned i = 0; i < MANY; i++) {
			for (unsigned other = 0; other < others; other++)
				promote_is_due(&p, 8 * MIB, true);
			looked += promote_is_due(&p, 4 * MIB, true);
		}
		assert_in_range(looked, MANY / 32, MANY / 8);
	}
}

static void test_policies(void **state)
{
	(void)state;
	begin(POLICY_LEARN);
	looks(FIRST, 4 * MIB, DENSE);
	options.x_policy = POLICY_FROZEN;
	assert_int_equal(claims_in_small_pages(MANY), 0);
	assert_int_equal(promote_claimed(&p, 4 * MIB), PROMOTE_HUGE);
	assert_int_equal(frees_looked_at(MANY, true), 0);
	for (size_t policy = POLICY_FIXED; policy < POLICY_FIXED + POLICY_ARMS; policy++) {
		options.x_policy = policy;
		assert_int_equal(promote_claimed(&p, 4 * MIB), PROMOTE_UNKNOWN);
		assert_int_equal(frees_looked_at(MANY, true), 0);
		assert_false(promote_is_huge(&p, 4 * MIB));
	}
	options.x_policy = POLICY_OFF;
	assert_int_equal(promote_claimed(&p, 4 * MIB), PROMOTE_UNKNOWN);
}

static void load(enum promote_verdict verdict)
{
	uint8_t verdicts[ESTIMATE_BINS] = {0};

	begin(POLICY_LEARN);
	verdicts[estimate_bin(4 * MIB)] = (uint8_t)verdict;
	promote_load(&p, verdicts);
}

static void test_loaded(void **state)
{
	(void)state;
	load(PROMOTE_UNKNOWN);
	assert_false(p.x_judged);
	load(PROMOTE_HUGE);
	assert_int_equal(promote_claimed(&p, 4 * MIB), PROMOTE_HUGE);
	assert_int_equal(promote_claimed(&p, 8 * MIB), PROMOTE_UNKNOWN);
	assert_true(promote_is_huge(&p, 4 * MIB));
	options.x_policy = POLICY_FROZEN;
	assert_int_equal(promote_claimed(&p, 4 * MIB), PROMOTE_HUGE);
	options.x_policy = POLICY_FIXED;
	assert_int_equal(promote_claimed(&p, 4 * MIB), PROMOTE_UNKNOWN);
	/* Blocks in small pages still come, and are looked at. */
	options.x_policy = POLICY_LEARN;
	assert_in_range(claims_in_small_pages(MANY), MANY / 64, MANY / 16);
	assert_int_equal(frees_looked_at(MANY, true), MANY);
	looks(MANY, 4 * MIB, DENSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_HUGE);
	load(PROMOTE_HUGE);
	looks(FIRST - 1, 4 * MIB, SPARSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_HUGE);
	looks(1, 4 * MIB, SPARSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_SMALL);
	/* Small ones are looked at as if nothing was known. */
	load(PROMOTE_SMALL);
	assert_int_equal(promote_claimed(&p, 4 * MIB), PROMOTE_SMALL);
	assert_true(promote_is_due(&p, 4 * MIB, true));
	looks(FIRST, 4 * MIB, DENSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_HUGE);
	/* It does not hold where there are none, once that is known. */
	load(PROMOTE_HUGE);
	w.x_huge_ns = WORLD_NO_HUGE;
	looks(FIRST, 4 * MIB, DENSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_UNKNOWN);
}

static void test_no_huge_pages(void **state)
{
	(void)state;
	begin(POLICY_LEARN);
	w.x_huge_ns = WORLD_NO_HUGE;
	looks(MANY, 4 * MIB, DENSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_UNKNOWN);
	looks(MANY, 4 * MIB, SPARSE);
	assert_int_equal(verdict(4 * MIB), PROMOTE_SMALL);
}

/* What the program's own touches take becomes the price, and one that was interrupted does not. */
static void test_price(void **state)
{
	struct estimate_world e;
	struct estimate_prices prices;

	(void)state;
	begin(POLICY_LEARN);
	assert_true(world_has_huge(&w));
	for (unsigned i = 0; i < MANY; i++)
		world_touched(&w, 2 * MIB, 512 * 1000, -1);
	world_fill(&w, &e, &prices);
	assert_in_range(prices.huge_ns, 950, 1050);
	world_touched(&w, 2 * MIB, (uint64_t)512 * 1000000, -1);
	world_fill(&w, &e, &prices);
	assert_in_range(prices.huge_ns, 1000, 1500);
	/* A kernel that has none left gives small ones. */
	for (unsigned i = 0; i < MANY; i++)
		world_touched(&w, 2 * MIB, 2400, -1);
	assert_in_range(w.x_huge_ns, 2300, 2400);
	/* Those that the kernel has had for long are counted apart. */
	assert_int_equal(e.huge_late, 0);
	for (unsigned i = 0; i < MANY; i++) {
		world_touched(&w, 2 * MIB, 512 * 500, 10);
		world_touched(&w, 2 * MIB, 512 * 800, 500);
		world_touched(&w, 2 * MIB, 512 * 1500, 2000);
	}
	world_traffic(&w, 100 * MIB, 100 * MIB, 1000);
	world_traffic(&w, 100 * MIB, 100 * MIB, 11000);
	world_fill(&w, &e, &prices);
	assert_in_range(w.x_huge_soon_ns, 490, 510);
	assert_in_range(w.x_huge_late_ns, 1490, 1510);
	assert_in_range(prices.huge_ns, 800, 1100);
	assert_true(e.huge_late > 0);
	w.x_huge_ns = 1200;
	assert_true(world_huge_is_cheap(&w));
	w.x_huge_ns = 1201;
	assert_false(world_huge_is_cheap(&w));
	w.x_huge_ns = WORLD_NO_HUGE;
	assert_false(world_huge_is_cheap(&w));
	world_touched(&w, 2 * MIB, 1, -1);
	assert_false(world_has_huge(&w));
	world_fill(&w, &e, &prices);
	assert_int_equal(prices.huge_ns, ESTIMATE_FAULT_HUGE_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_habits),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_turns),
		cmocka_unit_test(test_alternating),
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_loaded),
		cmocka_unit_test(test_no_huge_pages),
		cmocka_unit_test(test_price),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
