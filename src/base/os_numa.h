/*
 * os_numa.h: what the kernel is asked about processors and nodes; beside os.c
 * the only user of such calls. Nothing here allocates or locks. Functions
 * return false on failure and leave errno as the kernel set it.
 */
#ifndef BASE_OS_NUMA_H
#define BASE_OS_NUMA_H

#include "base/base.h"

/* Node numbers of the kernel lie below this. */
#define OS_NODES_MAX 1024

struct os_nodes {
	uint64_t bits[OS_NODES_MAX / 64];
};

static inline bool os_nodes_has(const struct os_nodes *n, unsigned node)
{
	return node < OS_NODES_MAX && (n->bits[node / 64] >> (node % 64) & 1);
}

static inline void os_nodes_add(struct os_nodes *n, unsigned node)
{
	if (node < OS_NODES_MAX)
		n->bits[node / 64] |= (uint64_t)1 << (node % 64);
}

static inline unsigned os_nodes_count(const struct os_nodes *n)
{
	unsigned count = 0;
	for (unsigned i = 0; i < OS_NODES_MAX / 64; i++)
		count += (unsigned)__builtin_popcountl(n->bits[i]);
	return count;
}

/* Memory policies, as the kernel numbers them. */
enum os_policy_mode {
	OS_POLICY_DEFAULT,
	OS_POLICY_PREFERRED,
	OS_POLICY_BIND,
	OS_POLICY_INTERLEAVE,
	OS_POLICY_LOCAL,
	OS_POLICY_PREFERRED_MANY,
};

struct os_policy {
	int mode; /* enum os_policy_mode, with the kernel's flags */
	struct os_nodes nodes;
};

/* The policy of this thread. */
bool os_policy(struct os_policy *policy);

/* Are calls that get and set policies permitted? Nothing is changed. */
bool os_policy_is_permitted(void);

/* The nodes whose memory this thread may have. */
bool os_nodes_allowed(struct os_nodes *nodes);

/*
 * Sets the policy of a range. `home`: the node from which distances count, or
 * -1; where the kernel knows no such thing, it has no effect.
 */
bool os_bind(void *start, size_t bytes, enum os_policy_mode mode, const struct os_nodes *nodes,
	int home);

/* Does the kernel know policies of several preferred nodes with a home? Asked once. */
bool os_has_home_node(void);

/* The node of each page, or a negative number where none is resident. */
bool os_pages_nodes(void **pages, int *nodes, size_t count);

/* The processor this thread runs on now, without a system call where that can be done. */
unsigned os_cpu(void);

/* The same with the processor's node, as the kernel numbers it. */
unsigned os_cpu_node(unsigned *node);

/*
 * Reads a short file whole and ends it with 0; false if it cannot be, is too long, or has
 * a 0 in it, behind which nobody would look.
 */
bool os_read_file(const char *path, char *text, size_t bytes);

#endif
