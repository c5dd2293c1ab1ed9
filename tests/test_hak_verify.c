/*
 * hak_verify walks all structures in many states and finds nothing wrong; it counts pages in use,
 * and it does find a free list that was overwritten.
 */
#include "hakmem.h"
#include "test.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>

enum { BLOCKS = 2000 };

static void *block[BLOCKS];

static size_t draw_size(uint64_t *seed)
{
	uint64_t draw = rng_next(seed);

	return draw % ((size_t)32 << (draw >> 56) % 17);
}

static void shuffle(uint64_t seed, int steps)
{
	for (int i = 0; i < steps; i++) {
		size_t at = rng_next(&seed) % BLOCKS, bytes = draw_size(&seed);

		hak_free(block[at]);
		block[at] = rng_next(&seed) % 3 ? hak_malloc(bytes) : NULL;
	}
}

static void *shuffle_thread(void *seed)
{
	shuffle((uintptr_t)seed, 3000);
	return NULL;
}

static void free_all(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		hak_free(block[i]);
		block[i] = NULL;
	}
}

/* A program that writes to freed blocks damages the lists through them. */
static void damage(void *size)
{
	size_t bytes = (size_t)size;
	char *list[64];

	for (int i = 0; i < 64; i++)
		list[i] = hak_malloc(bytes);
	for (int i = 0; i < 64; i += 2)
		hak_free(list[i]);
	for (int i = 0; i < 64; i += 2)
		memset(list[i], 0x41, 16);
	hak_verify();
}

int main(void)
{
	struct child child;
	size_t pages;
	void *whale;

	hak_verify();
	for (uint64_t round = 0; round < 30; round++) {
		pthread_t thread;

		shuffle(round, 3000);
		pages = hak_verify();
		CHECK(pages > 20, "only %zu pages checked with %d blocks", pages, BLOCKS);
		CHECK(pthread_create(&thread, NULL, shuffle_thread, (void *)(uintptr_t)round) == 0,
			"pthread_create");
		pthread_join(thread, NULL);
		hak_verify();
		if (round % 10 == 9) {
			free_all();
			hak_verify();
			hak_purge();
			hak_verify();
		}
	}
	whale = hak_malloc(70 * MIB);
	hak_verify();
	hak_free(whale);
	hak_verify();
	if (TEST_SANITIZED)
		return 0;
	for (size_t size = 32; size <= 1000; size *= 3) {
		child_run(&child, damage, (void *)size);
		CHECK(child_aborted(&child) && child_lines(&child) == 1,
			"free blocks of %zu were overwritten, and hak_verify: %s", size,
			child_what(&child));
	}
	return 0;
}
