/*
 * A program uses up its address space in blocks of one size and frees every second of them: far
 * from any room that is big enough, a block of some times that size is found in the one place.
 */
#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { ROOM = 200, PLACES = 5 };

#define SPACE (12 * GIB)
#define SMALL 100000
#define BIG 400000
#define BLOCKS_MOST (SPACE / SMALL + 1)

static char **block;
static size_t count;

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t) * (char *const *)a, y = (uintptr_t) * (char *const *)b;

	return x < y ? -1 : x > y;
}

static void fill(void)
{
	char *last;

	for (errno = 0; (last = a_malloc(SMALL)) != NULL; block[count++] = last)
		CHECK(count < BLOCKS_MOST, "%zu blocks of %d under the limit", count, SMALL);
	CHECK(errno == ENOMEM, "exhausted with errno %d", errno);
	CHECK(count > BLOCKS_MOST / 2, "only %zu blocks of %d in %zu GiB", count, SMALL,
		SPACE / GIB);
}

static void free_at(size_t i)
{
	a_free(block[i]);
	block[i] = NULL;
}

/* Makes room among the blocks from `first` on, uses all of it, and ends with it used. */
static void check_place(size_t first)
{
	char *big;
	int found = 0;

	for (size_t i = first; i < first + ROOM; i++) {
		if (block[i])
			free_at(i);
	}
	for (errno = 0; (big = a_malloc(BIG)) != NULL; found++)
		pattern_fill(big, BIG, 1);
	CHECK(errno == ENOMEM, "malloc(%d): errno %d", BIG, errno);
	CHECK(found >= ROOM / 8, "%d blocks of %d found where %d of %d were freed (%zu of %zu)",
		found, BIG, ROOM, SMALL, first, count);
}

static void fragmented(void *unused)
{
	size_t bytes = space_bytes() + SPACE;
	struct rlimit limit = {bytes, bytes};

	(void)unused;
	block = a_calloc(BLOCKS_MOST, sizeof *block);
	CHECK(block, "calloc");
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit: %s", strerror(errno));
	fill();
	qsort(block, count, sizeof *block, by_address);
	for (size_t i = 0; i < count; i += 2)
		free_at(i);
	/* What the thread itself keeps, and room that the freed ones happen to leave. */
	while (a_malloc(BIG))
		;
	for (size_t i = 0; i < PLACES; i++)
		check_place((count - ROOM) / (PLACES - 1) * i);
}

int main(void)
{
	struct child child;

	if (TEST_SANITIZED)
		test_skip("the sanitizers need more address space than the limit here");
	api_begin();
	child_run(&child, fragmented, NULL);
	CHECK(child_exited(&child, 0), "%s", child_what(&child));
	return 0;
}
