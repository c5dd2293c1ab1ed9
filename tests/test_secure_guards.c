/*
 * Guards of the secure library: each granule of 2 MiB in which blocks share memory ends with a
 * slice without access, so an overrun goes no further; and their number is bounded, since each
 * costs two of the mappings that a process may have.
 */
#include "api.h"
#include "hakmem.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GRANULE (2 * MIB)
#define SLICE (64 * KIB)

enum { BLOCKS = 40000, MIDS = 12000, GUARDED = 8192 };

static char *blocks[BLOCKS];

static void verify(void)
{
	size_t (*check)(void);

	*(void **)&check = dlsym(RTLD_DEFAULT, "hak_verify");
	CHECK(check, "no hak_verify");
	check();
}

/* One pass over the mappings: how many there are, and whether one without access covers a range. */
static size_t mappings(uintptr_t from, uintptr_t to, bool *covered)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[4352];
	size_t count = 0;

	CHECK(file, "no /proc/self/maps");
	*covered = false;
	for (; fgets(line, sizeof line, file); count++) {
		unsigned long start, end;
		char access[8];

		CHECK(sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3, "%s", line);
		if (start <= from && to <= end && !strncmp(access, "---", 3))
			*covered = true;
	}
	fclose(file);
	return count;
}

static uintptr_t granule(const char *block)
{
	return (uintptr_t)block & ~(uintptr_t)(GRANULE - 1);
}

static void check_guard(const char *block, size_t size)
{
	uintptr_t end = granule(block) + GRANULE;
	bool closed;

	mappings(end - SLICE, end, &closed);
	CHECK(closed, "%zu bytes at %p: no guard at %p", size, block, (void *)(end - SLICE));
	CHECK((uintptr_t)block + size <= end - SLICE, "%zu bytes at %p reach into a guard", size,
		block);
}

/* Writes on from a block until something stops it. */
static void overrun(void *block)
{
	volatile char *p = block;

	for (size_t i = 0; i < 2 * GRANULE; i += 4096)
		p[i] = 1;
}

static void check_spans(size_t size, int count)
{
	struct child child;

	for (int i = 0; i < count; i++) {
		blocks[i] = a_malloc(size);
		CHECK(blocks[i], "malloc(%zu)", size);
		if (i % (count / 20 + 1) == 0)
			check_guard(blocks[i], size);
	}
	child_run(&child, overrun, blocks[count / 2]);
	CHECK(!child_exited(&child, 0), "%zu bytes: an overrun of two granules was not stopped",
		size);
	verify();
	for (int i = 0; i < count; i++)
		a_free(blocks[i]);
}

/* So much that there would be more guards than there may be. Nothing of it is touched. */
static void check_bound(void)
{
	bool closed;
	size_t before = mappings(0, 0, &closed), after;
	int count = 0;

	while (count < MIDS && (blocks[count] = a_malloc(1900 * KIB)))
		count++;
	after = mappings(0, 0, &closed);
	if (count == MIDS)
		CHECK(after > before + GUARDED, "%zu mappings, %zu before: where are the guards?",
			after, before);
	CHECK(after < before + 2 * GUARDED + 200, "%zu mappings, %zu before", after, before);
	verify();
	for (int i = 0; i < count; i++)
		a_free(blocks[i]);
	verify();
}

int main(int argc, char **argv)
{
	/* Huge pages have no guards, and so much memory would be in them. */
	if (argc == 1) {
		char *const again[] = {argv[0], (char[]){"again"}, NULL};

		setenv("HAKMEM_HUGE", "0", 1);
		execv(argv[0], again);
		CHECK(false, "execv of %s", argv[0]);
	}
	api_begin();
	for (size_t size = 16; size < 1900 * KIB; size *= 7)
		check_spans(size, size < 10000 ? BLOCKS / 4 : 200);
	check_bound();
	return 0;
}
