/*
 * 100,000 short-lived threads leave resident memory flat: each allocates, frees some of it, hands
 * the rest to the next thread or to the main thread.
 */
#include "api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { TOGETHER = 4, BLOCKS = 12, SLOTS = 64 };

static _Atomic(void *) x_slot[SLOTS];

static void *body(void *argument)
{
	uint64_t seed = (uintptr_t)argument;

	for (int i = 0; i < BLOCKS; i++) {
		uint64_t draw = rng_next(&seed);
		size_t bytes = draw % ((size_t)32 << (draw >> 56) % 13) + 1;
		char *block = a_malloc(bytes);

		CHECK(block, "malloc(%zu)", bytes);
		block[0] = block[bytes - 1] = 1;
		if (draw & (1u << 20))
			block = atomic_exchange(&x_slot[draw % SLOTS], block);
		a_free(block);
	}
	return NULL;
}

static void run_threads(unsigned threads, size_t base)
{
	pthread_t thread[TOGETHER];
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 256 * KIB);
	for (unsigned i = 0; i < threads; i += TOGETHER) {
		for (unsigned k = 0; k < TOGETHER; k++) {
			void *argument = (void *)(base + i + k);

			CHECK(pthread_create(&thread[k], &attributes, body, argument) == 0,
				"pthread_create");
		}
		for (unsigned k = 0; k < TOGETHER; k++)
			pthread_join(thread[k], NULL);
		a_free(atomic_exchange(&x_slot[i % SLOTS], NULL));
	}
	for (int i = 0; i < SLOTS; i++)
		a_free(atomic_exchange(&x_slot[i], NULL));
	pthread_attr_destroy(&attributes);
}

int main(void)
{
	unsigned threads = TEST_SANITIZED ? 4000 : 100000;
	size_t before, trimmed, after;

	api_begin();
	run_threads(threads / 20, 1);
	before = resident_bytes();
	a_trim();
	trimmed = resident_bytes();
	run_threads(threads, threads);
	after = resident_bytes();
	/* Free memory that is kept for reuse may fill up; what is bound to threads may not. */
	CHECK(TEST_SANITIZED || after < before + 8 * MIB, "%u threads leave %zu KiB more", threads,
		(after - before) / KIB);
	a_trim();
	after = resident_bytes();
	CHECK(TEST_SANITIZED || after < trimmed + MIB,
		"%u threads leave %zu KiB that cannot be trimmed", threads,
		(after - trimmed) / KIB);
	return 0;
}
