/*
 * elo.c: the expected score against the formula, the round robin against one in floating point,
 * and that ratings follow when the best strategy changes.
 */
#include "policy/elo.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double formula(double points)
{
	return 65536 / (1 + pow(10, -points / 400));
}

static void test_expected(void **state)
{
	(void)state;
	for (int points = -1700; points <= 1700; points += 7) {
		double wanted = formula(points), got = elo_expected(points * ELO_POINT);
		assert_true(fabs(wanted - got) < 100);
	}
	assert_int_equal(elo_expected(0), 32768);
	assert_int_equal(elo_expected(123) + elo_expected(-123), 65536);
}

static void test_score(void **state)
{
	uint32_t base = ELO_COST_COMMON;

	(void)state;
	/* Within 1% of all that is paid it is a draw. */
	assert_int_equal(elo_score(0, base / 101), 32768);
	assert_true(elo_score(0, base / 99) > 32768);
	/* 5% are worth a quarter, and a clear loss leaves a sixteenth. */
	assert_in_range(elo_score(0, base / 20), 48900, 49300);
	assert_int_equal(elo_score(0, 100 * base), 65536 - 4096);
	assert_int_equal(elo_score(100 * base, 0), 4096);
	for (uint32_t own = 0; own < 5 * base; own += base / 7)
		for (uint32_t other = 0; other < 5 * base; other += base / 7)
			assert_int_equal(elo_score(own, other) + elo_score(other, own), 65536);
	/* The same difference counts for less where all of them pay a lot. */
	assert_true(elo_score(50 * base, 50 * base + base / 10) == 32768);
	/* No overflow at the ends. */
	assert_int_equal(elo_score(0, UINT32_MAX), 65536 - 4096);
}

static void fill(int32_t rating[ELO_ARMS])
{
	for (unsigned i = 0; i < ELO_ARMS; i++)
		rating[i] = ELO_START;
}

static void test_play(void **state)
{
	int32_t rating[ELO_ARMS];
	double model[ELO_ARMS], before[ELO_ARMS];
	struct elo_results results = {.wins = {0}};
	uint32_t cost[ELO_ARMS];

	(void)state;
	fill(rating);
	for (unsigned i = 0; i < ELO_ARMS; i++)
		model[i] = 1500;
	srand(7);
	for (unsigned round = 0; round < 200; round++) {
		int64_t sum = 0;

		for (unsigned i = 0; i < ELO_ARMS; i++)
			cost[i] = (uint32_t)rand() % 40000;
		elo_play(rating, cost, &results);
		memcpy(before, model, sizeof model);
		for (unsigned a = 0; a < ELO_ARMS; a++) {
			for (unsigned b = 0; b < ELO_ARMS; b++)
				if (a != b)
					model[a] += 32 *
						    (elo_score(cost[a], cost[b]) -
							    formula(before[a] - before[b])) /
						    65536;
			sum += rating[a];
		}
		assert_int_equal(sum, ELO_ARMS * ELO_START);
		for (unsigned i = 0; i < ELO_ARMS; i++)
			assert_true(fabs(model[i] - (double)rating[i] / ELO_POINT) < 2);
	}
	for (unsigned i = 0; i < ELO_ARMS; i++)
		assert_int_equal(results.wins[i] + results.losses[i] + results.draws[i],
			200 * (ELO_ARMS - 1));
}

/* Windows until `wanted` leads; at most 100. */
static unsigned windows(
	int32_t rating[ELO_ARMS], const uint32_t cost[ELO_ARMS], unsigned from, unsigned wanted)
{
	struct elo_results results = {.wins = {0}};
	unsigned n = 0;

	while (n < 100 && elo_leader(rating, from, 24 * ELO_POINT) != wanted) {
		elo_play(rating, cost, &results);
		n++;
	}
	return n;
}

static void test_follow(void **state)
{
	int32_t rating[ELO_ARMS];
	uint32_t low_best[ELO_ARMS], high_best[ELO_ARMS], same[ELO_ARMS];
	struct elo_results results = {.wins = {0}};

	(void)state;
	for (unsigned i = 0; i < ELO_ARMS; i++) {
		low_best[i] = i * 30000;
		high_best[i] = (ELO_ARMS - 1 - i) * 30000;
		same[i] = 1000;
	}
	fill(rating);
	assert_in_range(windows(rating, low_best, 5, 0), 1, 2);
	for (unsigned i = 0; i < 1000; i++)
		elo_play(rating, low_best, &results);
	/* Even after long, a change is followed within a few windows. */
	assert_in_range(windows(rating, high_best, 0, ELO_ARMS - 1), 1, 4);
	/* Equal costs change no choice. */
	fill(rating);
	for (unsigned i = 0; i < 100; i++)
		elo_play(rating, same, &results);
	for (unsigned i = 0; i < ELO_ARMS; i++) {
		assert_int_equal(rating[i], ELO_START);
		assert_int_equal(elo_leader(rating, i, 0), i);
	}
	/* A lead that is too small does not, either. */
	rating[3] += 24 * ELO_POINT;
	assert_int_equal(elo_leader(rating, 7, 24 * ELO_POINT), 7);
	rating[3]++;
	assert_int_equal(elo_leader(rating, 7, 24 * ELO_POINT), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_expected),
		cmocka_unit_test(test_score),
		cmocka_unit_test(test_play),
		cmocka_unit_test(test_follow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
