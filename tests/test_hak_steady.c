/*
 * Steady reuse costs nothing of the kernel: after a warm-up, blocks that are allocated, touched once
 * in each page and freed again cause no page fault, no madvise and no other call for memory; with
 * one block live, with sixteen, with several sizes at a time, and with random sizes up to 32 MiB, as
 * soon as what they were made to give back has been wanted again.
 */
#include "hakmem.h"
#include "test.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { LIVE_MAX = 16, DELAY_MS = 10 };

#ifdef HAK_TINY
enum { WHOLE_SIZES = 0 };
#else
enum { WHOLE_SIZES = 1 };
#endif

struct costs {
	uint64_t faults, purge_calls, map_calls, stalls;
};

struct load {
	const char *name;
	size_t low, high; /* sizes of the blocks, or: */
	const size_t *sizes;
	size_t count; /* of sizes */
	size_t live;  /* blocks at a time */
	size_t warm_up, operations;
	/* At most, by the operation: */
	size_t faults, calls;
	bool waves;
};

static char *live[LIVE_MAX];
static uint64_t seed = 11;
static uint64_t stalls;

static struct costs costs_now(void)
{
	struct hak_stats stats;
	struct rusage usage;

	hak_stats(&stats, sizeof stats);
	getrusage(RUSAGE_THREAD, &usage);
	return (struct costs){
		(uint64_t)usage.ru_minflt, stats.purge_calls, stats.map_calls, stalls};
}

/* The thread did not get to run for so long that the helper may have found its memory idle. */
static void count_stall(void)
{
	static uint64_t last;
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	uint64_t now = (uint64_t)time.tv_sec * 1000 + (uint64_t)time.tv_nsec / 1000000;
	stalls += last && now - last >= DELAY_MS / 2;
	last = now;
}

static size_t draw_size(const struct load *load)
{
	if (load->sizes)
		return load->sizes[rng_next(&seed) % load->count];
	return load->low + rng_next(&seed) % (load->high - load->low + 1);
}

static void free_all(void)
{
	for (size_t i = 0; i < LIVE_MAX; i++) {
		hak_free(live[i]);
		live[i] = NULL;
	}
}

/* One block is replaced by chance; or all are freed when there are enough, and made again. */
static void operate(const struct load *load, size_t n)
{
	size_t i = load->waves ? n % load->live : rng_next(&seed) % load->live;
	size_t size = draw_size(load);

	count_stall();
	if (load->waves && i == 0)
		free_all();
	hak_free(live[i]);
	live[i] = hak_malloc(size);
	CHECK(live[i], "hak_malloc(%zu)", size);
	for (size_t at = 0; at < size; at += 4096)
		live[i][at] = 1;
}

static bool is_free(const struct load *load, bool helper, bool last)
{
	struct costs before, after;
	size_t most_idle = load->high * load->live;

	for (size_t n = load->warm_up; n > 0; n--)
		operate(load, n);
	before = costs_now();
	for (size_t n = load->operations; n > 0; n--)
		operate(load, n);
	after = costs_now();
	free_all();
	uint64_t faults = after.faults - before.faults,
		 purge_calls = after.purge_calls - before.purge_calls,
		 map_calls = after.map_calls - before.map_calls;
	/* What is free for longer than the delay is given back, and is not what is tested here. */
	uint64_t excused = helper ? after.stalls - before.stalls : 0;
	bool ok = faults <= load->faults * load->operations + excused * (most_idle / 4096) &&
		  purge_calls <=
			  load->calls * load->operations + excused * (most_idle / (4 * MIB) + 4) &&
		  map_calls == 0;
	CHECK(ok || !last,
		"%s%s: %llu faults, %llu calls of madvise and %llu of mmap and its kin in %zu "
		"operations, %llu stalls excused",
		load->name, helper ? ", with the helper" : "", (unsigned long long)faults,
		(unsigned long long)purge_calls, (unsigned long long)map_calls, load->operations,
		(unsigned long long)excused);
	return ok;
}

/* A busy machine may slow the thread down without one long stall: tried again. */
static void check(const struct load *load, bool helper, unsigned tries)
{
	while (!is_free(load, helper, tries == 1))
		tries--;
}

int main(void)
{
	static const size_t mixed[] = {64 * KIB, 64 * KIB, 64 * KIB, 256 * KIB, 256 * KIB, 2 * MIB};
	static const struct load loads[] = {
		{"64 KiB", 64 * KIB, 64 * KIB, NULL, 0, 1, 100, 5000, 0, 0, false},
		{"256 KiB", 256 * KIB, 256 * KIB, NULL, 0, 1, 100, 2000, 0, 0, false},
		{"2 MiB", 2 * MIB, 2 * MIB, NULL, 0, 1, 20, 1000, 0, 0, false},
		{"64 KiB, 16 live", 64 * KIB, 64 * KIB, NULL, 0, 16, 500, 5000, 0, 0, false},
		{"256 KiB, 16 live", 256 * KIB, 256 * KIB, NULL, 0, 16, 500, 5000, 0, 0, false},
		{"2 MiB, 16 live", 2 * MIB, 2 * MIB, NULL, 0, 16, 200, 1000, 0, 0, false},
		{"2 MiB, 8 live, in waves", 2 * MIB, 2 * MIB, NULL, 0, 8, 200, 2000, 0, 0, true},
		{"64 KiB, 16 live, in waves", 64 * KIB, 64 * KIB, NULL, 0, 16, 500, 50000, 0, 0,
			true},
		{"mixed, 8 live", 0, 0, mixed, sizeof mixed / sizeof *mixed, 8, 40000, 5000, 0, 0,
			false},
	};
	static const struct load swings[] = {
		{"1 to 32 MiB, 4 live", MIB, 32 * MIB, NULL, 0, 4, 400, 400, 10, 0, false},
		{"1 to 32 MiB, 16 live", MIB, 32 * MIB, NULL, 0, 16, 1200, 300, 1, 0, false},
		{"40 MiB", 40 * MIB, 40 * MIB, NULL, 0, 1, 20, 200, 0, 0, false},
	};

	char delay[12];

	if (TEST_SANITIZED)
		test_skip("the sanitizers have faults of their own");
	/* What is learned may be that idle memory costs more than some page faults. */
	CHECK(hak_option_set("policy", "off") == 0, "policy");
	costs_now();
	for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
		check(&loads[i], false, 1);
	/* The tiny build has regions of 64 MiB: such blocks are mappings of their own there. */
	for (size_t i = 0; WHOLE_SIZES && i < sizeof swings / sizeof *swings; i++)
		check(&swings[i], false, 1);
	snprintf(delay, sizeof delay, "%d", DELAY_MS);
	CHECK(hak_option_set("purge_delay_ms", delay) == 0, "purge_delay_ms");
	CHECK(hak_helper_start() == 0, "hak_helper_start");
	for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
		struct load longer = loads[i];

		if (longer.sizes)
			continue; /* peaks that come seldom are not kept for ever */
		/* What the last one left idle goes first; then for several ticks. */
		usleep(100000);
		longer.operations *= 20;
		check(&longer, true, 3);
	}
	return 0;
}
