/*
 * discover.c: libhakmem-topology.so (see plugin.h). hwloc says which nodes have
 * which processors and memory, within what this process may use; libnuma says
 * how far apart they are and what the cpuset allows. Nodes are matched by the
 * numbers of the OS: hwloc's own order is another.
 */
#include "numa/plugin.h"

#include <hwloc.h>
#include <numa.h>
#include <stdlib.h>
#include <string.h>

#define NO_PLUGINS "HWLOC_PLUGINS_PATH"

/*
 * hwloc looks for its plugins when the first topology is made, and again only
 * after the last has gone: this one stays. Other threads may read the
 * environment later on, so it is changed this once, and put back.
 */
static bool keep_plugins_out(void)
{
	static hwloc_topology_t kept; /* own: of the one thread that refreshes */
	if (kept)
		return true;
	const char *saved = getenv(NO_PLUGINS);
	char *copy = saved ? strdup(saved) : NULL;
	setenv(NO_PLUGINS, "/nonexistent", 1);
	bool made = hwloc_topology_init(&kept) == 0;
	if (copy)
		setenv(NO_PLUGINS, copy, 1);
	else
		unsetenv(NO_PLUGINS);
	free(copy);
	return made;
}

static bool load(hwloc_topology_t *hw)
{
	if (!keep_plugins_out() || hwloc_topology_init(hw) != 0)
		return false;
	hwloc_topology_set_all_types_filter(*hw, HWLOC_TYPE_FILTER_KEEP_NONE);
	hwloc_topology_set_flags(*hw, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
	if (hwloc_topology_load(*hw) == 0 && hwloc_topology_is_thissystem(*hw))
		return true;
	hwloc_topology_destroy(*hw);
	return false;
}

static void set_cpus(struct topology *t, hwloc_obj_t node, unsigned number)
{
	unsigned cpu;
	hwloc_bitmap_foreach_begin(cpu, node->cpuset)
	{
		/* A node that lies in another's place lists that one's processors too. */
		if (cpu >= CPUS_MAX || numa_node_of_cpu((int)cpu) != (int)node->os_index)
			continue;
		t->cpu_node[cpu] = (uint8_t)number;
		t->flags[number] |= NODE_CPUS;
	}
	hwloc_bitmap_foreach_end();
}

static void set_flags(struct topology *t, hwloc_topology_t hw)
{
	hwloc_const_nodeset_t allowed = hwloc_topology_get_allowed_nodeset(hw);
	struct bitmask *mems = numa_get_mems_allowed();
	hwloc_obj_t node = NULL;
	memset(t->flags, 0, sizeof t->flags);
	while ((node = hwloc_get_next_obj_by_type(hw, HWLOC_OBJ_NUMANODE, node))) {
		unsigned os = node->os_index, n = os < OS_NODES_MAX ? t->number[os] : NODE_NONE;
		if (n == NODE_NONE)
			continue;
		/* Beyond our numbers: only its processors count, as those of a neighbour. */
		if (t->os[n] == os && node->attr->numanode.local_memory > 0) {
			t->flags[n] |= NODE_MEMORY;
			if (hwloc_bitmap_isset(allowed, os) &&
				(!mems || numa_bitmask_isbitset(mems, os)))
				t->flags[n] |= NODE_ALLOWED;
		}
		set_cpus(t, node, n);
	}
	if (mems)
		numa_bitmask_free(mems);
}

static void set_distances(struct topology *t)
{
	for (unsigned a = 0; a < t->count; a++)
		for (unsigned b = 0; b < t->count; b++) {
			int d = numa_distance(t->os[a], t->os[b]);
			if (d > 0)
				t->distance[a][b] = (uint8_t)(d < DISTANCE_FAR ? d : DISTANCE_FAR);
		}
}

__attribute__((visibility("default"))) bool topology_discover(struct topology *t, size_t bytes)
{
	hwloc_topology_t hw;
	if (bytes != sizeof *t || numa_available() < 0 || !load(&hw))
		return false;
	set_flags(t, hw);
	set_distances(t);
	hwloc_topology_destroy(hw);
	return true;
}
