/*
 * estimate.c: bins, the fate of single blocks, the sum over strategies against one that is made
 * strategy by strategy, and the prices against the formula of the cost in floating point.
 */
#include "policy/estimate.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct estimate_world helped = {
	.keep_ms = 500, .batch_bytes = 4 * MIB, .batch_rate = 0};
static const struct estimate_world alone = {.batch_bytes = 4 * MIB, .batch_rate = 4096};

static struct estimate_event event(uint64_t block, int ms, bool huge)
{
	return (struct estimate_event){block, min_size(block, 2 * MIB), ms, huge};
}

static void test_bin(void **state)
{
	(void)state;
	assert_int_equal(estimate_bin(1), 0);
	for (unsigned i = 0; i < ELO_ARMS; i++) {
		assert_int_equal(estimate_bin(estimate_thresholds[i]), i);
		assert_int_equal(estimate_bin(estimate_thresholds[i] + 1), i + 1);
	}
	assert_int_equal(estimate_bin(UINT64_MAX), ELO_ARMS);
}

static void test_kept(void **state)
{
	struct estimate_event soon = event(2 * MIB, 10, false), late = event(2 * MIB, 5000, false);
	struct estimate_event between = event(2 * MIB, 750, true);
	struct estimate_world bound = helped;
	struct estimate_fate f = estimate_kept(&helped, &soon);

	(void)state;
	assert_int_equal(f.gone + f.gone_huge, 0);
	assert_int_equal(f.idle, 20 * MIB);
	/* The helper comes after one and a half ticks on average. */
	f = estimate_kept(&helped, &late);
	assert_int_equal(f.gone, 2 * MIB);
	assert_int_equal(f.idle, 750 * 2 * MIB);
	f = estimate_kept(&helped, &between);
	assert_int_equal(f.gone, 0);
	assert_int_equal(f.gone_huge, 1 * MIB);
	/* Nobody comes. */
	f = estimate_kept(&alone, &late);
	assert_int_equal(f.gone, 0);
	assert_int_equal(f.idle, 5000 * 2 * MIB);
	/* Half of it was purged all the same. */
	bound.kept_lost = 512;
	f = estimate_kept(&bound, &soon);
	assert_int_equal(f.gone, 1 * MIB);
	assert_int_equal(f.idle, 10 * MIB);
}

static void test_purged(void **state)
{
	struct estimate_event big = event(24 * MIB, 10, false), small = event(1 * MIB, 0, false);
	struct estimate_event later = event(1 * MIB, 500, false), half = event(1 * MIB, 256, true);
	struct estimate_fate f = estimate_purged(&helped, &big);

	(void)state;
	/* More than a batch goes at once, and idles no more. */
	assert_int_equal(f.gone, 2 * MIB);
	assert_int_equal(f.idle, 0);
	/* Less is caught by the batch only now and then. */
	f = estimate_purged(&helped, &small);
	assert_int_equal(f.gone, 1 * MIB / 4);
	f = estimate_purged(&helped, &later);
	assert_int_equal(f.gone, 1 * MIB);
	/* Others fill the batch: 1 MiB of its own and 1 MiB at 4 KiB per ms. */
	f = estimate_purged(&alone, &half);
	assert_int_equal(f.gone_huge, 1 * MIB / 2);
	assert_int_equal(f.gone, 0);
	assert_int_equal(f.idle, (uint64_t)(MIB / 2 * 256 + MIB / 2 * 128));
}

static void add_random(struct estimate_tally *t, struct estimate_event *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t block = (uint64_t)(512 + rand() % (40 * 1024)) * KIB;
		all[i] = event(block, rand() % 2000, rand() % 2);
		estimate_add(t, &helped, &all[i]);
	}
}

static double wanted_cost(
	const struct estimate_event *all, unsigned n, unsigned arm, const struct estimate_prices *p)
{
	double traffic = 0, ns = 0, faults = 0, idle = 0, touched = p->touched / 1024.0;

	for (unsigned i = 0; i < n; i++) {
		bool keep = all[i].block <= estimate_thresholds[arm];
		struct estimate_fate f =
			keep ? estimate_kept(&helped, &all[i]) : estimate_purged(&helped, &all[i]);
		double small = (double)f.gone / 4096, huge = (double)f.gone_huge / 4096;

		traffic += (double)all[i].bytes;
		ns += small * (p->purge_ns + touched * p->fault_ns) +
		      huge * (20 + touched * p->huge_ns);
		faults += touched * (small + huge / 512);
		idle += (double)f.idle;
	}
	/* C of a byte is 1 at 0.08 ns; M is idle memory over the peak, for as long as it lasts. */
	return 0.4 * ns / (traffic * 0.08) + 0.3 * faults * 4096 / traffic +
	       0.3 * idle * (double)p->turnover / 1048576 / traffic;
}

static void test_costs(void **state)
{
	static struct estimate_event all[500];
	struct estimate_tally t = {.events = 0};
	struct estimate_prices p = {
		.touched = 700, .purge_ns = 90, .fault_ns = 1000, .huge_ns = 250};
	struct estimate_cost terms[ELO_ARMS];
	uint32_t cost[ELO_ARMS];

	(void)state;
	srand(3);
	add_random(&t, all, 500);
	assert_int_equal(t.events, 500);
	for (p.turnover = 100; p.turnover < 100000000; p.turnover *= 10) {
		estimate_costs(&t, &p, terms, cost);
		for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
			double wanted = wanted_cost(all, 500, arm, &p) * ELO_COST_ONE;

			assert_true(fabs(wanted - cost[arm]) < 4 + wanted / 100);
			assert_true(
				cost[arm] == terms[arm].cpu + terms[arm].faults + terms[arm].idle);
		}
	}
}

/* Keeping is cheaper up to there, purging from there on. */
static void test_break_even(void **state)
{
	struct estimate_prices p = {
		.touched = 1024, .purge_ns = 90, .fault_ns = 1000, .huge_ns = 250};

	(void)state;
	for (p.turnover = 1000; p.turnover < 10000000; p.turnover *= 10) {
		for (int huge = 0; huge < 2; huge++) {
			uint32_t ms = estimate_break_even_ms(&p, huge), cost[2][ELO_ARMS];
			struct estimate_cost terms[ELO_ARMS];

			if (ms < 10)
				continue;
			for (int later = 0; later < 2; later++) {
				struct estimate_event e = event(
					24 * MIB, (int)(later ? ms + ms / 5 : ms - ms / 5), huge);
				struct estimate_tally t = {.events = 0};

				estimate_add(&t, &alone, &e);
				estimate_costs(&t, &p, terms, cost[later]);
			}
			assert_true(cost[0][ELO_ARMS - 1] < cost[0][0]);
			assert_true(cost[1][ELO_ARMS - 1] > cost[1][0]);
		}
	}
}

/* What idles in huge pages is not away meanwhile: that counts against what idling costs. */
static void test_late(void **state)
{
	struct estimate_prices p = {.touched = 1024, .fault_ns = 1000, .huge_ns = 250};
	struct estimate_world half = helped, all = helped;
	struct estimate_event huge = event(2 * MIB, 400, true), small = event(2 * MIB, 400, false);
	struct estimate_event late = event(24 * MIB, 5000, true);

	(void)state;
	half.huge_late = 512;
	all.huge_late = 1024;
	assert_int_equal(estimate_kept(&half, &huge).idle, 200 * 2 * MIB);
	assert_int_equal(estimate_kept(&half, &small).idle, 400 * 2 * MIB);
	assert_int_equal(estimate_kept(&all, &late).idle, 0);
	assert_int_equal(estimate_kept(&all, &late).gone_huge, 2 * MIB);
	/* 0.4 of 1000 ns over 0.08 ns a byte, by 4096; and 1250 ms of idling at 0.3. */
	p.turnover = (1 << 20) / 1000;
	double more = 0.4 * 1000 / (0.08 * 4096);
	double idle = 0.3 * ESTIMATE_LATE_MS * (double)p.turnover / 1048576;
	assert_int_equal(estimate_huge_late(&p, 0), 0);
	assert_true(fabs(estimate_huge_late(&p, 100) - 1024 * more / 10 / idle) < 8);
	assert_int_equal(estimate_huge_late(&p, 1000), 1024);
	p.turnover = 0;
	assert_int_equal(estimate_huge_late(&p, 1000), 1024);
}

/* Errors of a coarse clock cancel: what is wanted at once idles for nothing. */
static void test_coarse(void **state)
{
	struct estimate_prices p = {.touched = 1024,
		.purge_ns = 90,
		.fault_ns = 1000,
		.huge_ns = 250,
		.turnover = 10 << 20};
	struct estimate_tally t = {.events = 0};
	struct estimate_cost terms[ELO_ARMS];
	uint32_t cost[ELO_ARMS];

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		struct estimate_event e = event(24 * MIB, i % 4 ? -1 : 3, false);

		estimate_add(&t, &alone, &e);
	}
	estimate_costs(&t, &p, terms, cost);
	assert_int_equal(cost[ELO_ARMS - 1], 0);
	assert_true(cost[0] > ELO_COST_ONE);
}

/* The largest sums there can be stay in order. */
static void test_large(void **state)
{
	struct estimate_prices p = {.touched = 1024,
		.purge_ns = 1000,
		.fault_ns = 1000,
		.huge_ns = 250,
		.turnover = 1 << 30};
	struct estimate_tally t = {.events = 1, .bytes = 1 << 20};
	struct estimate_cost terms[ELO_ARMS];
	uint32_t cost[ELO_ARMS];

	(void)state;
	t.kept[11].idle = (int64_t)1 << 60;
	estimate_costs(&t, &p, terms, cost);
	assert_true(cost[11] > cost[10] && cost[11] <= UINT32_MAX / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bin),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_purged),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_break_even),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_coarse),
		cmocka_unit_test(test_large),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
