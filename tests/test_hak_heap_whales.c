/*
 * Big and over-aligned blocks of a first-class heap go back where they came from, freed one by one
 * or with the heap: mappings of their own are unmapped, pieces of regions are free and not counted.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { BLOCKS = 3 };

struct state {
	struct hak_stats stats;
	size_t space;
};

static struct state state_now(void)
{
	struct state state;

	hak_purge();
	hak_purge();
	hak_stats(&state.stats, sizeof state.stats);
	state.space = space_bytes();
	hak_verify();
	return state;
}

static void check_same(const struct state *before, const char *what, size_t size, size_t alignment)
{
	struct state now = state_now();
	const struct hak_stats *a = &before->stats, *b = &now.stats;

	CHECK(b->whales == a->whales && b->whale_bytes == a->whale_bytes,
		"(%zu, %zu) %s: %lld whales with %lld bytes more than before", size, alignment,
		what, (long long)(b->whales - a->whales),
		(long long)(b->whale_bytes - a->whale_bytes));
	CHECK(b->live_blocks == a->live_blocks && b->live == a->live,
		"(%zu, %zu) %s: %lld live blocks with %lld bytes more than before", size, alignment,
		what, (long long)(b->live_blocks - a->live_blocks), (long long)(b->live - a->live));
	CHECK(b->pooled < a->pooled + MIB, "(%zu, %zu) %s: %llu KiB in the pools after hak_purge",
		size, alignment, what, (unsigned long long)b->pooled / KIB);
	CHECK(TEST_SANITIZED || now.space < before->space + MIB + size / 2,
		"(%zu, %zu) %s: %zu KiB of address space more than before", size, alignment, what,
		(now.space - before->space) / KIB);
}

static char *get(hak_heap *heap, size_t size, size_t alignment)
{
	char *block = hak_heap_alloc(heap, size, alignment, 0);

	CHECK(block && (uintptr_t)block % (alignment ? alignment : 16) == 0, "(%zu, %zu) gave %p",
		size, alignment, (void *)block);
	memset(block, 1, size < MIB ? size : MIB);
	block[size - 1] = 2;
	return block;
}

static hak_heap *heap_with(size_t size, size_t alignment, char **block)
{
	hak_heap *heap = hak_heap_create();

	CHECK(heap, "hak_heap_create: %s", strerror(errno));
	for (int i = 0; i < BLOCKS; i++)
		block[i] = get(heap, size, alignment);
	return heap;
}

static void check(size_t size, size_t alignment)
{
	char *block[BLOCKS];
	struct state before, empty;
	/* What the first blocks of a kind leave mapped is there for the next. */
	hak_heap *heap = heap_with(size, alignment, block);

	for (int i = 0; i < BLOCKS; i++)
		hak_free(block[i]);
	empty = state_now();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < BLOCKS; i++)
			block[i] = get(heap, size, alignment);
		for (int i = 0; i < BLOCKS; i++)
			hak_free(block[i]);
		check_same(&empty, "freed one by one", size, alignment);
	}
	hak_heap_destroy(heap);
	before = state_now();
	CHECK(before.stats.whales == 0, "(%zu, %zu): %llu whales, none is live", size, alignment,
		(unsigned long long)before.stats.whales);
	for (int round = 0; round < 3; round++) {
		heap = heap_with(size, alignment, block);
		hak_free(block[round]);
		hak_heap_destroy(heap);
		check_same(&before, "freed with the heap", size, alignment);
	}
}

/* No region can be had: whales of every size have mappings of their own. */
static void check_limited(void *unused)
{
	size_t bytes = space_bytes() + 40 * MIB;
	struct rlimit limit = {bytes, bytes};

	(void)unused;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit: %s", strerror(errno));
	check(5 * MIB, 0);
	check(100, 4 * MIB);
}

int main(void)
{
	static const size_t sizes[] = {100, 70000, 3 * MIB, 300 * MIB};

	hak_free(hak_malloc(1));
	if (!TEST_SANITIZED) {
		struct child child;

		child_run(&child, check_limited, NULL);
		CHECK(child_exited(&child, 0), "under RLIMIT_AS: %s", child_what(&child));
	}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		check(sizes[i], 0);
		check(sizes[i], 4 * MIB);
		check(sizes[i], 32 * MIB);
	}
	check(100, 512 * MIB);
	return 0;
}
