/*
 * bench_burst: memory after a burst. The threads grow to `mib` in blocks of
 * `low` to `high` bytes, every doubling equally likely, and fill them; all but
 * `keep` percent of the blocks are freed in random order; then all sleep while
 * resident memory is read.
 *
 * owner=0: every thread allocates its share and frees its own blocks.
 * owner=1: the first thread allocates everything, the others free it.
 */
#define _GNU_SOURCE
#include "common.h"
#include "residency.h"

#include <pthread.h>
#include <stdio.h>

struct entry {
	void *block;
	uint32_t size;
};

/* A thread's blocks in shuffled order; the first `freed` of them go. */
struct table {
	struct entry *held;
	size_t most, count, freed;
};

static uint64_t mib = 256;
static uint64_t low = 16;
static uint64_t high = 32768;
static uint64_t keep = 5;
static uint64_t owner;
static pthread_barrier_t barrier;
static struct table tables[1024];
static unsigned table_count;
static uint64_t grown_kib;

static void make_tables(void)
{
	uint64_t doublings = (uint64_t)(__builtin_ctzll(high) - __builtin_ctzll(low));
	uint64_t mean = (high - low) * 3 / 2 / doublings;

	table_count = owner ? 1 : (unsigned)bench_threads;
	for (unsigned i = 0; i < table_count; i++) {
		/* A quarter more than expected, and many more where chance decides. */
		tables[i].most = (mib << 20) / table_count / mean * 5 / 4 + 4096;
		tables[i].held = residency_table(tables[i].most * sizeof(struct entry));
	}
}

static void grow(struct table *table, struct rng *rng)
{
	uint64_t share = (mib << 20) / table_count;
	uint64_t bytes = 0;

	for (; bytes < share && table->count < table->most; table->count++) {
		struct entry *entry = &table->held[table->count];

		entry->size = rng_log(rng, (uint32_t)low, (uint32_t)high);
		entry->block = bench_alloc(entry->size);
		memset(entry->block, (int)entry->size, entry->size);
		KEEP(entry->block);
		bytes += entry->size;
	}
	for (size_t i = table->count; i > 1; i--) {
		uint32_t other = rng_below(rng, (uint32_t)i);
		struct entry entry = table->held[i - 1];

		table->held[i - 1] = table->held[other];
		table->held[other] = entry;
	}
	table->freed = table->count - table->count * keep / 100;
}

/* Part `index` of `count` of what is to be freed. */
static void release(const struct table *table, unsigned index, unsigned count)
{
	size_t end = table->freed * (index + 1) / count;

	for (size_t i = table->freed * index / count; i < end; i++)
		free(table->held[i].block);
}

static void worker(unsigned index)
{
	struct rng rng = rng_stream(index);

	if (index < table_count)
		grow(&tables[index], &rng);
	pthread_barrier_wait(&barrier);
	if (!index)
		grown_kib = residency_kib();
	pthread_barrier_wait(&barrier);
	if (!owner)
		release(&tables[index], 0, 1);
	else if (index)
		release(&tables[0], index - 1, (unsigned)bench_threads - 1);
	pthread_barrier_wait(&barrier);
	if (!index)
		residency_idle();
	pthread_barrier_wait(&barrier);
}

static void count_survivors(uint64_t *blocks, uint64_t *bytes, struct page_set *pages)
{
	uint64_t most = 0;

	*blocks = *bytes = 0;
	for (unsigned i = 0; i < table_count; i++)
		for (size_t j = tables[i].freed; j < tables[i].count; j++)
			most += 2 + tables[i].held[j].size / PAGE_BYTES;
	page_set_init(pages, most);
	for (unsigned i = 0; i < table_count; i++) {
		for (size_t j = tables[i].freed; j < tables[i].count; j++) {
			*bytes += tables[i].held[j].size;
			page_set_add(pages, tables[i].held[j].block, tables[i].held[j].size);
		}
		*blocks += tables[i].count;
	}
}

int main(int argc, char **argv)
{
	const struct param params[] = {
		{"mib", &mib, "MiB that the threads grow to together"},
		{"low", &low, "smallest block, a power of two"},
		{"high", &high, "blocks are smaller than this, a power of two"},
		{"keep", &keep, "percent of the blocks that stay"},
		{"owner", &owner, "1: the first thread allocates, the others free"},
		IDLE_PARAMS,
	};
	struct page_set pages;
	uint64_t blocks, bytes;
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (mib < bench_threads || keep > 100 || (owner && bench_threads < 2))
		bench_die("needs mib >= threads, keep <= 100, and 2 threads for owner=1");
	if (!is_power_of_two(low) || !is_power_of_two(high) || low >= high || high > 1u << 31)
		bench_die("low and high must be powers of two, low below high");
	pthread_barrier_init(&barrier, NULL, (unsigned)bench_threads);
	make_tables();
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	count_survivors(&blocks, &bytes, &pages);
	measure_print("burst", blocks, &measure, "live_kib=%llu floor_kib=%llu grown_kib=%llu %s",
		(unsigned long long)(bytes >> 10),
		(unsigned long long)(pages.count * (PAGE_BYTES >> 10)),
		(unsigned long long)grown_kib, residency_text());
	return 0;
}
