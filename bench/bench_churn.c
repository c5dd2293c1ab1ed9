/*
 * bench_churn: what a busy program does: each thread replaces random blocks
 * of mixed sizes, 16 B to 32 KiB or as told. `remote` percent of the blocks are
 * freed by the next thread, to which they travel through a bounded ring. With
 * swing=N a thread drops three quarters of its blocks every 2 N replacements,
 * and does with the others for the next N.
 */
#include "common.h"

#include <sched.h>
#include <stdatomic.h>

#define RING_BLOCKS 1024u
#define DRAIN_EVERY 16u

struct mailbox {
	_Atomic uint64_t head; /* taken by the receiver */
	char pad[56];
	_Atomic uint64_t tail; /* put by the sender */
	_Atomic unsigned closed;
	char pad2[48];
	void *ring[RING_BLOCKS];
};

static uint64_t replacements = 2000000;
static uint64_t live = 512;
static uint64_t remote;
static uint64_t low = 16;
static uint64_t high = 32768;
static uint64_t swing;
static struct mailbox *mailboxes;

/* Frees what has arrived; false when no more will come. */
static int drain(struct mailbox *box)
{
	unsigned closed = atomic_load_explicit(&box->closed, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&box->tail, memory_order_acquire);
	uint64_t head = atomic_load_explicit(&box->head, memory_order_relaxed);

	while (head < tail)
		free(box->ring[head++ % RING_BLOCKS]);
	atomic_store_explicit(&box->head, head, memory_order_release);
	return !closed;
}

/* Waits for room, freeing what arrives meanwhile, so a circle of full rings moves on. */
static void send(struct mailbox *to, struct mailbox *own, void *block)
{
	uint64_t tail = atomic_load_explicit(&to->tail, memory_order_relaxed);

	while (tail - atomic_load_explicit(&to->head, memory_order_acquire) == RING_BLOCKS) {
		drain(own);
		sched_yield();
	}
	to->ring[tail % RING_BLOCKS] = block;
	atomic_store_explicit(&to->tail, tail + 1, memory_order_release);
}

/* How many of a thread's slots are in use at replacement `i`; the others are emptied. */
static uint32_t slots_at(uint64_t i, void **held)
{
	uint32_t fewer = (uint32_t)(live + 3) / 4;

	if (!swing || i / swing % 2 == 0)
		return (uint32_t)live;
	for (uint64_t slot = fewer; i % swing == 0 && slot < live; slot++) {
		free(held[slot]);
		held[slot] = NULL;
	}
	return fewer;
}

static void worker(unsigned index)
{
	unsigned count = (unsigned)bench_threads;
	struct mailbox *own = &mailboxes[index];
	struct mailbox *next = &mailboxes[(index + 1) % count];
	void **held = bench_map_resident(live * sizeof(*held));
	uint64_t todo = bench_share(replacements, index, count);
	struct rng rng = rng_stream(index);

	for (uint64_t i = 0; i < live; i++)
		held[i] = NULL;
	for (uint64_t i = 0; i < todo; i++) {
		uint32_t slot = rng_below(&rng, slots_at(i, held));
		size_t size = rng_log(&rng, (uint32_t)low, (uint32_t)high);

		if (held[slot] && rng_below(&rng, 100) < remote)
			send(next, own, held[slot]);
		else
			free(held[slot]);
		held[slot] = bench_alloc(size);
		bench_touch(held[slot], size);
		if (i % DRAIN_EVERY == 0)
			drain(own);
	}
	for (uint64_t i = 0; i < live; i++)
		free(held[i]);
	atomic_store_explicit(&next->closed, 1, memory_order_release);
	while (drain(own))
		sched_yield();
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &replacements, "replacements in all threads together"},
	        {"live", &live, "blocks per thread"},
	        {"remote", &remote, "percent of the blocks freed by another thread"},
	        {"low", &low, "smallest block, a power of two"},
	        {"high", &high, "blocks are smaller than this, a power of two"},
	        {"swing", &swing, "replacements with all blocks, then as many with a quarter; 0: never"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (!live || live > UINT32_MAX || remote > 100)
		bench_die("needs live from 1 to 2^32 - 1 and remote from 0 to 100");
	if (!is_power_of_two(low) || !is_power_of_two(high) || low >= high || high > 1u << 31)
		bench_die("low and high must be powers of two, low below high");
	if (remote && bench_threads < 2)
		bench_die("remote=%llu needs at least 2 threads", (unsigned long long)remote);
	mailboxes = bench_map_resident(bench_threads * sizeof(*mailboxes));
	for (unsigned i = 0; i < bench_threads; i++) {
		atomic_store(&mailboxes[i].head, 0);
		atomic_store(&mailboxes[i].tail, 0);
		atomic_store(&mailboxes[i].closed, 0);
	}
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	measure_print("churn", replacements, &measure, "remote=%llu", (unsigned long long)remote);
	return 0;
}
