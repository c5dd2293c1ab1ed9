/*
 * A big block that grows many times stays one mapping of the kernel, so that growth stays cheap;
 * its contents move with it, also when the program has split the mapping.
 */
#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { EDGE = 65536, MAPPINGS_MOST = 2 };

static int mappings_of(const char *block, size_t bytes)
{
	uintptr_t begin = (uintptr_t)block, end = begin + bytes;
	unsigned long from, to;
	char line[512];
	int count = 0;
	FILE *maps = fopen("/proc/self/maps", "r");

	CHECK(maps, "/proc/self/maps: %s", strerror(errno));
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%lx-%lx", &from, &to) == 2 && to > begin && from < end)
			count++;
	}
	fclose(maps);
	return count;
}

static char *grow(char *block, size_t old, size_t bytes)
{
	pattern_fill(block, EDGE, old);
	pattern_fill(block + old / 2, EDGE, old + 1);
	pattern_fill(block + old - EDGE, EDGE, old + 2);
	block = a_realloc(block, bytes);
	CHECK(block, "realloc from %zu to %zu MiB", old / MIB, bytes / MIB);
	CHECK(pattern_ok(block, EDGE, old) && pattern_ok(block + old / 2, EDGE, old + 1) &&
			pattern_ok(block + old - EDGE, EDGE, old + 2),
		"realloc from %zu to %zu MiB lost bytes", old / MIB, bytes / MIB);
	return block;
}

/* Each block between stands in the way of growing in place. */
static void check_growth(size_t first, size_t step)
{
	void *between[64];
	size_t count = 0, bytes = first, most = (TEST_SANITIZED ? 300 : 1200) * MIB;
	char *block = a_malloc(bytes);

	CHECK(block, "malloc(%zu)", bytes);
	while (bytes < most && count < 64) {
		size_t more = bytes + (step ? step : bytes / 2 / MIB * MIB);

		between[count] = a_malloc(4 * MIB);
		CHECK(between[count++], "malloc(4 MiB)");
		block = grow(block, bytes, more);
		bytes = more;
		CHECK(mappings_of(block, bytes) <= MAPPINGS_MOST,
			"after %zu reallocs, %zu MiB lie in %d mappings", count, bytes / MIB,
			mappings_of(block, bytes));
	}
	a_free(block);
	while (count > 0)
		a_free(between[--count]);
}

/* Flags of a part make three mappings of one block: it is moved or copied, but never lost. */
static void check_split(size_t bytes)
{
	char *before = a_malloc(bytes), *block = a_malloc(bytes), *behind = a_malloc(bytes);

	CHECK(before && block && behind, "malloc(%zu)", bytes);
	pattern_fill(before, bytes, 1);
	pattern_fill(behind, bytes, 2);
	for (size_t more = bytes * 2; more < bytes * 20; more += bytes * 3) {
		uintptr_t part = ((uintptr_t)block + bytes / 2) & ~(uintptr_t)4095;

		CHECK(madvise((void *)part, 64 * KIB, MADV_DONTDUMP) == 0, "madvise: %s",
			strerror(errno));
		block = grow(block, more == bytes * 2 ? bytes : more - bytes * 3, more);
	}
	CHECK(pattern_ok(before, bytes, 1) && pattern_ok(behind, bytes, 2), "a neighbour changed");
	a_free(block);
	CHECK(pattern_ok(before, bytes, 1) && pattern_ok(behind, bytes, 2), "a neighbour changed");
	a_free(before);
	a_free(behind);
}

int main(void)
{
	api_begin();
	check_growth(8 * MIB, 0);
	check_growth(300 * MIB, 0);
	check_growth(70 * MIB, 30 * MIB);
	check_split(3 * MIB);
	check_split((TEST_SANITIZED ? 8 : 40) * MIB);
	return 0;
}
