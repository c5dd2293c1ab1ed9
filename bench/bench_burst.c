/*
 * bench_burst: memory after a burst. The threads grow to `mib` together in
 * blocks of mixed sizes, free 95% of them at random and then sleep; resident
 * memory is read for ten seconds while the process does nothing.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define KEPT_PERCENT 5u
#define MEAN_BYTES 512u /* no block table is smaller than its share over this */

static const unsigned sample_s[] = {0, 1, 2, 5, 10};
static uint64_t mib = 256;
static uint64_t idle_s = 10;
static _Atomic uint64_t live_bytes;
static _Atomic uint64_t blocks_made;
static pthread_barrier_t freed;
static pthread_barrier_t done;
static uint64_t grown_kib;
static uint64_t rss_kib[COUNT_OF(sample_s)];

static void grow_and_free(unsigned index)
{
	uint64_t share = (mib << 20) / bench_threads;
	size_t most = share / MEAN_BYTES;
	struct {
		void *block;
		uint32_t size;
	} *held = bench_map_resident(most * sizeof(*held));
	struct rng rng = rng_stream(index);
	size_t count = 0;
	uint64_t kept = 0;

	for (uint64_t bytes = 0; bytes < share && count < most; count++) {
		held[count].size = rng_log(&rng, 16, 32768);
		held[count].block = bench_alloc(held[count].size);
		bench_touch(held[count].block, held[count].size);
		bytes += held[count].size;
	}
	pthread_barrier_wait(&freed);
	if (!index)
		grown_kib = bench_status_kib("VmRSS:");
	pthread_barrier_wait(&freed);
	for (size_t i = 0; i < count; i++) {
		if (rng_below(&rng, 100) < KEPT_PERCENT)
			kept += held[i].size;
		else
			free(held[i].block);
	}
	atomic_fetch_add(&live_bytes, kept);
	atomic_fetch_add(&blocks_made, count);
}

static void take_samples(void)
{
	uint64_t start = now_ns();

	for (unsigned i = 0; i < COUNT_OF(sample_s) && sample_s[i] <= idle_s; i++) {
		uint64_t at = start + sample_s[i] * UINT64_C(1000000000);
		struct timespec until = {(time_t)(at / 1000000000u), (long)(at % 1000000000u)};

		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL))
			;
		rss_kib[i] = bench_status_kib("VmRSS:");
	}
}

static void worker(unsigned index)
{
	grow_and_free(index);
	pthread_barrier_wait(&freed);
	if (!index)
		take_samples();
	pthread_barrier_wait(&done);
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"mib", &mib, "MiB that the threads grow to together"},
	        {"idle", &idle_s, "seconds of sleep, at most 10"},
	};
	char text[256] = "";
	size_t length = 0;
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (mib < bench_threads)
		bench_die("mib must be at least the number of threads");
	pthread_barrier_init(&freed, NULL, (unsigned)bench_threads);
	pthread_barrier_init(&done, NULL, (unsigned)bench_threads);
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	for (unsigned i = 0; i < COUNT_OF(sample_s) && sample_s[i] <= idle_s; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, " rss_%us=%llu",
		        sample_s[i], (unsigned long long)rss_kib[i]);
	measure_print("burst", atomic_load(&blocks_made), &measure,
	        "live_kib=%llu grown_kib=%llu%s",
	        (unsigned long long)(atomic_load(&live_bytes) >> 10), (unsigned long long)grown_kib,
	        text);
	return 0;
}
