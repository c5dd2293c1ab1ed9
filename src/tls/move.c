/*
 * move.c: threads that change their node. A heap never does: a thread that has
 * moved for good takes another heap, of the new node, and puts the old one back,
 * where what is in use drains to its node as it is freed. Whole spans and whales
 * come from the new node at once, and so do the pages of small blocks at the first
 * move. The more often a thread moves, the more visits to the slow path it takes,
 * for all memory, so that one that bounces stays with one heap and one node.
 */
#include "base/options.h"
#include "base/os_numa.h"
#include "numa/place.h"
#include "tls/thread.h"

/*
 * Slow allocations in a row on another node before a thread moves. The first
 * move is free: many threads are pinned just after they have begun.
 */
#define PATIENCE_MIN 1
#define PATIENCE_MAX 1024
#define PATIENCE_GROWTH 4

/* Slow allocations at home after which earlier moves are forgotten. */
#define CALM_ENOUGH 4096

/* The processor and the generation of the topology; no other thread looks. */
static _Thread_local struct {
	uint32_t cpu, generation;
	uint16_t patience, away, calm;
	uint8_t node; /* of that processor */
} seat;

static unsigned node_now(void)
{
	uint32_t cpu = os_cpu(), generation = topology_generation();
	if (unlikely(cpu != seat.cpu || generation != seat.generation)) {
		seat.node = (uint8_t)topology_home_of_cpu(cpu);
		seat.cpu = cpu;
		seat.generation = generation;
	}
	return seat.node;
}

/* Whoever moved before must stay for long, without a break, to count as settled. */
static void stay(void)
{
	seat.away = 0;
	if (seat.patience > PATIENCE_MIN && ++seat.calm == CALM_ENOUGH)
		seat.patience = seat.calm = 0;
}

/* A heap of the shard that this thread had before, taken off the list behind h; or NULL. */
static struct heap *had_before(struct heap *h, unsigned shard)
{
	for (; h->left; h = h->left) {
		struct heap *found = h->left;
		if (found->node != shard)
			continue;
		h->left = found->left;
		heap_open(found);
		return found;
	}
	return NULL;
}

/*
 * The old heap stays with the thread until that ends: this may be a signal handler,
 * and what it interrupts may have that heap in a register (heap_take, or a fast path). It is empty,
 * and nobody else's, so that call finds nothing in it and comes to heap_enter.
 */
struct heap *thread_move(struct heap *h, unsigned shard)
{
	struct heap *to = had_before(h, shard);
	if (!to)
		to = heap_get(shard, false);
	if (!to)
		return h;
	to->left = h;
	tls_home = to;
	thread_register(to);
	heap_close(h);
	seat.away = 0;
	return to;
}

struct heap *thread_place(struct heap *h, bool fresh)
{
	if (unlikely(place_ignores_policy()))
		return h;
	unsigned node = node_now();
	bool look = fresh || place_is_policy(h->node);
	unsigned shard = look ? place_shard_on(node) : node;
	h->place = h->node;
	if (likely(shard == h->node)) {
		stay();
		return h;
	}
	if (!place_same_policy(shard, h->node))
		return thread_move(h, shard);
	seat.calm = 0;
	if (seat.patience <= PATIENCE_MIN) {
		seat.patience = PATIENCE_MIN;
		h->place = (uint8_t)shard;
	}
	if (++seat.away < seat.patience)
		return h;
	seat.patience = (uint16_t)min_size(seat.patience * PATIENCE_GROWTH, PATIENCE_MAX);
	return thread_move(h, shard);
}
