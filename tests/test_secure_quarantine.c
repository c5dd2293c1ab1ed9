/*
 * The secure library holds freed blocks back: none comes again before as much as half of the
 * quarantine was freed after it, and a write to one is found when it leaves. What is held is
 * bounded, counted, given back on request and when its thread ends.
 */
#include "api.h"
#include "hakmem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HALF = 32 * 1024, SLOTS = 256, MANY = 20000 };

static char *blocks[MANY];

static struct hak_stats stats(void)
{
	static void (*fill)(struct hak_stats *, size_t);
	struct hak_stats s;

	if (!fill)
		*(void **)&fill = dlsym(RTLD_DEFAULT, "hak_stats");
	CHECK(fill, "no hak_stats");
	fill(&s, sizeof s);
	return s;
}

static void verify(void)
{
	size_t (*check)(void);

	*(void **)&check = dlsym(RTLD_DEFAULT, "hak_verify");
	CHECK(check, "no hak_verify");
	check();
}

/* Frees of one size until the block comes again. */
static size_t distance(size_t size)
{
	char *first = a_malloc(size), *block;
	size_t frees = 0;

	a_free(first);
	for (; (block = a_malloc(size)) != first; frees++) {
		CHECK(frees < 1000000, "%zu bytes: the block never comes again", size);
		a_free(block);
	}
	a_free(block);
	return frees;
}

/* At any time of the halves' life, so many times. */
static void check_distance(size_t size)
{
	size_t least = HALF / (a_usable_size(blocks[0] = a_malloc(size)) + HALF / SLOTS);

	a_free(blocks[0]);
	for (int i = 0; i < 50; i++) {
		size_t found = distance(size);

		CHECK(found >= least, "%zu bytes: a block came again after %zu frees, not %zu",
			size, found, least);
		for (int k = 0; k < i; k++)
			a_free(a_malloc(size));
	}
}

static size_t offset;

static void write_after_free(void *unused)
{
	char *block = a_malloc(256);

	(void)unused;
	a_free(block);
	((volatile char *)block)[offset] = 1;
	for (int i = 0; i < 4 * SLOTS; i++)
		a_free(a_malloc(256));
}

/* Where nobody frees any more, blocks leave as the thread takes pages. */
static void write_and_allocate(void *unused)
{
	char *block = a_malloc(256);

	(void)unused;
	a_free(block);
	((volatile char *)block)[offset] = 1;
	for (int i = 0; i < 4 * SLOTS; i++)
		blocks[i] = a_malloc(256);
}

/* Or when somebody looks. */
static void write_and_verify(void *unused)
{
	char *block = a_malloc(256);

	(void)unused;
	a_free(block);
	((volatile char *)block)[offset] = 1;
	verify();
}

static void check_writes(void)
{
	static void (*const ways[])(void *) = {
		write_after_free, write_and_allocate, write_and_verify};
	static const size_t offsets[] = {0, 7, 8, 15, 16, 31, 100, 128, 200, 255};
	struct child child;

	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++)
		for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
			offset = offsets[i];
			child_run(&child, ways[way], NULL);
			CHECK(child_aborted(&child) && strstr(child.text, "was written to"),
				"a write at %zu, %zu: %s", offset, way, child_what(&child));
		}
}

/* Beyond one block more in each half nothing is held. */
static void check_bounds(size_t size)
{
	for (int i = 0; i < 2000; i++)
		blocks[i] = a_malloc(size);
	struct hak_stats before = stats();
	size_t usable = a_usable_size(blocks[0]);

	for (int i = 0; i < 2000; i++)
		a_free(blocks[i]);
	struct hak_stats s = stats();

	CHECK(s.held_blocks >= 1 && s.held_blocks <= 2 * SLOTS, "%zu bytes: %lu blocks are held",
		size, (unsigned long)s.held_blocks);
	CHECK(s.held >= s.held_blocks * size && s.held <= 2 * HALF + 2 * (size + size / 8 + 16),
		"%zu bytes: %lu are held", size, (unsigned long)s.held);
	CHECK(before.live_blocks - s.live_blocks == 2000, "%zu bytes: %ld blocks fewer are live",
		size, (long)(before.live_blocks - s.live_blocks));
	CHECK(before.live - s.live == 2000 * usable, "%zu bytes: %ld bytes fewer are live", size,
		(long)(before.live - s.live));
	verify();
	a_trim();
	s = stats();
	CHECK(s.held == 0 && s.held_blocks == 0, "%lu bytes are held after malloc_trim",
		(unsigned long)s.held);
	verify();
}

static void *allocate_all(void *unused)
{
	for (int i = 0; i < MANY; i++)
		blocks[i] = a_malloc(24 + (size_t)i % 600);
	return unused;
}

static void *free_all(void *unused)
{
	for (int i = 0; i < MANY; i++)
		a_free(blocks[i]);
	return unused;
}

static void in_thread(void *(*body)(void *))
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, body, NULL) == 0, "pthread_create");
	pthread_join(thread, NULL);
}

/* Whoever allocates and whoever frees, everything comes home. */
static void check_threads(void)
{
	for (int how = 0; how < 4; how++) {
		uint64_t live = stats().live_blocks;

		if (how & 1)
			in_thread(allocate_all);
		else
			allocate_all(NULL);
		if (how & 2)
			in_thread(free_all);
		else
			free_all(NULL);
		verify();
		a_trim();
		struct hak_stats s = stats();

		CHECK(s.held_blocks == 0, "%d: %lu blocks are held", how,
			(unsigned long)s.held_blocks);
		/* What a thread leaves behind of its own: a few blocks of libc's. */
		CHECK(s.live_blocks <= live + 16, "%d: %lu blocks are live, %lu were", how,
			(unsigned long)s.live_blocks, (unsigned long)live);
		verify();
	}
}

int main(int argc, char **argv)
{
	struct child child;

	api_begin();
	if (argc > 1) {
		CHECK(distance(100) < 2 && stats().held == 0, "blocks are held back: %lu bytes",
			(unsigned long)stats().held);
		return 0;
	}
	for (size_t size = 16; size <= 1024; size += size / 3)
		check_distance(size);
	check_writes();
	for (size_t size = 16; size <= 50000; size *= 3)
		check_bounds(size);
	check_threads();

	char preload[4096], test[4096];
	char *const off[] = {argv[0], (char[]){"off"}, NULL};
	char *const environment[] = {preload, test, (char[]){"HAKMEM_QUARANTINE=0"},
		(char[]){"HAKMEM_GUARD_SAMPLE=0"}, NULL};

	snprintf(preload, sizeof preload, "LD_PRELOAD=%s", getenv("LD_PRELOAD"));
	snprintf(test, sizeof test, "HAK_TEST_PRELOAD=%s", getenv("HAK_TEST_PRELOAD"));
	child_exec(&child, off, environment);
	CHECK(child_exited(&child, 0), "without a quarantine: %s", child_what(&child));
	return 0;
}
