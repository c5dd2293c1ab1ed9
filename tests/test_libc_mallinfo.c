/*
 * What programs ask an allocator: mallinfo, mallinfo2, mallopt, malloc_trim, malloc_stats,
 * malloc_info speak about this allocator, not about glibc's unused arenas.
 */
#include "api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 4000, BYTES = 4000 };

static char *block[BLOCKS];

static void fill(void)
{
	for (int i = 0; i < BLOCKS; i++) {
		block[i] = malloc(BYTES);
		CHECK(block[i], "malloc(%d)", BYTES);
		memset(block[i], 1, BYTES);
	}
}

static void empty(void)
{
	for (int i = 0; i < BLOCKS; i++)
		free(block[i]);
}

/* glibc's mallinfo is marked as deprecated there; programs use it all the same. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static void check_mallinfo(void)
{
	struct mallinfo2 before = mallinfo2(), full, after;
	struct mallinfo small;
	size_t used, total = (size_t)BLOCKS * BYTES;

	fill();
	full = mallinfo2();
	small = mallinfo();
	used = full.uordblks + full.hblkhd - before.uordblks - before.hblkhd;
	CHECK(used >= total && used < total + total / 8,
		"%zu bytes allocated, mallinfo2 says %zu more", total, used);
	CHECK(full.arena + full.hblkhd >= full.uordblks, "arena %zu, hblkhd %zu, uordblks %zu",
		full.arena, full.hblkhd, full.uordblks);
	CHECK((size_t)(unsigned)small.uordblks + (size_t)(unsigned)small.hblkhd ==
			full.uordblks + full.hblkhd,
		"mallinfo says %d + %d, mallinfo2 %zu + %zu", small.uordblks, small.hblkhd,
		full.uordblks, full.hblkhd);
	empty();
	after = mallinfo2();
	CHECK(after.uordblks + after.hblkhd == before.uordblks + before.hblkhd,
		"mallinfo2: %zu bytes in use before, %zu after", before.uordblks + before.hblkhd,
		after.uordblks + after.hblkhd);
}

/* A big block is counted once: programs add uordblks and hblkhd up. */
static void check_big(void)
{
	struct mallinfo2 before = mallinfo2(), full;
	void *big = malloc(64 * MIB);

	CHECK(big, "malloc(64 MiB)");
	full = mallinfo2();
	size_t used = full.uordblks + full.hblkhd - before.uordblks - before.hblkhd;

	CHECK(used >= 64 * MIB && used <= 65 * MIB, "64 MiB allocated, mallinfo2 says %zu KiB more",
		used / KIB);
	CHECK(full.hblks >= before.hblks, "hblks %zu, then %zu", before.hblks, full.hblks);
	free(big);
}

static void check_trim(void)
{
	size_t before, freed, after;

	malloc_trim(0);
	before = resident_bytes();
	fill();
	empty();
	freed = resident_bytes();
	int result = malloc_trim(0);

	after = resident_bytes();
	CHECK(after < before + 3 * MIB, "%zu KiB resident, after free %zu, after malloc_trim %zu",
		before / KIB, freed / KIB, after / KIB);
	CHECK(result == (freed > after + 64 * KIB) || freed < after + MIB,
		"malloc_trim returned %d when it gave back %zu KiB", result, (freed - after) / KIB);
}

static void check_mallopt(void)
{
	/* Whatever it does with them, the calls that servers make must be accepted. */
	CHECK(mallopt(M_ARENA_MAX, 2) == 1, "mallopt(M_ARENA_MAX, 2)");
	CHECK(mallopt(M_MMAP_THRESHOLD, 1 << 20) == 1, "mallopt(M_MMAP_THRESHOLD, 1 MiB)");
	CHECK(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1, "mallopt(M_TRIM_THRESHOLD, 1 MiB)");
	for (int i = 0; i < 100; i++)
		free(malloc((size_t)i * 1000));
}

static void stats_body(void *unused)
{
	(void)unused;
	malloc_stats();
}

static void check_text(void)
{
	static char text[65536];
	struct child child;
	FILE *file = tmpfile();
	size_t bytes;

	CHECK(file, "tmpfile: %s", strerror(errno));
	CHECK(malloc_info(0, file) == 0, "malloc_info: %s", strerror(errno));
	rewind(file);
	bytes = fread(text, 1, sizeof text - 1, file);
	text[bytes] = 0;
	CHECK(strncmp(text, "<malloc version=", 16) == 0 && strstr(text, "</malloc>"),
		"malloc_info wrote %.200s", text);
	errno = 0;
	int result = malloc_info(1, file);

	CHECK(result == EINVAL || (result == -1 && errno == EINVAL),
		"malloc_info with unknown options returned %d", result);
	fclose(file);
	child_run(&child, stats_body, NULL);
	CHECK(child_exited(&child, 0) && child_lines(&child) > 3, "malloc_stats: %s",
		child_what(&child));
}

int main(void)
{
	api_begin();
	/* stdio's own buffers are not part of what is counted. */
	fill();
	empty();
	check_mallinfo();
	check_big();
	check_trim();
	check_mallopt();
	check_text();
	return 0;
}
