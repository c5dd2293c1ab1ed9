/*
 * bench_threads: many short-lived threads, `threads` at a time. Each frees
 * what an earlier one left, allocates, frees half, leaves the rest and exits.
 */
#include "common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define BLOCKS 64u
#define SLOTS 64u

struct parcel {
	void *blocks[BLOCKS / 2];
};

static uint64_t total = 8000;
static _Atomic(struct parcel *) slots[SLOTS];

static void free_parcel(struct parcel *parcel)
{
	for (unsigned i = 0; parcel && i < COUNT_OF(parcel->blocks); i++)
		free(parcel->blocks[i]);
	free(parcel);
}

static void *visitor(void *argument)
{
	uint64_t number = (uint64_t)(uintptr_t)argument;
	struct rng rng = rng_stream(number);
	struct parcel *parcel = bench_alloc(sizeof(*parcel));

	for (unsigned i = 0; i < BLOCKS; i++) {
		size_t size = rng_log(&rng, 16, 4096);
		void *block = bench_alloc(size);

		bench_touch(block, size);
		if (i % 2)
			free(block);
		else
			parcel->blocks[i / 2] = block;
	}
	free_parcel(atomic_exchange(&slots[rng_below(&rng, SLOTS)], parcel));
	return NULL;
}

static void worker(unsigned index)
{
	uint64_t todo = bench_share(total, index, (unsigned)bench_threads);

	for (uint64_t i = 0; i < todo; i++) {
		uintptr_t number = (uintptr_t)(i * bench_threads + index);
		pthread_t handle;
		int error = pthread_create(&handle, NULL, visitor, (void *)number);

		if (error)
			bench_die("pthread_create: %s", strerror(error));
		pthread_join(handle, NULL);
	}
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &total, "threads created in all"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	for (unsigned i = 0; i < SLOTS; i++)
		free_parcel(atomic_load(&slots[i]));
	measure_end(&measure);
	measure_print("threads", total, &measure, NULL);
	return 0;
}
