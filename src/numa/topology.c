/*
 * topology.c: the static one-node topology, and synthetic shards of it.
 */
#include "numa/topology.h"

#include "base/atomic.h"
#include "base/options.h"
#include "base/os.h"

static _Atomic(unsigned) x_synthetic; /* any: relaxed; 0 until start-up has read the option */

unsigned topology_nodes(void)
{
	unsigned n = load_rlx(&x_synthetic);
	return n ? n : 1;
}

void topology_init(void)
{
	store_rlx(&x_synthetic, (unsigned)load_rlx(&options.x_nodes));
}

/* Shards get the threads in turn, so that tests see all of them on any machine. */
unsigned topology_current_node(void)
{
	static _Atomic(unsigned) x_next; /* any: relaxed, only spreads threads */
	unsigned n = topology_nodes();
	return n == 1 ? 0 : add_rlx(&x_next, 1) % n;
}
