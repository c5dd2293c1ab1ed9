/*
 * topology.h: which NUMA nodes there are, how far apart, and on which of them
 * this thread runs. What is known is an immutable snapshot; a later one never
 * gives a node another number, so that what belongs to a node can keep it.
 *
 * Our numbers are dense and count *shards*: a shard is a pool of memory, of a
 * NUMA node (or a synthetic one), or of threads under a policy of the user's
 * (place.h). Until it is told otherwise, the machine has one node.
 */
#ifndef NUMA_TOPOLOGY_H
#define NUMA_TOPOLOGY_H

#include "base/os_numa.h"

#define NODES_MAX 128     /* shards */
#define NODES_REAL_MAX 64 /* of these, at most so many are NUMA nodes */
#define NODE_NONE 255u
#define CPUS_MAX 8192

/* Distances as in ACPI's SLIT: 10 is local. */
#define DISTANCE_LOCAL 10
#define DISTANCE_FAR 255

enum node_flags {
	NODE_CPUS = 1,    /* has processors */
	NODE_MEMORY = 2,  /* has memory */
	NODE_ALLOWED = 4, /* this process may use that memory */
};

/* Immutable once published. Indexed by our numbers unless it says otherwise. */
struct topology {
	unsigned count;              /* nodes with a number; those that went keep theirs */
	struct os_nodes cpu_nodes;   /* OS numbers: memory to use, beside processors */
	struct os_nodes allowed;     /* OS numbers: memory we may use */
	uint64_t deserted;           /* bits of nodes without processors */
	bool memory_only;            /* some of it is on nodes without processors */
	uint16_t os[NODES_REAL_MAX]; /* number of the OS */
	uint8_t flags[NODES_REAL_MAX];
	uint8_t home[NODES_REAL_MAX]; /* the node whose memory its threads get */
	uint8_t distance[NODES_REAL_MAX][NODES_REAL_MAX];
	uint8_t number[OS_NODES_MAX]; /* by OS number: ours, or NODE_NONE */
	uint8_t cpu_node[CPUS_MAX];   /* by processor: our number, or NODE_NONE */
};

/* Takes HAKMEM_NODES and HAKMEM_NUMA into account; called once at start-up. */
void topology_init(void);

/*
 * Outside malloc, when the first thread is created: has hwloc and libnuma look
 * at a machine with several nodes, and starts RCU.
 */
void topology_start(void);

/*
 * Reads again which nodes there are. Outside malloc only. False with errno:
 * EBUSY when another thread is doing so, ENOMEM.
 */
bool topology_refresh(void);

/* Shards in use are below this; at least 1. */
unsigned topology_nodes(void);

/* Takes shards below this into use. */
void topology_use(unsigned shards);

/* Changes with the snapshot; 0 while there is one node to place memory on. */
uint32_t topology_generation(void);

/* The node of a processor, or the one whose memory its threads get instead. For slow paths. */
unsigned topology_home_of_cpu(unsigned cpu);

/* The same for the processor of this thread; synthetic nodes get the threads in turn. */
unsigned topology_current_node(void);

/* Bits of the nodes that have no processors (any more): nobody there takes what is left there. */
uint64_t topology_deserted(void);

/* Our number of a node of the OS that has memory, or NODE_NONE; its number there, or -1. */
unsigned topology_number(unsigned os);
int topology_os(unsigned number);

/*
 * The snapshot in force, NULL where there is one node only. It stays until
 * topology_end; nothing that may wait or call out happens in between.
 */
struct topology_view {
	const struct topology *t;
	bool read; /* an RCU read section is open */
};
struct topology_view topology_begin(void);
void topology_end(struct topology_view v);

/* ---- For topology.c and unit tests -------------------------------------- */

/*
 * Reads the tree below `root` (/sys/devices/system/node) into *t, whose nodes
 * keep the numbers that `old` gave them; `first` is the OS number that gets
 * number 0 where there was none. allowed: nodes we may use, NULL if unknown.
 * False where there is no such tree.
 */
bool topology_read(struct topology *t, const char *root, const struct topology *old,
	const struct os_nodes *allowed, unsigned first);

/* Fills in what follows from nodes, flags and distances. */
void topology_derive(struct topology *t);

/*
 * A zeroed snapshot, NULL with ENOMEM; and its publication, by one thread at a
 * time, which frees the one before. Outside malloc only.
 */
struct topology *topology_new(void);
void topology_replace(struct topology *t);

#endif
