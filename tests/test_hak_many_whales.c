/*
 * Very many and very big blocks: 100,000 of 2 MiB need few mappings of the kernel's, which allows a
 * process 65,530; alignment costs address space and no memory; a block that grows does so in its
 * place, or its pages move: they are not copied.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Regions are small in the tiny build, and so many that they count. */
#ifdef HAK_TINY
enum { WHALES = 20000 };
#else
enum { WHALES = 100000 };
#endif
enum { LINES_MOST = 1000, SECONDS_MOST = 20 };

static char *block[WHALES];

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t mappings(void)
{
	static char text[65536];
	size_t lines = 0;
	ssize_t n;
	int fd = open("/proc/self/maps", O_RDONLY);

	CHECK(fd >= 0, "/proc/self/maps: %s", strerror(errno));
	while ((n = read(fd, text, sizeof text)) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	close(fd);
	return lines;
}

static uint64_t faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt;
}

/* One byte of each is used: a descriptor and the byte's page are what is resident. */
static void check_count(void)
{
	double begin = seconds();
	size_t before, most;

	memset(block, 0, sizeof block);
	before = resident_bytes();
	for (size_t i = 0; i < WHALES; i++) {
		block[i] = hak_malloc(2 * MIB);
		CHECK(block[i], "hak_malloc(2 MiB), number %zu", i);
		if (i % 10 == 0)
			block[i][i % (2 * MIB)] = 1;
	}
	CHECK(mappings() < LINES_MOST, "%zu lines in /proc/self/maps", mappings());
	CHECK(seconds() - begin < SECONDS_MOST, "%.1f s", seconds() - begin);
	most = WHALES * (4 * KIB + 4 * KIB / 10) + 64 * MIB;
	CHECK(resident_bytes() < before + most, "%zu MiB are resident, %zu MiB are enough",
		(resident_bytes() - before) / MIB, most / MIB);
	/* Every other one goes: holes are no mappings either. */
	for (size_t i = 0; i < WHALES; i += 2)
		hak_free(block[i]);
	hak_purge();
	CHECK(mappings() < LINES_MOST, "half are freed: %zu lines in /proc/self/maps", mappings());
	for (size_t i = 0; i < WHALES; i += 2)
		block[i] = hak_malloc(2 * MIB);
	for (size_t i = 0; i < WHALES; i++) {
		CHECK(i % 20 != 10 || block[i], "hak_malloc(2 MiB)");
		CHECK(i % 2 == 0 || i % 10 != 0 || block[i][i % (2 * MIB)] == 1, "block %zu", i);
		hak_free(block[i]);
	}
	CHECK(seconds() - begin < 2 * SECONDS_MOST, "%.1f s", seconds() - begin);
}

static void check_alignment(size_t size, size_t alignment)
{
	enum { COUNT = 40 };
	size_t before;

	hak_purge();
	before = resident_bytes();
	for (size_t i = 0; i < COUNT; i++) {
		block[i] = hak_alloc(size, alignment, 0);
		CHECK(block[i] && (uintptr_t)block[i] % alignment == 0, "(%zu, %zu) gave %p", size,
			alignment, (void *)block[i]);
		block[i][0] = block[i][size - 1] = 1;
	}
	CHECK(resident_bytes() < before + COUNT * 40 * KIB + MIB,
		"40 blocks of %zu aligned to %zu: %zu KiB are resident", size, alignment,
		(resident_bytes() - before) / KIB);
	for (size_t i = 0; i < COUNT; i++)
		hak_free(block[i]);
}

/* Neighbours behind it are free, so it need not move. */
static void check_in_place(void)
{
	char *p = hak_malloc(64 * MIB), *grown;
	uint64_t before;

	CHECK(p, "hak_malloc(64 MiB)");
	p = hak_realloc(p, 4 * MIB);
	CHECK(p, "hak_realloc to 4 MiB");
	pattern_fill(p, 4 * MIB, 3);
	for (size_t bytes = 6 * MIB; bytes <= 64 * MIB; bytes += bytes / 2 / MIB * MIB) {
		before = faults();
		grown = hak_realloc(p, bytes);
		CHECK(grown == p, "a block with room behind it grew to %zu and moved", bytes);
		CHECK(faults() - before < 20, "%llu faults",
			(unsigned long long)(faults() - before));
	}
	CHECK(pattern_ok(p, 4 * MIB, 3), "contents");
	hak_free(p);
}

/* A mapping of its own: moved when something is in the way, and its pages with it. */
static void check_moves(void)
{
	size_t bytes = 300 * MIB, touched = 100 * MIB, resident;
	char *p = hak_malloc(bytes);
	uint64_t before;

	CHECK(p, "hak_malloc(300 MiB)");
	pattern_fill(p, touched, 4);
	for (int i = 0; i < 6; i++) {
		void *between = hak_malloc(300 * MIB);

		resident = resident_bytes();
		before = faults();
		bytes += 200 * MIB;
		p = hak_realloc(p, bytes);
		CHECK(p, "hak_realloc to %zu MiB", bytes / MIB);
		CHECK(faults() - before < 100 && resident_bytes() < resident + 2 * MIB,
			"grown to %zu MiB: %llu faults, %zu KiB more are resident", bytes / MIB,
			(unsigned long long)(faults() - before),
			(resident_bytes() - resident) / KIB);
		hak_free(between);
	}
	CHECK(pattern_ok(p, touched, 4), "contents");
	hak_free(p);
}

int main(void)
{
	if (TEST_SANITIZED)
		test_skip("the sanitizers need the address space");
	/* What is resident is counted by the page here. */
	CHECK(hak_option_set("huge", "0") == 0, "huge");
	check_in_place();
	check_moves();
	check_alignment(3 * MIB, 4 * MIB);
	check_alignment(100 * KIB, 64 * MIB);
	check_alignment(5 * MIB, 1 * GIB);
	check_count();
	return 0;
}
