/*
 * bench_policy: what a server's habits with blocks of 512 KiB and more cost, under
 * one strategy for freed memory. Requests come on a schedule that the seed alone
 * decides, so that all strategies serve the same ones at the same times; a request
 * allocates some blocks, uses each (half is filled, every other page stored to once),
 * holds them for a while and frees them. There is always a second thread, as in any
 * server, so that the allocator has its helper.
 *
 * which=0..6 are the habits of the table below, which=7 replays a recorded trace from
 * standard input (trace_record.c). limit=1 is the same with memory of its own that is
 * kept. bench/policy.py runs it and reads CPU time, faults and memory from outside.
 * The cost that it makes of them, fixed before the first result (policy_cost.py):
 *
 *     cost = 0.4 C + 0.3 F + 0.3 M
 *     C = CPU time / the limit's CPU time
 *     F = minor faults / (bytes allocated in blocks of 512 KiB and more / 4096)
 *     M = average resident bytes / peak live bytes
 */
#define _GNU_SOURCE
#include "common.h"
#include "policy_ratings.h"
#include "policy_replay.h"
#include "policy_schedule.h"
#include "policy_work.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define HABITS_MAX 12u

/* What one thread does again and again. */
struct habit {
	unsigned thread, site;
	unsigned low_kib, high_kib; /* sizes: equal, or drawn, each doubling half as often */
	unsigned blocks;            /* of one request */
	unsigned period_us;         /* on average, between requests */
	unsigned hold_us;           /* from the last use to the free */
	unsigned from_ms, to_ms;    /* of every cycle: when requests come; 0, 0: always */
};

struct workload {
	const char *name;
	unsigned warm_ms, run_ms, cycle_ms;
	unsigned threads; /* beside them, `passing` ones that live for a second each */
	unsigned passing;
	struct habit habits[HABITS_MAX];
};

#define KIB(mib) ((mib)*1024u)
#define SIZE(mib) KIB(mib), KIB(mib)
#define SKEWED KIB(1), KIB(32)
#define MS 1000u
#define ALWAYS 0, 0
#define PASSING_MS 1000u

/* Periods are those of servers with some tens of requests a second, not of a machine
 * driven to its limit; what is rare comes every one and a half to two seconds. */
static const struct workload workloads[] = {
	{"reuse-2m", 1000, 4000, 0, 2, 0,
		{{0, 0, SIZE(2), 4, 20 * MS, 1 * MS, ALWAYS},
			{1, 0, SIZE(2), 4, 20 * MS, 1 * MS, ALWAYS}}},
	{"reuse-24m", 1000, 4000, 0, 2, 0,
		{{0, 0, SIZE(24), 1, 60 * MS, 5 * MS, ALWAYS},
			{1, 0, SIZE(24), 1, 60 * MS, 5 * MS, ALWAYS}}},
	/* Half a second of work every two: many short requests, and what the burst holds. */
	{"burst", 2000, 8000, 2000, 2, 0,
		{{0, 0, SIZE(4), 2, 20 * MS, 3 * MS, 0, 500},
			{1, 0, SIZE(4), 2, 20 * MS, 3 * MS, 0, 500},
			{0, 1, SIZE(6), 8, 1900 * MS, 400 * MS, 0, 100},
			{1, 1, SIZE(6), 8, 1900 * MS, 400 * MS, 0, 100}}},
	{"skewed", 1000, 4000, 0, 2, 0,
		{{0, 0, SKEWED, 1, 60 * MS, 20 * MS, ALWAYS},
			{0, 0, SKEWED, 1, 60 * MS, 10 * MS, ALWAYS},
			{0, 0, SKEWED, 1, 60 * MS, 25 * MS, ALWAYS},
			{0, 0, SKEWED, 1, 60 * MS, 5 * MS, ALWAYS},
			{1, 0, SKEWED, 1, 60 * MS, 20 * MS, ALWAYS},
			{1, 0, SKEWED, 1, 60 * MS, 10 * MS, ALWAYS},
			{1, 0, SKEWED, 1, 60 * MS, 25 * MS, ALWAYS},
			{1, 0, SKEWED, 1, 60 * MS, 5 * MS, ALWAYS}}},
	/* From often and small to rare and large; the last two are of passing threads. */
	{"threads", 1000, 5000, 0, 6, 2,
		{{0, 0, 512, 1024, 8, 20 * MS, 2 * MS, ALWAYS},
			{1, 1, SIZE(2), 2, 20 * MS, 2 * MS, ALWAYS},
			{2, 2, SIZE(6), 1, 40 * MS, 5 * MS, ALWAYS},
			{3, 3, SIZE(24), 1, 1500 * MS, 100 * MS, ALWAYS},
			{4, 4, SIZE(12), 1, 100 * MS, 10 * MS, ALWAYS},
			{5, 5, SIZE(3), 12, 1800 * MS, 200 * MS, ALWAYS},
			{6, 6, KIB(2), KIB(4), 2, 30 * MS, 4 * MS, ALWAYS},
			{7, 7, SIZE(8), 1, 50 * MS, 5 * MS, ALWAYS}}},
	/* The same size from two places: reused at once, and not for 1.8 seconds. */
	{"sites", 1000, 5500, 0, 2, 0,
		{{0, 0, SIZE(4), 1, 12 * MS, 1 * MS, ALWAYS},
			{1, 0, SIZE(4), 1, 12 * MS, 1 * MS, ALWAYS},
			{0, 1, SIZE(4), 12, 1800 * MS, 100 * MS, ALWAYS},
			{1, 1, SIZE(4), 12, 1800 * MS, 100 * MS, ALWAYS}}},
	/* Three seconds of queries, three of batches: what was rare becomes usual, and back. */
	{"phases", 1500, 12000, 6000, 2, 0,
		{{0, 0, SIZE(2), 3, 20 * MS, 1 * MS, 0, 3000},
			{1, 0, SIZE(2), 3, 20 * MS, 1 * MS, 0, 3000},
			{0, 1, SIZE(12), 4, 1400 * MS, 60 * MS, 0, 3000},
			{1, 1, SIZE(12), 4, 1400 * MS, 60 * MS, 0, 3000},
			{0, 1, SIZE(12), 1, 40 * MS, 4 * MS, 3000, 6000},
			{1, 1, SIZE(12), 1, 40 * MS, 4 * MS, 3000, 6000},
			{0, 0, SIZE(2), 24, 1400 * MS, 60 * MS, 3000, 6000},
			{1, 0, SIZE(2), 24, 1400 * MS, 60 * MS, 3000, 6000}}},
};
#define TRACE COUNT_OF(workloads)

#define BLOCKS_MAX 32u

/* A habit at work. Times are ns since the run began. */
struct actor {
	const struct habit *habit;
	struct rng rng;
	uint64_t request_ns, next_ns;
	unsigned held;
	void *block[BLOCKS_MAX];
	size_t bytes[BLOCKS_MAX];
};

static uint64_t which, ratings;
static const struct workload *workload;

static size_t draw_bytes(struct actor *a)
{
	const struct habit *h = a->habit;
	uint64_t low = (uint64_t)h->low_kib << 10, high = (uint64_t)h->high_kib << 10;

	if (low == high)
		return low;
	while (2 * low < high && rng_next(&a->rng) >> 63)
		low *= 2;
	return (size_t)(low + rng_next(&a->rng) % low) & ~(size_t)(PAGE_BYTES - 1);
}

/* The first moment from `ns` on at which requests come. */
static uint64_t in_cycle(const struct habit *h, uint64_t ns)
{
	uint64_t cycle = workload->cycle_ms * NS_PER_MS, at;

	if (!h->to_ms)
		return ns;
	at = ns % cycle;
	if (at < h->from_ms * NS_PER_MS)
		return ns - at + h->from_ms * NS_PER_MS;
	return at < h->to_ms * NS_PER_MS ? ns : ns - at + cycle + h->from_ms * NS_PER_MS;
}

/* Between three and five quarters of the period, and not before the blocks are free. */
static void plan_request(struct actor *a)
{
	const struct habit *h = a->habit;
	uint64_t quarter = h->period_us * UINT64_C(1000) / 4;
	uint64_t at = a->request_ns + 3 * quarter + rng_next(&a->rng) % (2 * quarter);

	a->request_ns = in_cycle(h, at > a->next_ns ? at : a->next_ns);
	a->next_ns = a->request_ns;
}

static void release(struct actor *a)
{
	for (unsigned i = 0; i < a->held; i++)
		work_free(a->block[i], a->bytes[i]);
	a->held = 0;
}

static void request(struct actor *a)
{
	const struct habit *h = a->habit;
	enum part part = schedule_part(a->next_ns);

	for (unsigned i = 0; i < h->blocks; i++) {
		a->bytes[i] = draw_bytes(a);
		a->block[i] = work_alloc(h->site, a->bytes[i], part);
		work_use(a->block[i], a->bytes[i]);
	}
	a->held = h->blocks;
	a->next_ns += h->hold_us * UINT64_C(1000);
}

static void act(struct actor *a)
{
	schedule_wait(a->next_ns);
	if (a->held) {
		release(a);
		plan_request(a);
	} else {
		request(a);
	}
}

/* The habits of one thread from `from_ns` to `to_ns`. */
static void live(unsigned thread, uint64_t from_ns, uint64_t to_ns)
{
	struct actor actors[HABITS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < HABITS_MAX && workload->habits[i].blocks; i++) {
		struct actor *a = &actors[count];

		if (workload->habits[i].thread != thread)
			continue;
		a->habit = &workload->habits[i];
		a->rng = rng_stream(i + from_ns);
		a->held = 0;
		a->request_ns = a->next_ns =
			in_cycle(a->habit, from_ns + rng_next(&a->rng) % (10 * NS_PER_MS));
		count++;
	}
	for (;;) {
		struct actor *first = &actors[0];

		for (unsigned i = 1; i < count; i++)
			if (actors[i].next_ns < first->next_ns)
				first = &actors[i];
		if (first->next_ns >= to_ns)
			break;
		act(first);
	}
	schedule_wait(to_ns);
	for (unsigned i = 0; i < count; i++)
		release(&actors[i]);
}

struct passing {
	unsigned thread;
	uint64_t from_ns, to_ns;
};

static void *passing_main(void *argument)
{
	const struct passing *passing = argument;

	live(passing->thread, passing->from_ns, passing->to_ns);
	return NULL;
}

/* One thread after the other, each for a second. */
static void make_passing(unsigned thread, uint64_t end_ns)
{
	for (uint64_t from = 0; from < end_ns; from += PASSING_MS * NS_PER_MS) {
		struct passing passing = {thread, from, from + PASSING_MS * NS_PER_MS};
		pthread_t handle;
		int error;

		if (passing.to_ns > end_ns)
			passing.to_ns = end_ns;
		error = pthread_create(&handle, NULL, passing_main, &passing);
		if (error)
			bench_die("pthread_create: %s", strerror(error));
		pthread_join(handle, NULL);
	}
}

static void worker(unsigned index)
{
	uint64_t end_ns = workload->run_ms * NS_PER_MS;

	schedule_begin();
	if (index < workload->threads)
		live(index, 0, end_ns);
	else
		make_passing(index, end_ns);
	schedule_end();
}

int main(int argc, char **argv)
{
	const struct param params[] = {
		{"which", &which, "0..6: a workload of the table; 7: the trace on standard input"},
		{"ratings", &ratings, "1: prints over time what the library has learned"},
		{"limit", &work_limit, "1: memory of its own that is kept, no allocator"},
	};
	struct measure measure;
	unsigned threads;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (which > TRACE || work_limit > 1)
		bench_die("which must be from 0 to %zu, limit 0 or 1", TRACE);
	workload = which < TRACE ? &workloads[which] : NULL;
	if (workload) {
		threads = workload->threads + workload->passing;
		schedule_init(threads, workload->warm_ms, workload->run_ms);
	} else {
		threads = replay_read();
		schedule_init(threads, replay_warm_ms(), replay_run_ms());
	}
	bench_threads = threads;
	if (ratings)
		ratings_start();
	measure_begin(&measure);
	bench_workers(threads, workload ? worker : replay_worker);
	measure_end(&measure);
	schedule_linger();
	ratings_print();
	measure_print("policy",
		atomic_load(&work_counts.blocks[PART_WARM]) +
			atomic_load(&work_counts.blocks[PART_MEASURED]),
		&measure, "workload=%s limit=%llu traffic_warm=%llu traffic=%llu peak_live=%llu %s",
		workload ? workload->name : "trace", (unsigned long long)work_limit,
		(unsigned long long)atomic_load(&work_counts.traffic[PART_WARM]),
		(unsigned long long)atomic_load(&work_counts.traffic[PART_MEASURED]),
		(unsigned long long)atomic_load(&work_counts.peak), schedule_text());
	return 0;
}
