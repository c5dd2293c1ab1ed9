/*
 * Huge pages that are learned, for blocks of 2 MiB and more in a process that is small: those that
 * are written all over have them after a few, which page faults and the kernel's own count show;
 * those that are hardly touched have none, and take no more memory than what was touched; neither
 * have any where they are off, or the strategy is fixed. Many that are only reserved take hardly any.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Above what a thread caches, below what a process must have in use to be given huge pages. */
enum { BLOCK = 6 << 20, BLOCKS = 4, ROUNDS = 12, PAGE = 4096 };

/* In use they are more than what first touches are measured in. */
enum { RESERVED = 60 };

static unsigned char *blocks[BLOCKS];

/* As the kernel counts them. */
static size_t huge_bytes(void)
{
	char line[256];
	size_t kib = 0;
	FILE *file = fopen("/proc/self/smaps_rollup", "r");

	CHECK(file, "/proc/self/smaps_rollup");
	while (fgets(line, sizeof line, file))
		sscanf(line, "AnonHugePages: %zu kB", &kib);
	fclose(file);
	return kib << 10;
}

/* Blocks that are fresh each time, of which the first of every `share` parts are written to. */
static uint64_t rounds(unsigned share, size_t *huge, size_t *resident)
{
	uint64_t last = 0;

	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t before = count_faults();

		for (unsigned i = 0; i < BLOCKS; i++) {
			blocks[i] = hak_malloc(BLOCK);
			CHECK(blocks[i], "hak_malloc");
			for (size_t at = 0; at < BLOCK; at += (size_t)share * PAGE)
				blocks[i][at] = (unsigned char)(round + 1);
		}
		last = count_faults() - before;
		*huge = huge_bytes();
		*resident = resident_bytes();
		for (unsigned i = 0; i < BLOCKS; i++)
			hak_free(blocks[i]);
		hak_purge();
	}
	return last;
}

static void check_small(const char *what)
{
	size_t huge, resident;
	uint64_t last = rounds(1, &huge, &resident);

	CHECK(huge == 0 && last >= BLOCKS * BLOCK / PAGE, "%s: %zu MiB in huge pages, %llu faults",
		what, huge / MIB, (unsigned long long)last);
}

static volatile unsigned char seen;

/* Blocks that are read all over, and hardly written to: what is read of them is no memory. */
static void check_only_read(void)
{
	size_t huge = 0, before = resident_bytes(), resident = 0;

	if (syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0) != 0)
		return;
	for (unsigned round = 0; round < 4 * ROUNDS; round++) {
		for (unsigned i = 0; i < BLOCKS; i++) {
			CHECK((blocks[i] = hak_calloc(1, BLOCK)), "hak_calloc");
			for (size_t at = 0; at < BLOCK; at += PAGE)
				seen = blocks[i][at];
			blocks[i][BLOCK / 2] = 1;
		}
		huge = huge_bytes();
		resident = resident_bytes();
		for (unsigned i = 0; i < BLOCKS; i++)
			hak_free(blocks[i]);
		hak_purge();
	}
	CHECK(huge == 0 && resident <= before + 4 * MIB,
		"only read: %zu MiB in huge pages, %zu MiB resident", huge / MIB,
		(resident - before) / MIB);
}

/* Of a size that is promoted, and of which nothing is touched. */
static void check_reserved(void)
{
	static void *reserved[RESERVED];
	size_t before = resident_bytes(), after;

	for (unsigned i = 0; i < RESERVED; i++)
		CHECK((reserved[i] = hak_malloc(BLOCK)), "hak_malloc");
	after = resident_bytes();
	CHECK(after <= before + 32 * MIB, "%d blocks that are not touched take %zu MiB", RESERVED,
		(after - before) / MIB);
	for (unsigned i = 0; i < RESERVED; i++)
		hak_free(reserved[i]);
	hak_purge();
}

/* Nobody looks at blocks where it would be of no use. */
static void check_no_looks(void)
{
	static char json[1 << 16];
	const char *at;

	CHECK(hak_stats_json(json, sizeof json) >= 0, "hak_stats_json: %s", strerror(errno));
	at = strstr(json, "\"looks\": [");
	CHECK(at, "looks");
	for (at = strchr(at, '['); *at != ']'; at++)
		CHECK(*at < '1' || *at > '9', "looks: %.60s", at);
}

int main(void)
{
	size_t huge, resident, before = resident_bytes();
	uint64_t last;

	if (TEST_SANITIZED)
		test_skip("the sanitizers have memory of their own beside it, which faults too");
	if (!kernel_has_huge())
		test_skip("huge pages do not pay here, or there are none");
	CHECK(hak_option_set("policy", "fixed:32M") == 0, "fixed");
	check_small("fixed");
	CHECK(hak_option_set("policy", "learn") == 0, "learn");
	CHECK(hak_option_set("huge", "0") == 0, "huge");
	check_small("off");
	check_no_looks();
	CHECK(hak_option_set("huge", "1") == 0, "huge");
	last = rounds(1, &huge, &resident);
	/* One of them may be in small pages, to look at. */
	CHECK(huge >= (BLOCKS - 1) * BLOCK && last <= BLOCK / PAGE + 64,
		"dense: %zu MiB in huge pages, %llu faults", huge / MIB, (unsigned long long)last);
	CHECK(resident <= before + BLOCKS * BLOCK + 16 * MIB, "dense: %zu MiB resident",
		(resident - before) / MIB);
	check_reserved();
	/* The same size with another habit: huge pages are given up. */
	for (unsigned i = 0; i < 40; i++)
		rounds(8, &huge, &resident);
	CHECK(huge == 0 && resident <= before + BLOCKS * BLOCK / 8 + 16 * MIB,
		"sparse: %zu MiB in huge pages, %zu MiB resident", huge / MIB,
		(resident - before) / MIB);
	check_only_read();
	return 0;
}
