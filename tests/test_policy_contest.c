/*
 * contest.c: windows, the way from equal ratings to a frozen choice and back when habits change,
 * single windows that do not mislead, canaries that are rare and small, and sums that add up.
 */
#include "policy/contest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct estimate_world world = {.batch_bytes = 4 * MIB, .batch_rate = 1 * MIB};
static const struct estimate_prices prices = {
	.touched = 1024, .purge_ns = 90, .fault_ns = 1000, .turnover = (1 << 20) / 100};

static uint32_t now;

/* One window of 24 MiB blocks that are wanted again after so many ms. */
static bool window(struct contest *c, int interval_ms)
{
	struct estimate_event e = {24 * MIB, 24 * MIB, interval_ms, false};

	for (now++; !contest_observe(c, &world, &e, now); now++)
		;
	return contest_close(c, &prices);
}

static void test_window(void **state)
{
	struct contest c;
	struct estimate_event e = {1 * MIB, 1 * MIB, 0, false};

	(void)state;
	contest_init(&c, 11, 1);
	/* Many at once are no window: 32 and 10 ms are. */
	for (unsigned i = 0; i < 100; i++)
		assert_false(contest_observe(&c, &world, &e, 50));
	assert_false(contest_observe(&c, &world, &e, 59));
	assert_true(contest_observe(&c, &world, &e, 60));
	contest_close(&c, &prices);
	assert_int_equal(c.tally.events, 0);
	for (unsigned i = 0; i < 31; i++)
		assert_false(contest_observe(&c, &world, &e, 100 + i * 30));
	/* Few are, once they are a second old; the time before the first does not count. */
	contest_init(&c, 11, 1);
	for (unsigned i = 0; i < 3; i++)
		assert_false(contest_observe(&c, &world, &e, 5000 + i));
	assert_false(contest_observe(&c, &world, &e, 5999));
	assert_true(contest_observe(&c, &world, &e, 6000));
	/* The clock may wrap. */
	contest_init(&c, 11, 1);
	for (unsigned i = 0; i < 4; i++)
		assert_false(contest_observe(&c, &world, &e, UINT32_MAX - 3 + i));
	assert_true(contest_observe(&c, &world, &e, 996));
}

/* Break-even is at about 4.5 turnovers of 100 ms. */
static void test_life(void **state)
{
	struct contest c;
	unsigned n;

	(void)state;
	contest_init(&c, 0, 1);
	for (n = 0; c.choice != 11 && n < 100; n++)
		window(&c, 10);
	assert_in_range(n, 1, 2);
	for (n = 0; c.phase != CONTEST_FROZEN && n < 100; n++)
		window(&c, 10);
	assert_in_range(n, 10, 40);
	assert_int_equal(c.record.freezes, 1);
	uint64_t matches = c.record.matches;
	int32_t before[ELO_ARMS];
	memcpy(before, c.rating, sizeof before);
	for (n = 0; n < 50; n++)
		window(&c, 10);
	assert_int_equal(c.record.matches, matches);
	assert_memory_equal(before, c.rating, sizeof before);
	/* The habit changes: within a few windows. */
	for (n = 0; c.choice == 11 && n < 100; n++)
		window(&c, 3000);
	assert_in_range(n, 2, 6);
	assert_true(c.choice < 11);
	assert_int_equal(c.record.relearns, 1);
	for (n = 0; c.phase != CONTEST_FROZEN && n < 100; n++)
		window(&c, 3000);
	assert_int_equal(c.record.freezes, 2);
	assert_int_equal(c.choice >= 11, 0);
}

/* One window that is unlike the others re-opens nothing. */
static void test_hysteresis(void **state)
{
	struct contest c;

	(void)state;
	contest_init(&c, 11, 1);
	for (unsigned n = 0; n < 100; n++)
		window(&c, 10);
	assert_int_equal(c.phase, CONTEST_FROZEN);
	for (unsigned n = 0; n < 20; n++) {
		window(&c, 520); /* a little beyond break-even */
		for (unsigned i = 0; i < 10; i++)
			window(&c, 10);
	}
	assert_int_equal(c.record.relearns, 0);
	assert_int_equal(c.choice, 11);
}

/* What is purged and wanted at once ends the window, and a choice that was settled. */
static void test_harm(void **state)
{
	struct contest c;
	struct estimate_event soon = {24 * MIB, 24 * MIB, 10, false};

	(void)state;
	contest_init(&c, 0, 1);
	for (unsigned n = 0; n < 40; n++)
		window(&c, 3000);
	assert_int_equal(c.phase, CONTEST_FROZEN);
	assert_true(c.choice < 11);
	for (unsigned n = 0; n < 2; n++) {
		assert_int_not_equal(c.choice, 11);
		assert_false(contest_observe(&c, &world, &soon, now));
		assert_true(contest_observe(&c, &world, &soon, now));
		contest_close(&c, &prices);
		assert_int_equal(c.record.relearns, 1);
	}
	assert_int_equal(c.choice, 11);
	/* Not where it is a small part of what happens, nor where the choice keeps it. */
	struct estimate_event kept = {1 * MIB, 32 * MIB, 10, false};
	struct estimate_event harm = {2 * MIB, 2 * MIB, 10, false};
	contest_init(&c, 2, 1);
	for (unsigned n = 0; n < 5; n++)
		assert_false(contest_observe(&c, &world, &kept, 50));
	for (unsigned n = 0; n < 5; n++)
		assert_false(contest_observe(&c, &world, &harm, 50));
}

/* Up at once, and down on the word of two windows. */
static void test_down(void **state)
{
	struct contest c;

	(void)state;
	contest_init(&c, 11, 1);
	assert_false(window(&c, 3000));
	assert_int_equal(c.choice, 11);
	assert_true(window(&c, 3000));
	assert_true(c.choice < 11);
	contest_init(&c, 0, 1);
	assert_true(window(&c, 10));
	contest_init(&c, 11, 1);
	window(&c, 3000);
	window(&c, 10);
	window(&c, 10);
	assert_int_equal(c.choice, 11);
}

static void test_canary(void **state)
{
	struct contest c;
	uint64_t other = 0, asked = 0, early = 0;

	(void)state;
	contest_init(&c, 11, 12345);
	for (unsigned n = 0; n < 20000; n++) {
		struct estimate_event e = {2 * MIB, 2 * MIB, 0, false};

		if (n == 2000) {
			early = c.record.canaries;
			c.phase = CONTEST_FROZEN;
		}
		if (n < 2000) {
			c.phase = CONTEST_LEARNING;
			c.steady = 0;
		}
		for (;;) {
			other += !contest_keeps(&c, estimate_bin(2 * MIB), 2 * MIB);
			asked++;
			if (contest_observe(&c, &world, &e, now++))
				break;
		}
		contest_close(&c, &prices);
	}
	/* One of 14 windows of a learner that has just chosen, and hardly any once it is settled. */
	assert_in_range(early, 110, 180);
	assert_in_range(c.record.canaries - early, 40, 110);
	/* One block each: the first that is wanted again ends it. */
	assert_int_equal(other, c.record.canaries - (c.canary > 0));
	assert_int_equal(asked, 20000 * 32);
	assert_true(other <= asked / 512);
	/* Other sizes are not touched. */
	c.canary = 100 * MIB;
	c.canary_bin = 4;
	assert_true(contest_keeps(&c, 3, 1 * MIB));
	assert_false(contest_keeps(&c, 4, 2 * MIB));
	assert_true(contest_keeps(&c, 5, 3 * MIB));
	assert_int_equal(c.canary, 98 * MIB);
	assert_false(contest_keeps(&c, 12, 64 * MIB));
}

/* What is large must have been earned by the traffic. */
static void test_canary_bytes(void **state)
{
	struct contest c;
	unsigned n, soonest = 100;

	(void)state;
	for (uint32_t seed = 1; seed < 200; seed++) {
		contest_init(&c, 11, seed);
		for (n = 0; !c.record.canaries && n < soonest; n++)
			window(&c, 10);
		soonest = n < soonest ? n : soonest;
	}
	assert_in_range(soonest, 512 * 32 / (24 * 32), 99);
}

static void test_sums(void **state)
{
	struct contest c;
	struct estimate_cost terms[ELO_ARMS];
	uint32_t cost[ELO_ARMS];

	(void)state;
	contest_init(&c, 0, 1);
	for (now++; now % 32; now++)
		;
	struct estimate_event e = {24 * MIB, 24 * MIB, 100, false};
	while (!contest_observe(&c, &world, &e, now++))
		;
	struct estimate_tally t = c.tally;
	estimate_costs(&t, &prices, terms, cost);
	contest_close(&c, &prices);
	assert_int_equal(c.record.windows, 1);
	assert_int_equal(c.record.matches, ELO_PAIRS);
	/* 24 MiB are more than a batch: purged at once, at 1.36 bytes a byte. Two are enough. */
	assert_int_equal(c.record.traffic, 2 * 24 * MIB);
	assert_int_equal(c.record.cpu, terms[0].cpu * c.record.traffic / ELO_COST_ONE);
	assert_int_equal(c.record.faults, terms[0].faults * c.record.traffic / ELO_COST_ONE);
	assert_int_equal(c.record.idle, 0);
	for (unsigned arm = 0; arm < ELO_ARMS; arm++)
		assert_int_equal(c.record.wins[arm] + c.record.losses[arm] + c.record.draws[arm],
			ELO_ARMS - 1);
	assert_int_equal(c.record.wins[11], 11);
	assert_int_equal(c.record.draws[3], 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_hysteresis),
		cmocka_unit_test(test_harm),
		cmocka_unit_test(test_down),
		cmocka_unit_test(test_canary),
		cmocka_unit_test(test_canary_bytes),
		cmocka_unit_test(test_sums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
