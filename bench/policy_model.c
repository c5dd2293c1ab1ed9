/*
 * policy_model.c: see policy_model.h.
 */
#define _GNU_SOURCE
#include "policy_model.h"

#include "common.h"

#include <sys/mman.h>

#define SLICE ((uint64_t)64 << 10)
#define GRANULE ((uint64_t)2 << 20)
#define GRANULE_SLICES 32u
#define BOUND_BYTES ((uint64_t)256 << 20) /* purge_bytes, four times while there is a helper */
#define BOUND_PERCENT 50u
#define TRAFFIC_BYTES ((uint64_t)512 << 10)

unsigned model_fault_ns = 2400, model_purge_ns = 360;

enum state { CLEAN, DIRTY, USED };

struct unit {
	enum state state;
	bool due, batched;  /* to go with the next tick; and counted for the batch */
	uint64_t since_us;  /* dirty since then */
	uint64_t idle_us;   /* how long it was, until it was purged */
	struct stamp stamp; /* of what was freed here last */
};

/* Spans may not cross a granule. */
struct space {
	uint64_t unit_bytes;
	uint32_t count, within;
	struct unit *units;
};
enum { SPANS, WHALES, SPACES };

void model_init(struct model *m)
{
	static const uint64_t bytes[SPACES] = {SLICE, GRANULE};
	static const uint32_t counts[SPACES] = {1u << 15, 1u << 12};

	memset(m, 0, sizeof(*m));
	m->spaces = bench_map(SPACES * sizeof(*m->spaces));
	for (unsigned i = 0; i < SPACES; i++) {
		m->spaces[i] =
			(struct space){bytes[i], counts[i], i == SPANS ? GRANULE_SLICES : counts[i],
				bench_map(counts[i] * sizeof(struct unit))};
	}
	m->next_tick_us = MODEL_TICK_MS * 1000u;
	m->next_step_us = MODEL_STEP_MS * 1000u;
}

void model_drop(struct model *m)
{
	for (unsigned i = 0; i < SPACES; i++)
		munmap(m->spaces[i].units, m->spaces[i].count * sizeof(struct unit));
	munmap(m->spaces, SPACES * sizeof(*m->spaces));
	m->spaces = NULL;
}

static void purge_unit(struct model *m, const struct space *s, struct unit *u)
{
	u->state = CLEAN;
	u->idle_us = m->now_us - u->since_us;
	if (u->batched)
		m->due -= s->unit_bytes;
	u->due = u->batched = false;
	m->dirty -= s->unit_bytes;
	m->costs.cpu_ns += s->unit_bytes / PAGE_BYTES * model_purge_ns;
}

static void purge_due(struct model *m)
{
	for (unsigned i = 0; i < SPACES; i++)
		for (uint32_t j = 0; j < m->spaces[i].count; j++)
			if (m->spaces[i].units[j].due)
				purge_unit(m, &m->spaces[i], &m->spaces[i].units[j]);
}

/* From the high addresses down. */
static void purge_bytes(struct model *m, uint64_t bytes)
{
	for (unsigned i = 0; i < SPACES; i++) {
		struct space *s = &m->spaces[SPACES - 1 - i];

		for (uint32_t j = s->count; j-- > 0 && bytes;) {
			if (s->units[j].state != DIRTY)
				continue;
			purge_unit(m, s, &s->units[j]);
			bytes -= bytes < s->unit_bytes ? bytes : s->unit_bytes;
		}
	}
}

static void tick(struct model *m)
{
	purge_due(m);
	purge_bytes(m, m->dirty_low < m->dirty ? m->dirty_low : m->dirty);
	m->dirty_low = m->dirty;
}

static void pass(struct model *m, uint64_t us)
{
	m->costs.resident += (double)(m->in_use + m->dirty) * (double)(us - m->now_us) / 1000.0;
	m->now_us = us;
}

/* Between ticks: blocks that were to stay for less. */
static void step(struct model *m)
{
	const struct space *s = &m->spaces[WHALES];

	for (uint32_t i = 0; i < s->count; i++) {
		struct unit *u = &s->units[i];

		if (u->state == DIRTY && u->stamp.stays_ms &&
			m->now_us - u->since_us >= u->stamp.stays_ms * 1000u)
			purge_unit(m, s, u);
	}
}

void model_advance(struct model *m, uint64_t us)
{
	while (m->next_tick_us <= us || m->next_step_us <= us) {
		if (m->next_tick_us <= m->next_step_us) {
			pass(m, m->next_tick_us);
			tick(m);
			m->next_tick_us += MODEL_TICK_MS * 1000u;
		} else {
			pass(m, m->next_step_us);
			step(m);
			m->next_step_us += MODEL_STEP_MS * 1000u;
		}
	}
	pass(m, us);
}

/* The first run of `units` free ones, all dirty if `dirty`; count if there is none. */
static uint32_t find_run(const struct space *s, uint32_t units, bool dirty)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < s->count; i++) {
		const struct unit *u = &s->units[i];

		if (i % s->within == 0)
			run = 0;
		run = u->state == DIRTY || (!dirty && u->state == CLEAN) ? run + 1 : 0;
		if (run == units)
			return i + 1 - units;
	}
	return s->count;
}

/* Takes one unit; what its stamp tells is added to *reuse. */
static void take(
	struct model *m, const struct space *s, struct unit *u, uint64_t bytes, struct reuse *reuse)
{
	uint64_t idle_us = u->state == DIRTY ? m->now_us - u->since_us : u->idle_us;

	reuse->bytes += bytes;
	reuse->idle += bytes * idle_us / 1000;
	if (u->state == DIRTY) {
		m->dirty -= s->unit_bytes;
		if (u->batched)
			m->due -= s->unit_bytes;
	} else {
		reuse->faulted += bytes;
		m->costs.faults += bytes / PAGE_BYTES;
		m->costs.cpu_ns += bytes / PAGE_BYTES * model_fault_ns;
	}
	u->state = USED;
	u->due = u->batched = false;
	u->stamp.number = 0;
	m->in_use += s->unit_bytes;
}

void model_alloc(struct model *m, uint64_t bytes, struct place *place,
	void (*reused)(const struct reuse *reuse, void *argument), void *argument)
{
	struct space *s = &m->spaces[bytes < GRANULE ? SPANS : WHALES];
	uint32_t units = (uint32_t)((bytes + s->unit_bytes - 1) / s->unit_bytes);
	uint32_t first = find_run(s, units, true);
	uint64_t left = bytes;

	if (first == s->count)
		first = find_run(s, units, false);
	if (first == s->count)
		bench_die("a block of %llu bytes does not fit into the model's memory",
			(unsigned long long)bytes);
	for (uint32_t i = first; i < first + units;) {
		struct reuse reuse = {
			.stamp = s->units[i].stamp, .now_ms = (uint32_t)(m->now_us / 1000)};

		for (; i < first + units && s->units[i].stamp.number == reuse.stamp.number; i++) {
			uint64_t part = left < s->unit_bytes ? left : s->unit_bytes;

			take(m, s, &s->units[i], part, &reuse);
			left -= part;
		}
		if (reuse.stamp.number)
			reused(&reuse, argument);
	}
	if (m->dirty < m->dirty_low)
		m->dirty_low = m->dirty;
	*place = (struct place){(uint32_t)(s - m->spaces), first, units, bytes};
	m->live += bytes;
	m->peak_live = m->live > m->peak_live ? m->live : m->peak_live;
	m->worked += bytes;
	if (bytes >= TRAFFIC_BYTES)
		m->traffic += bytes;
}

void model_free(struct model *m, const struct place *p, const struct stamp *stamp, enum fate fate)
{
	struct space *s = &m->spaces[p->space];
	uint64_t bytes = p->units * s->unit_bytes, bound;

	for (uint32_t i = p->first; i < p->first + p->units; i++) {
		struct unit *u = &s->units[i];

		u->state = DIRTY;
		u->since_us = m->now_us;
		u->stamp = *stamp;
		u->due = fate != FATE_KEPT;
		u->batched = fate == FATE_BATCH;
	}
	m->live -= p->bytes;
	m->in_use -= bytes;
	m->dirty += bytes;
	if (fate == FATE_BATCH)
		m->due += bytes;
	if (m->due >= MODEL_BATCH_BYTES)
		purge_due(m);
	bound = BOUND_BYTES + m->in_use * BOUND_PERCENT / 100;
	if (m->dirty > bound)
		purge_bytes(m, m->dirty - bound);
}

double model_cost(const struct model *m, double c0_ns)
{
	double work_ns = (double)m->worked * c0_ns;
	double cpu = (work_ns + (double)m->costs.cpu_ns) / work_ns;
	double faults = (double)m->costs.faults / ((double)m->traffic / PAGE_BYTES);
	double memory = m->costs.resident / ((double)m->now_us / 1000.0) / (double)m->peak_live;

	return 0.4 * cpu + 0.3 * faults + 0.3 * memory;
}
