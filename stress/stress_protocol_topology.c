/*
 * stress_protocol_topology: snapshots of the topology [N1]. All threads read
 * the snapshot in force while one of them replaces it again and again, so that
 * what they read is unmapped as soon as RCU says that nobody reads it. One
 * thread is unknown to RCU and reads what is never freed. Every snapshot is
 * filled with the number of its making: one that is torn, or read before it was
 * complete, shows two numbers.
 */
#include "protocol.h"

#include "base/rcu.h"
#include "numa/topology.h"

#include <string.h>

enum {
	STEPS = 400,
	REPLACE_EVERY = 8, /* steps of the one thread that makes snapshots */
	NODES_USED = 2,
};

static uint8_t made; /* own: of the thread that makes snapshots */

static void replace(void)
{
	struct topology *t = topology_new();

	if (t == NULL)
		fail("no memory for a snapshot");
	made = (uint8_t)(made % 200 + 1);
	t->count = NODES_USED;
	memset(t->distance, made, sizeof t->distance);
	memset(t->number, made, sizeof t->number);
	memset(t->cpu_node, made % NODES_USED, sizeof t->cpu_node);
	memset(t->home, made % NODES_USED, sizeof t->home);
	topology_replace(t);
}

static void look(struct worker *w)
{
	struct topology_view v = topology_begin();

	if (v.t != NULL) {
		uint8_t number = v.t->distance[0][0];
		size_t at = random_below(w, OS_NODES_MAX);

		spin(random_below(w, 50));
		if (number == 0 || v.t->count != NODES_USED)
			fail("snapshot %u is not complete", number);
		if (v.t->number[at] != number || v.t->distance[at % 64][0] != number)
			fail("snapshot %u has %u at %zu", number, v.t->number[at], at);
		if (v.t->cpu_node[at] != number % NODES_USED)
			fail("snapshot %u has processors of another", number);
	}
	topology_end(v);
}

static void work(struct worker *w)
{
	/* With one thread, that one replaces and reads. */
	bool replaces = w->id == 0, known = replaces || w->id % 3 != 2;

	if (known)
		rcu_start();
	for (size_t i = 0; i < effort(STEPS); i++) {
		if (replaces && i % REPLACE_EVERY == 0)
			replace();
		look(w);
		if (topology_home_of_cpu((unsigned)random_below(w, CPUS_MAX)) >= NODES_USED)
			fail("a processor is on a node that there is not");
		w->serial++;
	}
}

const struct program program = {
	.name = "stress_protocol_topology",
	.budget = 64 * MIB,
	.work = work,
};
