/*
 * policy_replay.c: see policy_replay.h. What happens to a slot happens in the order
 * of the recording, whichever threads do it: each event has its turn.
 */
#define _GNU_SOURCE
#include "policy_replay.h"

#include "common.h"
#include "policy_schedule.h"
#include "policy_trace.h"

#include <sched.h>

#define WARM_PARTS 5u

struct slot {
	_Atomic(uint32_t) turn; /* of the event that may act; the slot belongs to that one */
	void *block;
	size_t bytes;
};

static struct trace trace;
static struct slot *slots;

unsigned replay_read(void)
{
	trace_read(&trace, stdin);
	slots = bench_map(trace.slots * sizeof(*slots));
	/* A second thread, as every workload has it. */
	return trace.threads < 2 ? 2 : (unsigned)trace.threads;
}

uint64_t replay_run_ms(void)
{
	return trace.run_us / 1000;
}

uint64_t replay_warm_ms(void)
{
	return replay_run_ms() / WARM_PARTS;
}

static void replay(const struct trace_event *e)
{
	struct slot *slot = &slots[e->slot];
	uint64_t ns = e->us * 1000;

	schedule_wait(ns);
	while (atomic_load(&slot->turn) != e->turn)
		sched_yield();
	if (e->kib) {
		slot->bytes = (size_t)e->kib << 10;
		slot->block = work_alloc(e->site, slot->bytes, schedule_part(ns));
		work_use(slot->block, slot->bytes);
	} else {
		work_free(slot->block, slot->bytes);
	}
	atomic_store(&slot->turn, e->turn + 1);
}

void replay_worker(unsigned index)
{
	schedule_begin();
	for (uint64_t i = 0; i < trace.count; i++)
		if (trace.events[i].thread == index)
			replay(&trace.events[i]);
	schedule_end();
}
