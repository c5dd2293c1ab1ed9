/*
 * stress_protocol_move: threads that change their shard while others free what
 * they have allocated. Each takes another heap again and again and puts the old
 * one back with blocks of its pages in use everywhere, stashed and on the way;
 * four synthetic nodes make all of this possible on one. What is freed must go
 * home, and the pages of a heap must be those of its node.
 */
#include "protocol.h"

#include "base/options.h"
#include "hakmem.h"
#include "numa/place.h"
#include "segments/guard.h"
#include "segments/map.h"
#include "tls/thread.h"

enum {
	SHARDS = 4,
	SLOTS = 256,
	STEPS = 3000,
	STAY = 150, /* blocks between two moves, on the average */
};

static slot slots[SLOTS];

static void before(void)
{
	if (load_rlx(&options.x_nodes) == 0) {
		store_rlx(&options.x_nodes, SHARDS);
		topology_init();
	}
}

/* A block from a heap lies on the heap's node; guarded blocks come from no heap. */
static void check_node(const struct item *it)
{
	struct page *page = guard_has(it->p) ? NULL : block_page(it->p);

	if (page && page->node != tls_heap->node)
		fail("a block of node %u for a heap of node %u", page->node, tls_heap->node);
}

static void work(struct worker *w)
{
	for (size_t i = effort(STEPS); i > 0; i--) {
		struct item made, other;
		slot *s = &slots[random_below(w, SLOTS)];
		size_t most = random_chance(w, 5) ? 200 * KIB : 600;

		if (random_below(w, STAY) == 0 && tls_heap != &heap_none)
			thread_move(tls_heap, (unsigned)random_below(w, SHARDS));
		if (random_chance(w, 40) && slot_take(s, &other))
			item_free(&other);
		if (!item_new(w, &made, random_size(w, 1, most)))
			continue;
		check_node(&made);
		if (slot_post(w, s, &made, &other))
			item_free(&other);
	}
}

static void after(void)
{
	slots_drain(slots, SLOTS);
	hak_verify();
}

const struct program program = {
	.name = "stress_protocol_move",
	.budget = 64 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
