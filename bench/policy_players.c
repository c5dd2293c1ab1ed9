/*
 * policy_players.c: see policy_players.h. ELO is the library's learner, linked as it
 * is. UCB1 and hill climbing (perturb and observe) have windows of the same length.
 */
#include "policy_players.h"

#include "common.h"

#include <math.h>
#include <string.h>

#define WINDOW_EVENTS 32
#define WINDOW_MS 10
#define WINDOW_EVENTS_FEW 4
#define WINDOW_MS_LONG 1000

/* What every choice pays per byte, as in policy/elo.h: it keeps rewards between 0 and 1. */
#define COMMON 0.7

void player_init(struct player *p, enum kind kind, unsigned arm, uint32_t seed)
{
	memset(p, 0, sizeof(*p));
	p->kind = kind;
	p->learner = learner_get();
	if (!p->learner)
		bench_die("no memory for a learner");
	for (unsigned i = 0; i < CONTEXTS; i++) {
		unsigned first = arm == FIRST_CHOICE ? learner_first_choice(i) : arm;

		contest_init(&p->learner->contest[i], first, seed * 2654435761u + i);
		p->bandits[i].arm = first;
		p->bandits[i].direction = seed % 2 ? 1 : -1;
		p->bandits[i].before = -1;
	}
}

void player_end(struct player *p)
{
	learner_put(p->learner);
}

unsigned player_arm(const struct player *p, unsigned context)
{
	return p->kind == PLAY_ELO ? p->learner->contest[context].choice : p->bandits[context].arm;
}

bool player_keeps(struct player *p, unsigned context, uint64_t bytes)
{
	unsigned bin = estimate_bin(bytes);

	if (p->kind == PLAY_ELO && bin < ELO_ARMS)
		return contest_keeps(&p->learner->contest[context], bin, bytes);
	return bin <= player_arm(p, context);
}

unsigned player_patience(const struct player *p, uint64_t bytes)
{
	return p->kind == PLAY_ELO ? patience_of(&patience_now, estimate_bin(bytes)) : 0;
}

static unsigned next_ucb1(struct bandit *b, double per_byte)
{
	double all = 0, best = -1;
	unsigned arm = 0;

	b->reward[b->arm] += COMMON / (COMMON + per_byte);
	b->plays[b->arm] += 1;
	for (unsigned i = 0; i < ELO_ARMS; i++)
		all += b->plays[i];
	for (unsigned i = 0; i < ELO_ARMS; i++) {
		double index = b->plays[i] == 0 ? INFINITY
						: b->reward[i] / b->plays[i] +
							  sqrt(2 * log(all) / b->plays[i]);

		if (index > best) {
			best = index;
			arm = i;
		}
	}
	return arm;
}

/* On while it gets cheaper, else back. */
static unsigned next_climb(struct bandit *b, double per_byte)
{
	int next;

	if (b->before >= 0 && per_byte > b->before)
		b->direction = -b->direction;
	b->before = per_byte;
	next = (int)b->arm + b->direction;
	if (next < 0 || next >= ELO_ARMS) {
		b->direction = -b->direction;
		next = (int)b->arm;
	}
	return (unsigned)next;
}

static void observe_own(struct player *p, const struct reuse *r, const struct surroundings *around)
{
	struct bandit *b = &p->bandits[r->stamp.context];
	double pages = (double)r->faulted / 4096;
	double ns = pages * (model_fault_ns + model_purge_ns);
	uint32_t age;
	unsigned next;

	if (r->stamp.arm != b->arm)
		return;
	if (!b->events++)
		b->began_ms = r->now_ms;
	b->bytes += (double)r->bytes;
	b->cost += 0.4 * ns / around->c0_ns + 0.3 * (double)r->faulted +
		   0.3 * (double)r->idle * around->turnover;
	age = r->now_ms - b->began_ms;
	if (!(b->events >= WINDOW_EVENTS && age >= WINDOW_MS) &&
		!(b->events >= WINDOW_EVENTS_FEW && age >= WINDOW_MS_LONG))
		return;
	next = p->kind == PLAY_UCB1 ? next_ucb1(b, b->cost / b->bytes)
				    : next_climb(b, b->cost / b->bytes);
	p->changes += next != b->arm;
	b->arm = next;
	b->events = 0;
	b->bytes = b->cost = 0;
}

/* As in policy/choice.c: a stamp has the bin of a block, not its size. */
static void observe_all(struct player *p, const struct reuse *r)
{
	unsigned bin = estimate_bin(r->stamp.block);
	struct estimate_event event = {
		.block = bin < ELO_ARMS ? estimate_thresholds[bin]
					: 2 * estimate_thresholds[ELO_ARMS - 1],
		.bytes = r->bytes,
		.interval_ms = (int32_t)(r->now_ms - r->stamp.freed_ms),
	};

	if (learner_reused(p->learner, r->stamp.context, &event,
		    r->stamp.kept ? r->stamp.patience : PURGED, !r->faulted, r->now_ms))
		p->full |= (uint8_t)(1u << r->stamp.context);
}

void player_reused(struct player *p, const struct reuse *r, const struct surroundings *around)
{
	if (p->kind == PLAY_ELO)
		observe_all(p, r);
	else if (p->kind != PLAY_FIXED)
		observe_own(p, r, around);
}

void player_claimed(struct player *p, uint64_t bytes, uint64_t fresh, uint64_t in_use)
{
	if (p->kind == PLAY_ELO)
		learner_claimed(p->learner, 0, bytes, fresh, false, fresh ? in_use : 0);
}

void player_close(struct player *p, uint64_t in_use, uint32_t now_ms)
{
	for (unsigned i = 0; i < CONTEXTS; i++) {
		unsigned before = p->learner->contest[i].choice;

		if (!(p->full & 1u << i))
			continue;
		learner_close(p->learner, i, in_use, now_ms);
		p->changes += p->learner->contest[i].choice != before;
	}
	p->full = 0;
}
