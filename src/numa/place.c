/*
 * place.c: see place.h. Shards of policies are found by a key that holds a
 * hash of the policy and, where the policy leaves a choice of nodes, the node
 * of the thread. They are made by a CAS on the first free key and stay.
 */
#include "numa/place.h"

#include "base/atomic.h"
#include "base/options.h"

#include <errno.h>
#include <string.h>

#define POLICY_FIRST (SHARD_INTERLEAVED + 1)
#define POLICIES (NODES_MAX - POLICY_FIRST)

/* The low byte of a key is a node. */
#define KEY_NODE 0xffu
#define KEY_USED 0x100u

#define MODE_FLAGS 0xe000 /* of the kernel, in a policy's mode */

static _Atomic(uint64_t) x_keys[POLICIES];           /* any: relaxed, 0 to key once */
static _Atomic(bool) x_denied;                       /* any: relaxed; false to true once */
static _Atomic(uint64_t) x_bind_failures[NODES_MAX]; /* any: relaxed */

static _Thread_local bool tls_ignore; /* own */

void place_ignore_policy(bool ignore)
{
	tls_ignore = ignore;
}

bool place_ignores_policy(void)
{
	return tls_ignore;
}

static bool is_denial(void)
{
	return errno == EPERM || errno == ENOSYS;
}

static uint64_t hash(const struct os_policy *p)
{
	uint64_t h = (uint64_t)p->mode + 1;
	for (unsigned i = 0; i < OS_NODES_MAX / 64; i++) {
		h = (h ^ p->nodes.bits[i]) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	return h;
}

/*
 * The key of this thread's policy, 0 for the default one. "Local" asks for what
 * the default placement does; it counts as set only where that does otherwise.
 */
static uint64_t policy_key(unsigned node)
{
	struct os_policy p;
	if (load_rlx(&x_denied) || tls_ignore)
		return 0;
	int saved = errno;
	if (!os_policy(&p)) {
		if (is_denial())
			store_rlx(&x_denied, true);
		errno = saved;
		return 0;
	}
	int mode = p.mode & ~MODE_FLAGS;
	unsigned choice = os_nodes_count(&p.nodes);
	bool local = mode == OS_POLICY_LOCAL || (mode == OS_POLICY_PREFERRED && !choice);
	if (mode == OS_POLICY_DEFAULT || (local && load_rlx(&options.x_numa) == NUMA_PREFERRED))
		return 0;
	return (hash(&p) & ~(uint64_t)(KEY_NODE | KEY_USED)) | KEY_USED | (choice == 1 ? 0 : node);
}

/* Where there is no room for one more policy, the last shard serves all that came late. */
static unsigned find(uint64_t key)
{
	unsigned i = 0;
	for (; i < POLICIES - 1; i++) {
		uint64_t found = load_rlx(&x_keys[i]);
		if (found == key || (!found && (cas_rlx(&x_keys[i], &found, key) || found == key)))
			break;
	}
	topology_use(POLICY_FIRST + i + 1);
	return POLICY_FIRST + i;
}

unsigned place_shard_on(unsigned node)
{
	uint64_t key = policy_key(node);
	return key ? find(key) : node;
}

unsigned place_shard(void)
{
	unsigned node = topology_current_node();
	return place_matters() ? place_shard_on(node) : node;
}

bool place_is_policy(unsigned shard)
{
	return shard >= POLICY_FIRST;
}

bool place_keeps_nothing(unsigned shard)
{
	return shard == NODES_MAX - 1;
}

static uint64_t policy_of(unsigned shard)
{
	return place_is_policy(shard)
		       ? load_rlx(&x_keys[shard - POLICY_FIRST]) & ~(uint64_t)KEY_NODE
		       : 0;
}

bool place_same_policy(unsigned a, unsigned b)
{
	return policy_of(a) == policy_of(b);
}

unsigned place_interleaved(void)
{
	if (!place_matters())
		return 0;
	topology_use(SHARD_INTERLEAVED + 1);
	return SHARD_INTERLEAVED;
}

/* What a shard's ranges are bound with. */
struct binding {
	enum os_policy_mode mode;
	struct os_nodes nodes;
	int home;
};

static bool knows_home(void)
{
	static _Atomic(int) x_known; /* any: relaxed; 0 unknown, else 1 or -1, always the same */
	int known = load_rlx(&x_known);
	if (!known) {
		known = os_has_home_node() ? 1 : -1;
		store_rlx(&x_known, known);
	}
	return known > 0;
}

static bool bind_node(const struct topology *t, unsigned shard, size_t mode, struct binding *b)
{
	if (shard >= t->count || !(t->flags[shard] & NODE_ALLOWED))
		return false;
	bool own = t->flags[shard] & NODE_CPUS;
	b->mode = mode == NUMA_STRICT ? OS_POLICY_BIND : OS_POLICY_PREFERRED;
	os_nodes_add(&b->nodes, t->os[shard]);
	/*
	 * With one preferred node, the kernel goes on to the nearest, with processors or
	 * not. Where some have none, all others are preferred, from this one outwards.
	 */
	if (mode == NUMA_PREFERRED && t->memory_only && own && knows_home()) {
		b->mode = OS_POLICY_PREFERRED_MANY;
		b->nodes = t->cpu_nodes;
		b->home = t->os[shard];
	}
	return true;
}

/* False: not to be bound. */
static bool binding_of(unsigned shard, struct binding *b)
{
	size_t mode = shard == SHARD_INTERLEAVED ? NUMA_INTERLEAVE : load_rlx(&options.x_numa);
	memset(b, 0, sizeof *b);
	b->home = -1;
	if (mode == NUMA_LOCAL || place_is_policy(shard))
		return false;
	struct topology_view v = topology_begin();
	bool found = v.t;
	if (found && mode == NUMA_INTERLEAVE) {
		b->mode = OS_POLICY_INTERLEAVE;
		b->nodes = os_nodes_count(&v.t->cpu_nodes) ? v.t->cpu_nodes : v.t->allowed;
	} else if (found) {
		found = bind_node(v.t, shard, mode, b);
	}
	topology_end(v);
	return found;
}

void place_bind(void *start, size_t bytes, unsigned shard)
{
	struct binding b;
	if (!place_matters() || load_rlx(&x_denied) || !binding_of(shard, &b))
		return;
	int saved = errno;
	if (!os_bind(start, bytes, b.mode, &b.nodes, b.home)) {
		add_rlx(&x_bind_failures[shard], 1);
		if (is_denial())
			store_rlx(&x_denied, true);
	}
	errno = saved;
}

uint64_t place_bind_failures(unsigned shard)
{
	return load_rlx(&x_bind_failures[shard]);
}
