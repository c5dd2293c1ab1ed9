/*
 * The secure library zeroes what is freed: the option's bytes from the start of a block of any
 * size, by whoever and however it is freed; where the option covers the block, all of it. What lies
 * beyond is left, which shows that the test would see it.
 */
#include "api.h"
#include "hakmem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINK = 16 }; /* of a small block: a link and a mark follow once it is free */

static size_t wiped;

static void *symbol(const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	CHECK(found, "no %s", name);
	return found;
}

/* Blocks in use around it, so that its memory stays where it is. */
static char *filled(size_t size)
{
	char *block = a_malloc(size);

	CHECK(block, "malloc(%zu)", size);
	memset(block, 0xaa, size);
	return block;
}

static size_t nonzero(const char *block, size_t from, size_t to)
{
	volatile const char *p = block;
	size_t found = 0;

	for (size_t i = from; i < to; i++)
		found += p[i] != 0;
	return found;
}

static void check(const char *block, size_t size, const char *how)
{
	size_t from = size <= 56 * KIB ? LINK : 0, to = size < wiped ? size : wiped;
	size_t left = nonzero(block, from, to);

	CHECK(left == 0, "%zu bytes, %s: %zu of the first %zu are not zero", size, how, left, to);
}

static void *free_it(void *block)
{
	a_free(block);
	return NULL;
}

static void by_size(size_t size)
{
	char *block = filled(size), *other = filled(size);
	pthread_t thread;

	a_free(block);
	check(block, size, "freed");
	/* Nothing has a reason to touch more of a block whose memory stays. */
	if (wiped < 1024 && size > 2048 && size < 400 * KIB)
		CHECK(nonzero(block, wiped, size) == size - wiped, "%zu bytes: more was wiped",
			size);
	CHECK(pthread_create(&thread, NULL, free_it, other) == 0, "pthread_create");
	pthread_join(thread, NULL);
	check(other, size, "freed by another thread");
	block = filled(size);
	other = a_realloc(block, size * 2 + 100);
	if (other != block && size <= 2 * MIB)
		check(block, size, "left by realloc");
	a_free(other);
}

static void shrunk(void)
{
	char *block = filled(20 * MIB), *same = a_realloc(block, 3 * MIB);

	CHECK(same == block, "realloc has moved a shrinking block");
	check(block + 4 * MIB, 16 * MIB, "cut off by realloc");
	a_free(same);
}

static void destroyed(size_t size)
{
	hak_heap *(*create)(void);
	void *(*allocate)(hak_heap *, size_t, size_t, unsigned);
	void (*destroy)(hak_heap *);

	*(void **)&create = symbol("hak_heap_create");
	*(void **)&allocate = symbol("hak_heap_alloc");
	*(void **)&destroy = symbol("hak_heap_destroy");
	hak_heap *heap = create();
	char *block = allocate(heap, size, 16, 0), *other = allocate(heap, size, 16, 0);

	memset(block, 0xaa, size);
	memset(other, 0xaa, size);
	destroy(heap);
	check(block, size, "of a heap that was destroyed");
	check(other, size, "of a heap that was destroyed");
}

static void everything(void)
{
	static const size_t sizes[] = {16, 24, 32, 48, 64, 80, 96, 100, 128, 144, 200, 256, 300,
		1000, 5000, 20000, 56 * KIB, 60 * KIB, 100 * KIB, 600 * KIB, 1900 * KIB, 3 * MIB,
		20 * MIB};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		by_size(sizes[i]);
	shrunk();
	for (size_t size = 100; size < 8 * MIB; size *= 30)
		destroyed(size);
	((size_t(*)(void))symbol("hak_verify"))();
}

int main(int argc, char **argv)
{
	static const char *const options[] = {"64", "256", "4K", "1M", "1G"};
	static const size_t bytes[] = {64, 256, 4 * KIB, MIB, GIB};
	struct child child;

	api_begin();
	if (argc > 1) {
		wiped = strtoull(argv[1], NULL, 10);
		everything();
		return 0;
	}
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		char preload[4096], test[4096], option[64], number[32];
		char *const with[] = {argv[0], number, NULL};
		char *const environment[] = {preload, test, option,
			(char[]){"HAKMEM_GUARD_SAMPLE=0"}, (char[]){"HAKMEM_HELPER=0"}, NULL};

		snprintf(preload, sizeof preload, "LD_PRELOAD=%s", getenv("LD_PRELOAD"));
		snprintf(test, sizeof test, "HAK_TEST_PRELOAD=%s", getenv("HAK_TEST_PRELOAD"));
		snprintf(option, sizeof option, "HAKMEM_WIPE_BYTES=%s", options[i]);
		snprintf(number, sizeof number, "%zu", bytes[i]);
		child_exec(&child, with, environment);
		CHECK(child_exited(&child, 0), "%s: %s", option, child_what(&child));
	}
	return 0;
}
