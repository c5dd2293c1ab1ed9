/*
 * free: NULL, errno preserved for every kind of block and freer, order does not matter.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>

static const size_t sizes[] = {0, 1, 16, 100, 1024, 5000, 60000, 65536, 262144, MIB, 2 * MIB,
	8 * MIB, 100 * MIB, 700 * MIB};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* A free that makes system calls must still leave errno as it was. */
static void check_errno(void)
{
	static const int values[] = {0, EINTR, 12345};

	errno = 99;
	a_free(NULL);
	CHECK(errno == 99, "free(NULL) set errno to %d", errno);
	for (int i = 0; i < SIZES; i++) {
		for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
			char *block = a_malloc(sizes[i]);

			CHECK(block, "malloc(%zu)", sizes[i]);
			if (sizes[i])
				block[sizes[i] / 2] = 1;
			errno = values[k];
			a_free(block);
			CHECK(errno == values[k], "free of %zu bytes set errno to %d", sizes[i],
				errno);
		}
	}
}

static void *free_all(void *blocks)
{
	void **block = blocks;

	for (int i = 0; i < SIZES; i++) {
		errno = 4321;
		a_free(block[i]);
		CHECK(errno == 4321, "free by another thread (%zu bytes) set errno to %d", sizes[i],
			errno);
	}
	return NULL;
}

static void check_errno_remote(void)
{
	for (int round = 0; round < 20; round++) {
		void *block[SIZES];
		pthread_t thread;

		for (int i = 0; i < SIZES; i++) {
			block[i] = a_malloc(sizes[i]);
			CHECK(block[i], "malloc(%zu)", sizes[i]);
		}
		CHECK(pthread_create(&thread, NULL, free_all, block) == 0, "pthread_create");
		pthread_join(thread, NULL);
	}
}

/* Freed forwards, backwards and scattered: the memory is used again each time. */
static void check_orders(void)
{
	enum { BLOCKS = 20000 };
	static void *block[BLOCKS];
	size_t after_first = 0;

	for (int round = 0; round < 12; round++) {
		for (size_t i = 0; i < BLOCKS; i++) {
			block[i] = a_malloc(200);
			CHECK(block[i], "malloc(200)");
			pattern_fill(block[i], 200, i);
		}
		for (size_t i = 0; i < BLOCKS; i++) {
			size_t k = round % 3 == 0   ? i
				   : round % 3 == 1 ? BLOCKS - 1 - i
						    : i * 7919 % BLOCKS;

			CHECK(pattern_ok(block[k], 200, k), "block %zu was overwritten", k);
			a_free(block[k]);
		}
		if (round == 2)
			after_first = resident_bytes();
	}
	CHECK(TEST_SANITIZED || resident_bytes() < after_first + MIB,
		"freed memory is not used again: %zu KiB more",
		(resident_bytes() - after_first) / KIB);
}

int main(void)
{
	api_begin();
	check_errno();
	check_errno_remote();
	check_orders();
	return 0;
}
