/*
 * stress_protocol_share: what threads learn, merged into snapshots [Y3] [Y4]. Threads
 * take learners, count matches in them, merge and put them back; one thread makes old
 * snapshots usable again all the while, as the helper does. All threads read: a snapshot
 * that is torn or used again too soon does not add up. In the end every match is in the
 * node's sum and in the process's, once, whether its thread could merge it or not.
 */
#include "protocol.h"

#include "base/rcu.h"
#include "policy/share.h"

#include <string.h>

enum {
	STEPS = 2000,
	RECLAIM_EVERY = 4, /* steps of the one thread that reclaims */
	KEEP_PERCENT = 60, /* a learner is kept for another step */
	LEARNERS = THREADS_MAX + 8,
};

static mark holders[LEARNERS];
static _Atomic(uint64_t) x_windows[CONTEXTS]; /* any: relaxed; all that were ever counted */

/* What a record of so many windows looks like. */
static void count(struct contest_record *r, uint64_t windows)
{
	r->windows += windows;
	r->matches += windows * ELO_PAIRS;
	r->traffic += windows * 4096;
	for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
		r->wins[arm] += windows * arm;
		r->losses[arm] += windows * (ELO_ARMS - 1 - arm);
	}
}

static void check(const struct share *s, const char *what)
{
	for (unsigned i = 0; i < CONTEXTS; i++) {
		const struct contest_record *r = &s->record[i];
		struct contest_record wanted = {.windows = 0};

		count(&wanted, r->windows);
		if (memcmp(&wanted, r, sizeof wanted) != 0)
			fail("%s: %lu windows with %lu matches do not add up", what, r->windows,
				r->matches);
	}
}

static struct learner *take(struct worker *w)
{
	struct learner *l = learner_get();

	if (l == NULL || l->index >= LEARNERS)
		fail("no learner, or more than there are threads");
	mark_take(&holders[l->index], w, "learner", l->index);
	share_begin(l, 0);
	return l;
}

static void drop(struct worker *w, struct learner *l)
{
	mark_drop(&holders[l->index], w, "learner", l->index);
	learner_put(l);
}

static void learn(struct worker *w, struct learner *l)
{
	unsigned i = (unsigned)random_below(w, CONTEXTS);
	uint64_t windows = 1 + random_below(w, 3);

	count(&l->contest[i].record, windows);
	l->contest[i].rating[w->id % ELO_ARMS] += ELO_POINT;
	atomic_fetch_add_explicit(&x_windows[i], windows, memory_order_relaxed);
	learner_show(l, i);
	if (random_chance(w, 80))
		share_merge(l);
}

static void look(unsigned which)
{
	struct share s;

	if (share_read(which, &s))
		check(&s, "snapshot");
	if (share_choice(0, which % CONTEXTS) >= ELO_ARMS)
		fail("there is no such strategy");
}

static void work(struct worker *w)
{
	bool reclaims = w->id == 0;
	struct learner *l;

	rcu_start();
	l = take(w);
	for (size_t i = 0; i < effort(STEPS); i++) {
		learn(w, l);
		look(random_chance(w, 50) ? 0 : SHARE_PROCESS);
		if (reclaims && i % RECLAIM_EVERY == 0)
			share_reclaim();
		if (!random_chance(w, KEEP_PERCENT)) {
			drop(w, l);
			l = take(w);
		}
		w->serial++;
	}
	drop(w, l);
}

static void after(void)
{
	static const unsigned slots[] = {0, SHARE_PROCESS};

	rcu_start();
	for (unsigned k = 0; k < 2; k++) {
		struct share s;

		share_sum(slots[k], &s);
		check(&s, k ? "sum of the process" : "sum of the node");
		for (unsigned i = 0; i < CONTEXTS; i++) {
			if (s.record[i].windows != load_rlx(&x_windows[i]))
				fail("slot %u: %lu windows of %lu are there", slots[k],
					s.record[i].windows, load_rlx(&x_windows[i]));
			for (unsigned arm = 0; arm < ELO_ARMS; arm++)
				if (s.weight[i] && s.rating[i][arm] < ELO_START)
					fail("a rating below what all began with");
		}
	}
	share_reclaim();
}

const struct program program = {
	.name = "stress_protocol_share",
	.budget = 64 * MIB,
	.work = work,
	.after = after,
};
