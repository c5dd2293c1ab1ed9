/*
 * made_up_node.h: puts a snapshot of two nodes in force, of which this machine lacks the second:
 * only with two are ranges bound, and policies asked for.
 */
#ifndef TESTS_MADE_UP_NODE_H
#define TESTS_MADE_UP_NODE_H

#include "numa/topology.h"

#include <string.h>

/* The number that the kernel would have for it. */
enum { MADE_UP_NODE = 1000 };

static inline bool make_up_node(void)
{
	struct topology *t = topology_new();

	if (!t)
		return false;
	memset(t->number, (int)NODE_NONE, sizeof t->number);
	t->count = 2;
	t->os[1] = MADE_UP_NODE;
	for (unsigned n = 0; n < 2; n++) {
		t->flags[n] = NODE_CPUS | NODE_MEMORY | NODE_ALLOWED;
		t->distance[n][n] = DISTANCE_LOCAL;
		t->distance[n][1 - n] = 20;
		t->number[t->os[n]] = (uint8_t)n;
	}
	topology_derive(t);
	topology_replace(t);
	return true;
}

#endif
