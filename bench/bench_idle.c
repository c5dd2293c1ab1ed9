/*
 * bench_idle: many threads that allocate once and then wait. What they keep
 * resident, page tables included, beyond the same threads with blocks=0 (no
 * malloc in the thread) is what an allocator costs per thread.
 */
#define _GNU_SOURCE
#include "common.h"

#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#define STACK_BYTES (128u << 10)

static uint64_t idle_threads = 10000;
static uint64_t blocks = 1;
static sem_t ready;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void *visitor(void *argument)
{
	struct rng rng = rng_stream((uint64_t)(uintptr_t)argument);
	void *held[64];

	for (uint64_t i = 0; i < blocks; i++) {
		size_t size = blocks == 1 ? 64 : rng_log(&rng, 16, 2048);

		held[i] = bench_alloc(size);
		bench_touch(held[i], size);
	}
	sem_post(&ready);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	for (uint64_t i = 0; i < blocks; i++)
		free(held[i]);
	return NULL;
}

static void start_all(pthread_t *handles)
{
	pthread_attr_t attr;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	for (uint64_t i = 0; i < idle_threads; i++) {
		int error = pthread_create(&handles[i], &attr, visitor, (void *)(uintptr_t)i);

		if (error)
			bench_die("thread %llu: pthread_create: %s", (unsigned long long)i,
			        strerror(error));
	}
	pthread_attr_destroy(&attr);
	for (uint64_t i = 0; i < idle_threads; i++)
		while (sem_wait(&ready))
			;
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &idle_threads, "idle threads"},
	        {"blocks", &blocks, "blocks that each allocates, at most 64; 1 is 64 bytes"},
	};
	uint64_t rss, tables, after;
	struct measure measure;
	pthread_t *handles;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!idle_threads || blocks > 64)
		bench_die("needs at least 1 thread and at most 64 blocks");
	handles = bench_map_resident(idle_threads * sizeof(*handles));
	sem_init(&ready, 0, 0);
	pthread_mutex_lock(&gate);
	measure_begin(&measure);
	start_all(handles);
	measure_end(&measure);
	rss = bench_status_kib("VmRSS:");
	tables = bench_status_kib("VmPTE:");
	pthread_mutex_unlock(&gate);
	for (uint64_t i = 0; i < idle_threads; i++)
		pthread_join(handles[i], NULL);
	after = bench_status_kib("VmRSS:");
	measure_print("idle", idle_threads, &measure,
	        "blocks=%llu rss_kib=%llu tables_kib=%llu after_kib=%llu",
	        (unsigned long long)blocks, (unsigned long long)rss, (unsigned long long)tables,
	        (unsigned long long)after);
	return 0;
}
