/*
 * bench_stop: memory after a hand-over that stops. The first thread allocates
 * and fills `mib` in blocks of `low` to `high` bytes, every doubling equally
 * likely, and hands them in turn to the others, which only free; each keeps
 * `keep` percent. Then all stop at once, what is on its way stays there, and
 * resident memory is read while all sleep.
 */
#define _GNU_SOURCE
#include "common.h"
#include "residency.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define MAX_CONSUMERS 255u

struct entry {
	void *block;
	uint32_t size;
};

/* A bounded queue from the producer to one consumer, and what that one keeps. */
struct channel {
	_Atomic uint64_t head __attribute__((aligned(64))); /* taken by the consumer */
	_Atomic uint64_t tail __attribute__((aligned(64))); /* put by the producer */
	struct entry *ring;
	struct entry *kept;
	uint64_t most, count;
};

static uint64_t mib = 1024;
static uint64_t low = 16;
static uint64_t high = 262144;
static uint64_t keep = 1;
static uint64_t queue = 1024;
static struct channel channels[MAX_CONSUMERS];
static unsigned consumers;
static uint64_t blocks;
static _Atomic unsigned stopped;
static pthread_barrier_t barrier;

static void make_channels(void)
{
	uint64_t doublings = (uint64_t)(__builtin_ctzll(high) - __builtin_ctzll(low));
	uint64_t mean = (high - low) * 3 / 2 / doublings;

	for (unsigned i = 0; i < consumers; i++) {
		struct channel *channel = &channels[i];

		channel->most = (mib << 20) / consumers / mean * keep / 100 * 2 + 64;
		channel->kept = residency_table(channel->most * sizeof(struct entry));
		channel->ring = residency_table(queue * sizeof(struct entry));
	}
}

static void put(struct channel *channel, struct entry entry)
{
	uint64_t tail = atomic_load_explicit(&channel->tail, memory_order_relaxed);

	while (tail - atomic_load_explicit(&channel->head, memory_order_acquire) == queue)
		sched_yield();
	channel->ring[tail % queue] = entry;
	atomic_store_explicit(&channel->tail, tail + 1, memory_order_release);
}

static void produce(void)
{
	struct rng rng = rng_stream(0);
	unsigned to = 0;

	for (uint64_t bytes = 0; bytes < mib << 20; blocks++) {
		struct entry entry;

		entry.size = rng_log(&rng, (uint32_t)low, (uint32_t)high);
		entry.block = bench_alloc(entry.size);
		memset(entry.block, (int)entry.size, entry.size);
		KEEP(entry.block);
		bytes += entry.size;
		put(&channels[to], entry);
		to = to + 1 < consumers ? to + 1 : 0;
	}
	atomic_store(&stopped, 1);
}

static void consume(struct channel *channel, struct rng *rng)
{
	while (!atomic_load_explicit(&stopped, memory_order_relaxed)) {
		uint64_t tail = atomic_load_explicit(&channel->tail, memory_order_acquire);
		uint64_t head = atomic_load_explicit(&channel->head, memory_order_relaxed);
		struct entry entry;

		if (head == tail) {
			sched_yield();
			continue;
		}
		entry = channel->ring[head % queue];
		atomic_store_explicit(&channel->head, head + 1, memory_order_release);
		if (rng_below(rng, 100) < keep && channel->count < channel->most)
			channel->kept[channel->count++] = entry;
		else
			free(entry.block);
	}
}

static void worker(unsigned index)
{
	struct rng rng = rng_stream(index);

	pthread_barrier_wait(&barrier);
	if (index)
		consume(&channels[index - 1], &rng);
	else
		produce();
	pthread_barrier_wait(&barrier);
	if (!index)
		residency_idle();
	pthread_barrier_wait(&barrier);
}

static void add_live(struct entry entry, uint64_t *bytes, struct page_set *pages)
{
	*bytes += entry.size;
	if (pages)
		page_set_add(pages, entry.block, entry.size);
}

/* Counts what is live; with `pages`, also the pages that hold it. */
static uint64_t count_live(struct page_set *pages)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < consumers; i++) {
		struct channel *channel = &channels[i];

		for (uint64_t j = 0; j < channel->count; j++)
			add_live(channel->kept[j], &bytes, pages);
		for (uint64_t j = channel->head; j < channel->tail; j++)
			add_live(channel->ring[j % queue], &bytes, pages);
	}
	return bytes;
}

int main(int argc, char **argv)
{
	const struct param params[] = {
		{"mib", &mib, "MiB that are allocated in all"},
		{"low", &low, "smallest block, a power of two"},
		{"high", &high, "blocks are smaller than this, a power of two"},
		{"keep", &keep, "percent of the blocks that are not freed"},
		{"queue", &queue, "blocks on their way to one consumer, at most"},
		IDLE_PARAMS,
	};
	struct page_set pages;
	struct measure measure;
	uint64_t live;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (bench_threads < 2 || bench_threads > MAX_CONSUMERS || !queue || keep > 100)
		bench_die("needs 2 to %u threads, queue > 0, keep <= 100", MAX_CONSUMERS);
	if (!is_power_of_two(low) || !is_power_of_two(high) || low >= high || high > 1u << 31)
		bench_die("low and high must be powers of two, low below high");
	consumers = (unsigned)bench_threads - 1;
	pthread_barrier_init(&barrier, NULL, (unsigned)bench_threads);
	make_channels();
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	live = count_live(NULL);
	page_set_init(&pages, live / PAGE_BYTES + consumers * 2 * (queue + channels[0].most));
	count_live(&pages);
	measure_print("stop", blocks, &measure, "live_kib=%llu floor_kib=%llu %s",
		(unsigned long long)(live >> 10),
		(unsigned long long)(pages.count * (PAGE_BYTES >> 10)), residency_text());
	return 0;
}
