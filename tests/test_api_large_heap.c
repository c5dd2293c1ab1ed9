/*
 * A heap of many GiB, of which little is touched: far beyond one region of address space. What is
 * freed is found again, so the process does not grow once it is known that huge pages are not for
 * such blocks: what takes their place then lies elsewhere.
 */
#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BLOCKS = 13000 };

static char *block[BLOCKS];

static void fill(size_t size, int from, int step)
{
	for (int i = from; i < BLOCKS; i += step) {
		block[i] = a_malloc(size);
		CHECK(block[i], "malloc(%zu) after %d blocks: %s", size, i, strerror(errno));
		block[i][0] = (char)i;
		block[i][size - 1] = (char)(i >> 8);
	}
}

static void empty(size_t size, int from, int step)
{
	for (int i = from; i < BLOCKS; i += step) {
		CHECK(block[i][0] == (char)i && block[i][size - 1] == (char)(i >> 8),
			"block %d was overwritten", i);
		a_free(block[i]);
	}
}

static size_t address_space(void)
{
	unsigned long pages = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	CHECK(file && fscanf(file, "%lu", &pages) == 1, "/proc/self/statm");
	fclose(file);
	return pages * 4096;
}

int main(void)
{
	size_t full = 0, again;

	if (TEST_SANITIZED)
		test_skip("the sanitizers need address space of their own");
	api_begin();
	fill(MIB, 0, 1);
	for (int round = 0; round < 4; round++) {
		empty(MIB, 0, 2);
		fill(MIB, 0, 2);
		if (!round)
			full = address_space();
	}
	again = address_space();
	CHECK(again <= full + GIB, "address space grows from %zu MiB to %zu MiB", full / MIB,
		again / MIB);
	empty(MIB, 0, 1);
	fill(3000, 0, 1);
	empty(3000, 0, 1);
	return 0;
}
