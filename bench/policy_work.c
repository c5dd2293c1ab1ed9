/*
 * policy_work.c: see policy_work.h. The limit's memory is address space by powers
 * of two, the block that came back last handed out first, and never given up.
 */
#define _GNU_SOURCE
#include "policy_work.h"

#include "common.h"

#include <pthread.h>
#include <string.h>

uint64_t work_limit;
struct work_counts work_counts;

#define BUCKETS 40u

struct kept {
	struct kept *next;
};

static struct kept *kept[BUCKETS];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned bucket_of(size_t bytes)
{
	unsigned bits = bytes > 1 ? 64u - (unsigned)__builtin_clzll(bytes - 1) : 0;

	if (bits >= BUCKETS)
		bench_die(
			"a block of %zu bytes is more than the limit's memory is made for", bytes);
	return bits;
}

static void *limit_alloc(size_t bytes)
{
	unsigned bucket = bucket_of(bytes);
	struct kept *block;

	pthread_mutex_lock(&kept_lock);
	block = kept[bucket];
	if (block)
		kept[bucket] = block->next;
	pthread_mutex_unlock(&kept_lock);
	return block ? block : bench_map((size_t)1 << bucket);
}

static void limit_free(void *memory, size_t bytes)
{
	unsigned bucket = bucket_of(bytes);
	struct kept *block = memory;

	pthread_mutex_lock(&kept_lock);
	block->next = kept[bucket];
	kept[bucket] = block;
	pthread_mutex_unlock(&kept_lock);
}

/* Not inlined, so that each is one place in the program, and no tail call. */
#define SITE(number)                                                                               \
	static __attribute__((noinline)) void *site_##number(size_t bytes)                         \
	{                                                                                          \
		void *block = bench_alloc(bytes);                                                  \
		KEEP(block);                                                                       \
		return block;                                                                      \
	}
/* clang-format off */
SITE(0) SITE(1) SITE(2) SITE(3) SITE(4) SITE(5) SITE(6) SITE(7)
SITE(8) SITE(9) SITE(10) SITE(11) SITE(12) SITE(13) SITE(14) SITE(15)
	/* clang-format on */

	static void *(*const site_calls[WORK_SITES])(size_t bytes) = {site_0, site_1, site_2,
		site_3, site_4, site_5, site_6, site_7, site_8, site_9, site_10, site_11, site_12,
		site_13, site_14, site_15};

static void count(size_t bytes, enum part part)
{
	uint64_t live = atomic_fetch_add(&work_counts.live, bytes) + bytes;
	uint64_t peak = atomic_load(&work_counts.peak);

	while (live > peak && !atomic_compare_exchange_weak(&work_counts.peak, &peak, live))
		;
	if (bytes >= TRAFFIC_FROM)
		atomic_fetch_add(&work_counts.traffic[part], bytes);
	atomic_fetch_add(&work_counts.blocks[part], 1);
}

void *work_alloc(unsigned site, size_t bytes, enum part part)
{
	count(bytes, part);
	return work_limit ? limit_alloc(bytes) : site_calls[site % WORK_SITES](bytes);
}

void work_free(void *block, size_t bytes)
{
	atomic_fetch_sub(&work_counts.live, bytes);
	if (work_limit)
		limit_free(block, bytes);
	else
		free(block);
}

void work_use(void *block, size_t bytes)
{
	size_t half = bytes / 2 / PAGE_BYTES * PAGE_BYTES;

	memset(block, (int)bytes, half);
	KEEP(block);
	bench_touch((char *)block + half, bytes - half);
}
