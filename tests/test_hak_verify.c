/*
 * hak_verify walks all structures in many states and finds nothing wrong; it counts pages in use,
 * and it does find a free list that was overwritten.
 */
#include "hakmem.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
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

/* Its own blocks, some of which it sends to the next thread. */
static void *shuffle_own_thread(void *seed)
{
	static void *_Atomic shared[16];
	uint64_t state = (uintptr_t)seed;

	for (int i = 0; i < 20000; i++) {
		void *fresh = hak_malloc(draw_size(&state) % 100000);

		hak_free(atomic_exchange(&shared[rng_next(&state) % 16], fresh));
	}
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

/* The option finds it without being asked, at the next slow call or soon after. */
static void damage_unasked(void *size)
{
	size_t bytes = (size_t)size;
	char *list[64];

	CHECK(hak_option_set("verify", "3") == 0, "the option verify");
	for (int i = 0; i < 64; i++)
		list[i] = hak_malloc(bytes);
	for (int i = 0; i < 64; i += 2)
		hak_free(list[i]);
	memset(list[10], 0x41, 16);
	/* Other classes, so that none of these calls meets the list itself. */
	for (size_t i = 0; i < 100; i++)
		hak_free(hak_malloc(bytes + 1000 + 2000 * i));
}

/* With the option and no mistake nothing happens, whatever other threads do. */
static void watched(void *unused)
{
	pthread_t thread[3];

	(void)unused;
	CHECK(hak_option_set("verify", "7") == 0, "the option verify");
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, shuffle_own_thread, (void *)i) == 0,
			"pthread_create");
	for (int i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
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
	for (size_t size = 32; size <= 1000; size *= 3) {
		child_run(&child, damage_unasked, (void *)size);
		CHECK(child_aborted(&child) && child_lines(&child) == 1,
			"a free block of %zu was overwritten, and the option verify: %s", size,
			child_what(&child));
	}
	child_run(&child, watched, NULL);
	CHECK(child_exited(&child, 0), "watched threads that do nothing wrong: %s",
		child_what(&child));
	return 0;
}
