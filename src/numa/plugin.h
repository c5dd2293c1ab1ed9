/*
 * plugin.h: libhakmem-topology.so, which knows hwloc and libnuma, so that the
 * library itself need not load them. It lies beside libhakmem.so and is opened
 * on machines with several nodes, outside malloc. The one function that it
 * exports is topology_discover.
 */
#ifndef NUMA_PLUGIN_H
#define NUMA_PLUGIN_H

#include "numa/topology.h"

#define PLUGIN_FILE "libhakmem-topology.so"
#define PLUGIN_FUNCTION "topology_discover"

/*
 * Sets flags, distances and the nodes of processors as hwloc and libnuma see
 * them, in a snapshot whose nodes have their numbers; `bytes` is sizeof *t, so
 * that another version of the library is noticed. False when they fail or do
 * not look at this machine.
 */
bool topology_discover(struct topology *t, size_t bytes);

/* Does so with the plugin, and derives the rest; *t is unchanged where there is none. */
void plugin_refine(struct topology *t);

#endif
