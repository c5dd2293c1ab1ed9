/*
 * topology.h: which NUMA nodes there are, and on which one this thread runs.
 * Nodes are numbered densely from 0; a structure that belongs to a node keeps
 * that number for good. Until it is told otherwise, the machine has one node.
 */
#ifndef NUMA_TOPOLOGY_H
#define NUMA_TOPOLOGY_H

#include "base/base.h"

#define NODES_MAX 64

/* Nodes in use, at least 1. Grows only before the first thread is created. */
unsigned topology_nodes(void);

/* Takes HAKMEM_NODES into account; called once at start-up. */
void topology_init(void);

/*
 * The node this thread runs on now, below topology_nodes(). For slow paths.
 */
unsigned topology_current_node(void);

#endif
