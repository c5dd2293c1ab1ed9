/*
 * The option policy: of fixed:<threshold> exactly the twelve are taken; blocks up to it stay
 * resident when they are freed, and larger ones go back to the kernel by the batch, whichever thread
 * frees them; what is off stays as it was.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 12 };

/* Larger blocks are mappings of their own, and go with them. */
#ifdef HAK_TINY
enum { POOL_MAX = 16 << 20 };
#else
enum { POOL_MAX = 256 << 20 };
#endif

static void check_values(void)
{
	static const char *const good[] = {"off", "learn", "frozen", "fixed:512K", "fixed:768K",
		"fixed:1M", "fixed:1536K", "fixed:2M", "fixed:3M", "fixed:4M", "fixed:6M",
		"fixed:8M", "fixed:12M", "fixed:16M", "fixed:32M"};
	static const char *const bad[] = {"", "on", "fixed", "fixed:", "fixed:5M", "fixed:64M",
		"fixed:256K", "fixed:2M ", "fixed:x", "fixed:1.7M", "learnt"};
	char value[64];

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		CHECK(hak_option_set("policy", good[i]) == 0, "%s was not taken", good[i]);
		hak_option_get("policy", value, sizeof value);
		CHECK(strcmp(value, good[i]) == 0, "%s came back as %s", good[i], value);
	}
	CHECK(hak_option_set("policy", "fixed:1.5M") == 0, "fixed:1.5M was not taken");
	hak_option_get("policy", value, sizeof value);
	CHECK(strcmp(value, "fixed:1536K") == 0, "fixed:1.5M came back as %s", value);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		CHECK(hak_option_set("policy", bad[i]) == -1 && errno == EINVAL, "%s was taken",
			bad[i]);
	}
	hak_option_get("policy", value, sizeof value);
	CHECK(strcmp(value, "fixed:1536K") == 0, "a bad value left %s", value);
}

static void *volatile block;

static void reuse(size_t size)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		block = hak_malloc(size);
		CHECK(block, "hak_malloc(%zu)", size);
		memset(block, 1, size);
		hak_free(block);
	}
}

static int purges(size_t size)
{
	struct hak_stats before, after;
	bool all_given_back;

	hak_stats(&before, sizeof before);
	reuse(size);
	hak_stats(&after, sizeof after);
	all_given_back = after.purged - before.purged >= (ROUNDS / 2 - 1) * (uint64_t)size;
	CHECK(all_given_back || after.purged == before.purged,
		"%zu KiB: of %u blocks %llu KiB were given back", size >> 10, ROUNDS,
		(unsigned long long)((after.purged - before.purged) >> 10));
	return all_given_back;
}

/* A batch is as large as a block, so that it goes as soon as one is in it. */
static void check_threshold(const char *value, size_t threshold)
{
	static const size_t sizes[] = {512, 640, 768, 1024, 1536, 1792, 2048, 3072, 4096, 6144,
		8192, 12288, 16384, 32768, 40960};

	CHECK(hak_option_set("policy", value) == 0, "%s", value);
	hak_purge(); /* what the thread kept for itself meanwhile */
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && sizes[i] << 10 <= POOL_MAX; i++)
		CHECK(purges(sizes[i] << 10) == (sizes[i] << 10 > threshold),
			"%s: blocks of %zu KiB", value, sizes[i]);
}

static void check_off(void)
{
	CHECK(hak_option_set("policy", "off") == 0, "off");
	CHECK(!purges(640 << 10) && !purges(4 << 20) && !purges(16 << 20), "off gives back");
}

/* Blocks of a first-class heap, one by one and all at once. */
static void check_heap(void)
{
	struct hak_stats before, after;
	hak_heap *heap;

	CHECK(hak_option_set("policy", "fixed:512K") == 0, "fixed:512K");
	hak_stats(&before, sizeof before);
	heap = hak_heap_create();
	CHECK(heap, "hak_heap_create");
	for (unsigned i = 0; i < ROUNDS; i++) {
		block = hak_heap_alloc(heap, 768 << 10, 0, 0);
		CHECK(block, "hak_heap_alloc");
		memset(block, 1, 768 << 10);
		if (i % 2)
			hak_free(block);
	}
	hak_heap_destroy(heap);
	hak_stats(&after, sizeof after);
	CHECK(after.live == before.live, "%lld bytes are left of a heap",
		(long long)(after.live - before.live));
	CHECK(after.purged > before.purged, "nothing of a heap's was given back");
	hak_verify();
}

int main(void)
{
	check_values();
	CHECK(hak_option_set("batch_bytes", "512K") == 0, "batch_bytes");
	check_off();
	check_threshold("fixed:512K", 512 << 10);
	check_threshold("fixed:1M", 1 << 20);
	check_threshold("fixed:1.5M", 1536 << 10);
	check_threshold("fixed:2M", 2 << 20);
	check_threshold("fixed:12M", 12 << 20);
	check_threshold("fixed:32M", 32 << 20);
	check_heap();
	check_off();
	return 0;
}
