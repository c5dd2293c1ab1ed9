/*
 * patience.c: blocks that come back soon or after long are given back sooner, those that come back
 * in between are kept, sizes do not mix, habits are forgotten, and without a helper, without prices,
 * or with a purge delay that is hardly longer, nothing is. What is loaded holds until something is
 * said against it.
 */
#include "policy/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DELAY_MS = 500, BIN = 4 };

static const struct estimate_world world = {.keep_ms = DELAY_MS, .batch_bytes = 4 * MIB};
/* A fault of 4 KiB is worth some 330 ms of its idling. */
static const struct estimate_prices prices = {.touched = 1024,
	.purge_ns = 90,
	.fault_ns = 1000,
	.huge_ns = 250,
	.turnover = (1 << 20) / 62};

static void wanted(struct patience *p, uint64_t block, int32_t ms)
{
	struct estimate_event e = {block, 2 * MIB, ms, false};

	patience_observe(p, &world, &e);
}

static void begin(struct patience *p)
{
	memset(p, 0, sizeof *p);
	patience_prices(p, &prices);
	assert_in_range(p->x_break_even_ms[0], 300, 360);
	assert_true(p->x_break_even_ms[1] < p->x_break_even_ms[0]);
}

static void test_lengths(void **state)
{
	(void)state;
	assert_int_equal(patience_ms(0, 700), 700);
	for (unsigned i = 1; i < PATIENCES; i++)
		assert_true(patience_ms(i, 700) < patience_ms(i - 1, 700));
	assert_true(patience_ms(PATIENCES - 1, 700) >= 2 * PATIENCE_STEP_MS);
}

static void test_habits(void **state)
{
	struct patience p;

	(void)state;
	begin(&p);
	/* Soon: nothing is to be said of it. */
	for (unsigned i = 0; i < 100; i++)
		wanted(&p, 2 * MIB, 59);
	assert_int_equal(p.x_number[BIN], 0);
	/* Late: the purge delay would have passed in vain. One is enough. */
	wanted(&p, 2 * MIB, 3000);
	assert_int_equal(p.x_number[BIN], PATIENCES - 1);
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
		if (bin != BIN)
			assert_int_equal(p.x_number[bin], 0);
	/* Now they come back after 90 ms, for which it does not pay to fault. */
	unsigned n = 0;
	for (; n < 20; n++)
		wanted(&p, 2 * MIB, 3000);
	for (n = 0; p.x_number[BIN] == PATIENCES - 1 && n < 100; n++)
		wanted(&p, 2 * MIB, 90);
	assert_in_range(n, 2, 20);
	assert_true(patience_ms(p.x_number[BIN], DELAY_MS) > 90);
	/* And after 300, so that all of them would be too short. */
	for (n = 0; p.x_number[BIN] != 0 && n < 100; n++)
		wanted(&p, 2 * MIB, 300);
	assert_in_range(n, 1, 60);
	/* What was long ago counts for little. */
	for (n = 0; n < 500; n++)
		wanted(&p, 2 * MIB, 300);
	for (n = 0; p.x_number[BIN] == 0 && n < 100; n++)
		wanted(&p, 2 * MIB, 3000);
	assert_in_range(n, 1, 40);
}

static void test_none(void **state)
{
	struct patience p;
	struct estimate_event late = {2 * MIB, 2 * MIB, 3000, false};
	struct estimate_world other = world;

	(void)state;
	memset(&p, 0, sizeof p);
	wanted(&p, 2 * MIB, 3000);
	assert_int_equal(p.x_number[BIN], 0); /* no prices yet */
	begin(&p);
	other.keep_ms = 0;
	patience_observe(&p, &other, &late);
	assert_int_equal(p.x_number[BIN], 0);
	other.keep_ms = 100;
	patience_observe(&p, &other, &late);
	assert_int_equal(p.x_number[BIN], 0);
	other.keep_ms = 200;
	patience_observe(&p, &other, &late);
	assert_int_equal(p.x_number[BIN], PATIENCES - 1);
	/* In huge pages nothing is gained where they cost as much more, the longer they are away. */
	memset(&p, 0, sizeof p);
	patience_prices(&p, &prices);
	other = world;
	late.huge = true;
	patience_observe(&p, &other, &late);
	assert_int_equal(p.x_number[BIN], PATIENCES - 1);
	memset(&p, 0, sizeof p);
	patience_prices(&p, &prices);
	other.huge_late = 1024;
	patience_observe(&p, &other, &late);
	assert_int_equal(p.x_number[BIN], 0);
	late.huge = false;
	/* Idling that costs nothing is no reason to fault, and nothing overflows. */
	memset(&p, 0, sizeof p);
	patience_prices(&p, &(struct estimate_prices){.touched = 1024, .fault_ns = 1000});
	late.bytes = late.block = 64 * GIB;
	late.interval_ms = 400;
	for (unsigned i = 0; i < 1000; i++)
		patience_observe(&p, &world, &late);
	assert_int_equal(p.x_number[ESTIMATE_BINS - 1], 0);
	assert_true(p.x_gain[ESTIMATE_BINS - 1][1] < 0);
}

static void load(struct patience *p, unsigned number, uint32_t delay_ms)
{
	uint8_t numbers[ESTIMATE_BINS] = {0};

	begin(p);
	numbers[BIN] = (uint8_t)number;
	patience_load(p, numbers, delay_ms);
}

static void test_loaded(void **state)
{
	struct patience p;
	unsigned n;

	(void)state;
	load(&p, 0, DELAY_MS);
	assert_false(p.x_shorter);
	for (unsigned number = 1; number < PATIENCES; number++) {
		load(&p, number, DELAY_MS);
		for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
			assert_int_equal(p.x_number[bin], bin == BIN ? number : 0);
		assert_true(p.x_shorter);
		/* Late reuses are in its favour, those before its time say nothing of it. */
		wanted(&p, 2 * MIB, 3000);
		assert_int_equal(p.x_number[BIN], number);
		for (n = 0; n < 20; n++)
			wanted(&p, 2 * MIB, (int32_t)patience_ms(number, DELAY_MS));
		assert_int_equal(p.x_number[BIN], number);
	}
	/* A few that it is too short for are enough. */
	load(&p, 1, DELAY_MS);
	for (n = 0; p.x_number[BIN] != 0 && n < 100; n++)
		wanted(&p, 2 * MIB, 150);
	assert_in_range(n, 2, 8);
	/* It was learned with another purge delay. */
	load(&p, 1, patience_ms(1, 0) * 2 - 1);
	assert_int_equal(p.x_number[BIN], 0);
	assert_false(p.x_shorter);
	/* Another file, with which nothing is left of the one before. */
	load(&p, 1, DELAY_MS);
	patience_load(&p, (uint8_t[ESTIMATE_BINS]){0}, DELAY_MS);
	assert_int_equal(p.x_number[BIN], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_habits),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_loaded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
