/*
 * topology.c: publishes what is known about nodes.
 *
 * The snapshot of the start lies in static memory and is never freed. Later
 * ones are read under RCU and freed after a grace period (order table [N1]);
 * threads that RCU does not know go on with the last one that is never freed.
 * Where there is no RCU at all, no snapshot is freed: they are few and small.
 */
#include "numa/topology.h"

#include "base/atomic.h"
#include "base/options.h"
#include "base/os.h"
#include "base/rcu.h"
#include "numa/place.h"
#include "numa/plugin.h"

#include <errno.h>
#include <string.h>

#define SYSFS "/sys/devices/system/node"

static struct topology first;                    /* const once published */
static const struct topology *_Atomic x_current; /* any: [N1]; NULL: one node */
static const struct topology *_Atomic x_stable;  /* any: [N1]; the last that is never freed */
static _Atomic(unsigned) x_shards;     /* any: relaxed; 0 until start-up has found more than one */
static _Atomic(unsigned) x_synthetic;  /* any: relaxed; set at start-up */
static _Atomic(uint32_t) x_generation; /* any: relaxed; 0: one node; else of the snapshot */
static _Atomic(uint32_t) x_busy;       /* any: cas acquire, release [N2] */

unsigned topology_nodes(void)
{
	unsigned n = load_rlx(&x_shards);
	return n ? n : 1;
}

void topology_use(unsigned shards)
{
	unsigned n = load_rlx(&x_shards);
	while (n < shards && !cas_rlx(&x_shards, &n, shards))
		;
}

uint32_t topology_generation(void)
{
	return load_rlx(&x_generation);
}

struct topology_view topology_begin(void)
{
	struct topology_view v = {.read = rcu_read_begin()};
	v.t = v.read ? load_acq(&x_current) : load_acq(&x_stable); /* [N1] */
	return v;
}

void topology_end(struct topology_view v)
{
	if (v.read)
		rcu_read_end();
}

/* Takes the nodes' numbers into use; the old snapshot is the caller's to free. */
static const struct topology *publish(const struct topology *t, bool for_good)
{
	topology_use(t->count);
	if (for_good)
		store_rel(&x_stable, t);                          /* [N1] */
	const struct topology *old = xchg_acq_rel(&x_current, t); /* [N1] */
	if (t->count > 1)
		add_rlx(&x_generation, 1);
	return old;
}

/*
 * A kernel that would give us memory of one node only needs no more looking:
 * that is one system call, where the files cost 20 us.
 */
static bool read_system(struct topology *t, const struct topology *old)
{
	struct os_nodes allowed;
	unsigned node = 0;
	bool known = os_nodes_allowed(&allowed);
	if (!old && known && os_nodes_count(&allowed) <= 1)
		return false;
	os_cpu_node(&node);
	return topology_read(t, SYSFS, old, known ? &allowed : NULL, node);
}

void topology_init(void)
{
	unsigned synthetic = (unsigned)load_rlx(&options.x_nodes);
	int saved = errno;
	store_rlx(&x_synthetic, synthetic);
	topology_use(synthetic);
	if (!synthetic && load_rlx(&options.x_numa) != NUMA_OFF && read_system(&first, NULL) &&
		first.count > 1)
		publish(&first, true);
	errno = saved;
}

static bool same(const struct topology *a, const struct topology *b)
{
	return b && !memcmp(a, b, sizeof *a);
}

void topology_replace(struct topology *t)
{
	bool rcu = rcu_start();
	const struct topology *old = publish(t, !rcu);
	if (rcu && old && old != load_acq(&x_stable) && rcu_wait()) /* [N1+] */
		os_unmap((void *)(uintptr_t)old, sizeof *old);
}

struct topology *topology_new(void)
{
	struct topology *t = os_map(sizeof *t);
	if (!t)
		errno = ENOMEM;
	return t;
}

/* The snapshot in force stays meanwhile: only the one who is busy frees any. */
static bool renew(void)
{
	const struct topology *old = load_acq(&x_current); /* [N1] */
	struct topology *t = topology_new();
	if (!t)
		return false;
	bool found = read_system(t, old);
	/* libnuma complains on standard error where it is not let. */
	if (found && os_policy_is_permitted()) {
		place_ignore_policy(true);
		plugin_refine(t);
		place_ignore_policy(false);
	}
	if (!found || same(t, old) || (!old && t->count < 2))
		os_unmap(t, sizeof *t);
	else
		topology_replace(t);
	return true;
}

bool topology_refresh(void)
{
	uint32_t idle = 0;
	if (load_rlx(&x_synthetic) || load_rlx(&options.x_numa) == NUMA_OFF)
		return true;
	if (!cas_acq(&x_busy, &idle, 1)) { /* [N2] */
		errno = EBUSY;
		return false;
	}
	bool done = renew();
	store_rel(&x_busy, 0); /* [N2] */
	return done;
}

void topology_start(void)
{
	static _Atomic(bool) x_started; /* any: relaxed; one thread wins */
	bool started = false;
	if (likely(!topology_generation()) || load_rlx(&x_started) ||
		!cas_rlx(&x_started, &started, true))
		return;
	int saved = errno;
	rcu_start();
	topology_refresh();
	errno = saved;
}

unsigned topology_home_of_cpu(unsigned cpu)
{
	struct topology_view v = topology_begin();
	unsigned home = 0;
	if (v.t) {
		unsigned n = cpu < CPUS_MAX ? v.t->cpu_node[cpu] : NODE_NONE;
		if (n == NODE_NONE) { /* came after the snapshot */
			unsigned os;
			os_cpu_node(&os);
			n = os < OS_NODES_MAX ? v.t->number[os] : NODE_NONE;
		}
		home = n == NODE_NONE ? 0 : v.t->home[n];
	}
	topology_end(v);
	return home;
}

uint64_t topology_deserted(void)
{
	struct topology_view v = topology_begin();
	uint64_t bits = v.t ? v.t->deserted : 0;
	topology_end(v);
	return bits;
}

/* Shards get the threads in turn, so that tests see all of them on any machine. */
unsigned topology_current_node(void)
{
	static _Atomic(unsigned) x_next; /* any: relaxed, only spreads threads */
	unsigned n = load_rlx(&x_synthetic);
	if (n > 1)
		return add_rlx(&x_next, 1) % n;
	return topology_generation() ? topology_home_of_cpu(os_cpu()) : 0;
}

unsigned topology_number(unsigned os)
{
	struct topology_view v = topology_begin();
	unsigned synthetic = load_rlx(&x_synthetic), n = os < topology_nodes() ? os : NODE_NONE;
	if (v.t)
		n = os < OS_NODES_MAX ? v.t->number[os] : NODE_NONE;
	else if (!synthetic && os > 0)
		n = NODE_NONE;
	if (v.t && n != NODE_NONE && !(v.t->flags[n] & NODE_MEMORY))
		n = NODE_NONE;
	topology_end(v);
	return n;
}

int topology_os(unsigned number)
{
	struct topology_view v = topology_begin();
	unsigned count = v.t ? v.t->count : min_size(topology_nodes(), NODES_REAL_MAX);
	int os = number < count ? (int)(v.t ? v.t->os[number] : number) : -1;
	topology_end(v);
	return os;
}
