/*
 * share.c: see share.h. Snapshots that are not in use lie on one of two stacks:
 * spare ones, popped one by one (tagged), and retired ones, which the helper takes
 * all at once, waits for a grace period and makes spare.
 *
 *              | merge                     | reclaim
 *   merge      | CAS of the pointer; the   | pops spares, pushes retired
 *              | loser copies again        |
 *   read       | RCU: what is read stays   | waits for readers
 *
 * A pointer that is read inside a read section cannot come back meanwhile, because
 * it would have to be spare first: so the CAS is not deceived by an old address.
 * A thread stopped in a merge strands one spare, and holds up reclaiming.
 */
#include "policy/share.h"

#include "base/rcu.h"
#include "policy/clock.h"

#include <string.h>

#define SPARES 64

/* Others merge at the same time: it is tried so often, and then with the next window. */
#define TRIES 8

/* Points by which a leader must lead the choice in an average. */
#define LEAD (24 * ELO_POINT)

#define TAG_ONE ((uint64_t)1 << 32)

struct snapshot {
	struct share share;
	_Atomic(uint32_t) x_next; /* any: relaxed; link on a stack [Y3] */
};

static struct snapshot snapshots[SPARES];
static struct snapshot *_Atomic x_current[SHARE_SLOTS]; /* any: [Y4] */
static _Atomic(uint32_t) x_made;                        /* any: relaxed; snapshots used so far */
static _Atomic(uint64_t) x_spare;                       /* any: tagged [Y3] */
static _Atomic(uint32_t) x_retired;                     /* any: taken whole [Y3] */

/* any: relaxed; strategy + 1 by node and context, 0 where nothing has been merged */
static _Atomic(uint8_t) x_choice[SHARE_SLOTS][CONTEXTS];

static struct share loaded; /* const once there are threads; weight 0: nothing */

/* Links and heads are numbers of snapshots plus one. */
static uint32_t number(const struct snapshot *s)
{
	return (uint32_t)(s - snapshots) + 1;
}

static struct snapshot *spare_pop(void)
{
	uint64_t word = load_acq(&x_spare); /* [Y3] */
	while ((uint32_t)word) {
		struct snapshot *s = &snapshots[(uint32_t)word - 1];
		uint64_t rest = (word & ~(TAG_ONE - 1)) + TAG_ONE + load_rlx(&s->x_next);
		if (cas_weak_acq_rel(&x_spare, &word, rest)) /* [Y3] */
			return s;
	}
	uint32_t made = load_rlx(&x_made);
	while (made < SPARES)
		if (cas_rlx(&x_made, &made, made + 1))
			return &snapshots[made];
	return NULL;
}

static void spare_push(struct snapshot *s)
{
	uint64_t word = load_rlx(&x_spare), mine;
	do {
		store_rlx(&s->x_next, (uint32_t)word);
		mine = (word & ~(TAG_ONE - 1)) + TAG_ONE + number(s);
	} while (!cas_weak_rel(&x_spare, &word, mine)); /* [Y3] */
}

static void retire(struct snapshot *s)
{
	uint32_t head = load_rlx(&x_retired);
	do
		store_rlx(&s->x_next, head);
	while (!cas_weak_rel(&x_retired, &head, number(s))); /* [Y3] */
}

void share_reclaim(void)
{
	if (!load_rlx(&x_retired) || !rcu_is_ready())
		return;
	uint32_t list = xchg_acq_rel(&x_retired, 0); /* [Y3] */
	if (!PLANT_POLICY_GRACE)
		rcu_wait();
	while (list) {
		struct snapshot *s = &snapshots[list - 1];
		list = load_rlx(&s->x_next);
		spare_push(s);
	}
}

static void add_record(struct contest_record *to, const struct contest_record *from)
{
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *more = (const uint64_t *)from;
	for (unsigned i = 0; i < CONTEST_WORDS; i++)
		sum[i] += more[i];
}

static void add(struct share *sum, const struct share *more)
{
	for (unsigned i = 0; i < CONTEXTS; i++) {
		add_record(&sum->record[i], &more->record[i]);
		int64_t old = sum->weight[i], new = more->weight[i];
		if (!new)
			continue;
		if (!old)
			sum->choice[i] = more->choice[i];
		for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
			int64_t a = sum->rating[i][arm], b = more->rating[i][arm];
			sum->rating[i][arm] = (int32_t)((a * old + b * new) / (old + new));
		}
		sum->weight[i] = (uint32_t)min_size((size_t)(old + new), SHARE_WEIGHT_MAX);
		/* The only ones who have learned may have reasons not to follow their ratings yet. */
		if (old)
			sum->choice[i] = (uint8_t)elo_leader(sum->rating[i], sum->choice[i], LEAD);
	}
}

/* The pointer is exchanged while nobody else has exchanged it. */
static bool publish(unsigned slot, struct snapshot **found, struct snapshot *next)
{
	if (PLANT_POLICY_ORDER)
		return cas_rlx(&x_current[slot], found, next);
	return cas_acq_rel(&x_current[slot], found, next); /* [Y4] */
}

/* Inside a read section. */
static bool merge(unsigned slot, struct snapshot *next, const struct share *delta)
{
	struct snapshot *found = load_acq(&x_current[slot]); /* [Y4] */
	for (unsigned tries = 0; tries < TRIES; tries++) {
		next->share = found ? found->share : loaded;
		add(&next->share, delta);
		uint32_t weight[CONTEXTS];
		uint8_t choice[CONTEXTS];
		memcpy(weight, next->share.weight, sizeof weight);
		memcpy(choice, next->share.choice, sizeof choice);
		if (!publish(slot, &found, next))
			continue;
		for (unsigned i = 0; i < CONTEXTS; i++)
			if (weight[i])
				store_rlx(&x_choice[slot][i], (uint8_t)(choice[i] + 1));
		if (found)
			retire(found);
		return true;
	}
	return false;
}

static bool add_to_slot(unsigned slot, const struct share *delta)
{
	if (!rcu_read_begin())
		return false;
	struct snapshot *next = spare_pop();
	bool merged = next && merge(slot, next, delta);
	rcu_read_end();
	if (next && !merged)
		spare_push(next);
	if (!next)
		clock_poke(); /* the helper may be asleep, and makes more */
	return merged;
}

static bool is_empty(const struct contest_record *r)
{
	return r->windows == 0;
}

/* What the learner has that a snapshot has not. False: nothing. */
static bool delta_of(const struct learner *l, unsigned which, struct share *delta)
{
	bool any = false;
	for (unsigned i = 0; i < CONTEXTS; i++) {
		const uint64_t *all = (const uint64_t *)&l->contest[i].record;
		const uint64_t *sent = (const uint64_t *)&l->sent[which][i];
		uint64_t *more = (uint64_t *)&delta->record[i];
		for (unsigned k = 0; k < CONTEST_WORDS; k++)
			more[k] = all[k] - sent[k];
		memcpy(delta->rating[i], l->contest[i].rating, sizeof delta->rating[i]);
		delta->weight[i] = (uint32_t)min_size(delta->record[i].matches, SHARE_WEIGHT_MAX);
		delta->choice[i] = l->contest[i].choice;
		any |= !is_empty(&delta->record[i]);
	}
	return any;
}

static bool merge_into(struct learner *l, unsigned which, unsigned slot)
{
	struct share delta;
	if (!delta_of(l, which, &delta))
		return true;
	if (!add_to_slot(slot, &delta))
		return false;
	for (unsigned i = 0; i < CONTEXTS; i++)
		l->sent[which][i] = l->contest[i].record;
	return true;
}

bool share_merge(struct learner *l)
{
	bool node = merge_into(l, 0, load_rlx(&l->x_node));
	bool process = merge_into(l, 1, SHARE_PROCESS);
	if (node || process)
		for (unsigned i = 0; i < CONTEXTS; i++)
			learner_show(l, i);
	return node && process;
}

bool share_read(unsigned slot, struct share *copy)
{
	if (!rcu_read_begin())
		return false;
	const struct snapshot *s = load_acq(&x_current[slot]); /* [Y4] */
	if (s)
		*copy = s->share;
	rcu_read_end();
	return s;
}

void share_begin(struct learner *l, unsigned node)
{
	struct share s;
	store_rlx(&l->x_node, (uint8_t)node);
	if (!share_read(node, &s) && !share_read(SHARE_PROCESS, &s))
		s = loaded;
	for (unsigned i = 0; i < CONTEXTS; i++)
		if (s.weight[i])
			contest_inherit(&l->contest[i], s.rating[i], s.choice[i]);
}

static void add_learner(struct share *sum, const struct learner *l, unsigned which)
{
	struct share delta;
	for (unsigned i = 0; i < CONTEXTS; i++) {
		uint64_t *more = (uint64_t *)&delta.record[i];
		for (unsigned k = 0; k < CONTEST_WORDS; k++)
			more[k] = load_rlx(&l->x_unmerged[which][i][k]);
		for (unsigned arm = 0; arm < ELO_ARMS; arm++)
			delta.rating[i][arm] = load_rlx(&l->x_rating[i][arm]);
		delta.weight[i] = (uint32_t)min_size(delta.record[i].matches, SHARE_WEIGHT_MAX);
		delta.choice[i] = load_rlx(&l->x_choice[i]);
	}
	add(sum, &delta);
}

void share_sum(unsigned slot, struct share *sum)
{
	unsigned count = learner_count();
	bool process = slot == SHARE_PROCESS;
	if (!share_read(slot, sum))
		*sum = loaded;
	for (unsigned i = 0; i < count; i++) {
		const struct learner *l = learner_at(i);
		if (l && (process || load_rlx(&l->x_node) == slot))
			add_learner(sum, l, process);
	}
	for (unsigned i = 0; i < CONTEXTS; i++)
		if (!sum->weight[i])
			sum->choice[i] = (uint8_t)learner_first_choice(i);
}

unsigned share_choice(unsigned node, unsigned context)
{
	unsigned choice = load_rlx(&x_choice[node][context]);
	if (likely(choice))
		return choice - 1;
	if (loaded.weight[context])
		return loaded.choice[context];
	return learner_first_choice(context);
}

void share_load(const struct share *from)
{
	loaded = *from;
	memset(loaded.record, 0, sizeof loaded.record);
}
