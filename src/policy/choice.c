/*
 * choice.c: see choice.h. A stamp is the time in ms (23 bits, wraps after two
 * hours), how long the block stays, or whether it was to be purged, the class of its
 * site, and its size.
 */
#include "policy/choice.h"

#include "base/os.h"
#include "base/rcu.h"
#include "policy/file.h"
#include "policy/share.h"

#include <errno.h>

#define STAMP_MS_SHIFT 9
#define STAMP_PATIENCE_SHIFT 7
#define STAMP_PATIENCE_MASK 3u
#define STAMP_PURGED ((uint32_t)1 << 6)
#define STAMP_CONTEXT_SHIFT 4
#define STAMP_BIN_MASK 15u

/* Windows after which what was learned is merged. */
#define MERGE_WINDOWS 8

static _Thread_local struct learner *tls_learner;   /* own */
static _Thread_local uint8_t tls_full, tls_windows; /* own: contexts to close; not merged */
static _Thread_local bool tls_ended;                /* own: no learner any more */
/* own: the learner is in use; a signal handler that interrupts that learns nothing */
static _Thread_local bool tls_learning;
/* own: the block freed last, and when purging ended if that free came to purge */
static _Thread_local struct {
	uint32_t stamp, end_ms;
	bool purged;
} last;

/* own: what was claimed last had been given back for so long; -1: not known */
static _Thread_local int32_t away_ms = -1;

/* Both are 23 bits wide, and so is what lies between them, with its sign. */
static int32_t since(uint32_t now_ms, uint32_t stamp)
{
	uint32_t ms = (now_ms << STAMP_MS_SHIFT) - (stamp >> STAMP_MS_SHIFT << STAMP_MS_SHIFT);
	return (int32_t)ms >> STAMP_MS_SHIFT;
}

static bool keeps(unsigned node, unsigned context, unsigned bin, size_t bytes)
{
	struct learner *l = tls_learning ? NULL : tls_learner;
	size_t policy = load_rlx(&options.x_policy);
	if (policy >= POLICY_FIXED)
		return bin <= policy - POLICY_FIXED;
	/* What others learned, while this thread has seen nothing come back. */
	if (!l || !l->contest[context].record.windows)
		return bin <= share_choice(node, context);
	if (policy == POLICY_FROZEN)
		return bin <= l->contest[context].choice;
	return contest_keeps(&l->contest[context], bin, bytes);
}

static uint32_t stamp_patience(uint32_t stamp)
{
	return stamp >> STAMP_PATIENCE_SHIFT & STAMP_PATIENCE_MASK;
}

bool choice_hurries(uint32_t stamp)
{
	return stamp_patience(stamp) != 0;
}

bool choice_is_over(uint32_t stamp, uint32_t now_ms)
{
	unsigned number = stamp_patience(stamp);
	return number && since(now_ms, stamp) >= (int32_t)patience_ms(number, 0);
}

enum site_class choice_of(unsigned node, unsigned site, size_t bytes, uint32_t *stamp)
{
	*stamp = 0;
	if (likely(!choice_decides(bytes)))
		return site_free(site, site ? os_now_ms() : 0);
	uint32_t now = os_now_ms();
	enum site_class context = site_free(site, now), class = context;
	unsigned bin = estimate_bin(bytes);
	/* Too large for any strategy: what is not fixed is left to the site. */
	if (bin < ELO_ARMS || load_rlx(&options.x_policy) >= POLICY_FIXED)
		class = keeps(node, context, bin, bytes) ? SITE_HOT : SITE_COLD;
	/* Frozen, it says how long the block stays, and nobody learns from it. */
	if (choice_learns() || load_rlx(&options.x_policy) == POLICY_FROZEN)
		*stamp = now << STAMP_MS_SHIFT |
			 (class == SITE_COLD ? STAMP_PURGED
					     : patience_of(&patience_now, bin)
						       << STAMP_PATIENCE_SHIFT) |
			 (uint32_t)context << STAMP_CONTEXT_SHIFT | (bin + 1);
	last.stamp = *stamp;
	last.purged = false;
	return class;
}

bool choice_has_learned(void)
{
	return choice_learns() && learner_count() > 0;
}

/* From the first big block on. */
static COLD struct learner *begin(unsigned node)
{
	int saved = errno;
	struct learner *l = learner_get();
	if (l)
		share_begin(l, node);
	tls_learner = l;
	errno = saved;
	return l;
}

/* This thread's learner, in use until it is left; or NULL. */
static struct learner *enter(unsigned node)
{
	if (unlikely(tls_learning))
		return NULL;
	tls_learning = true;
	compiler_barrier();
	struct learner *l = likely(tls_learner || tls_ended) ? tls_learner : begin(node);
	if (!l)
		tls_learning = false;
	return l;
}

static void leave(void)
{
	compiler_barrier();
	tls_learning = false;
}

/* What this thread spent on purging the block itself is none of it. */
static int32_t interval(uint32_t now, uint32_t stamp)
{
	if (last.purged && stamp == last.stamp)
		stamp = last.end_ms << STAMP_MS_SHIFT;
	return since(now, stamp);
}

/* What came back at once, of one kind, is added up to one event while there is much of it. */
#define EVENTS_PER_TICK 8
#define KIND_MASK (((uint32_t)1 << STAMP_MS_SHIFT) - 1)
static _Thread_local struct {
	uint32_t kind, count, most; /* of the stamp; reuses added up, and how many may be */
	uint32_t ms, events;        /* the tick of the clock, and reuses in it */
	size_t bytes;
	bool huge, resident;
} same; /* own */

static void observe(uint32_t kind, size_t bytes, int32_t ms, bool huge, bool resident, uint32_t now)
{
	struct learner *l = tls_learner;
	unsigned bin = (kind & STAMP_BIN_MASK) - 1, context = kind >> STAMP_CONTEXT_SHIFT & 3;
	struct estimate_event e = {
		.block = estimate_bin_bytes(bin),
		.bytes = bytes,
		.interval_ms = ms,
		.huge = huge,
	};
	bool kept = !(kind & STAMP_PURGED);
	if (learner_reused(
		    l, context, &e, kept ? (int)stamp_patience(kind) : PURGED, resident, now))
		tls_full |= (uint8_t)(1u << context);
}

static void flush_same(uint32_t now)
{
	if (same.count)
		observe(same.kind, same.bytes, 0, same.huge, same.resident, now);
	same.count = 0;
	same.bytes = 0;
}

/* True: it is added up with others. */
static bool add_up(uint32_t kind, size_t bytes, bool huge, bool resident, uint32_t now)
{
	if (now != same.ms) {
		same.most = same.events / EVENTS_PER_TICK;
		same.ms = now;
		same.events = 0;
	}
	same.events++;
	if (kind != same.kind || huge != same.huge || resident != same.resident) {
		flush_same(now);
		same.kind = kind;
		same.huge = huge;
		same.resident = resident;
	}
	same.bytes += bytes;
	return ++same.count < same.most;
}

/* When it was given back is known about: as estimates have it. */
static int32_t away(uint32_t stamp, int32_t ms)
{
	uint32_t keep = (uint32_t)load_rlx(&options.x_purge_delay_ms);
	if (stamp & STAMP_PURGED)
		return ms;
	return ms - (int32_t)patience_ms(stamp_patience(stamp), keep + keep / 2);
}

void choice_claims(void)
{
	away_ms = -1;
}

void choice_touched(size_t huge_bytes, uint64_t ns)
{
	world_touched(&world_now, huge_bytes, ns, away_ms);
}

void choice_reused(unsigned node, uint32_t stamp, size_t bytes, bool huge, bool resident)
{
	if (!enter(node))
		return;
	uint32_t now = os_now_ms(), kind = stamp & KIND_MASK;
	int32_t ms = interval(now, stamp);
	if (unlikely(huge && !resident && away_ms < 0))
		away_ms = away(kind, ms);
	if (ms)
		observe(kind, bytes, ms, huge, resident, now);
	else if (!add_up(kind, bytes, huge, resident, now))
		flush_same(now);
	leave();
}

bool choice_claimed(unsigned node, size_t bytes, size_t clean, bool huge, size_t in_use)
{
	struct learner *l = enter(node);
	if (!l)
		return false;
	learner_claimed(l, node, bytes, clean, huge, in_use);
	leave();
	return tls_full;
}

void choice_close(size_t in_use)
{
	uint32_t now = os_now_ms();
	bool changed = false;
	int saved = errno;
	if (tls_learning)
		return;
	tls_learning = true;
	compiler_barrier();
	for (; tls_full; tls_full &= (uint8_t)(tls_full - 1), tls_windows++)
		changed |=
			learner_close(tls_learner, (unsigned)__builtin_ctz(tls_full), in_use, now);
	if (changed)
		policy_file_settled();
	if ((changed || tls_windows >= MERGE_WINDOWS) && share_merge(tls_learner))
		tls_windows = 0;
	leave();
	errno = saved;
}

void choice_purged(size_t bytes, bool huge, uint64_t ns)
{
	last.purged = true;
	last.end_ms = os_now_ms();
	if (!huge)
		world_purged(&world_now, bytes, ns);
}

void choice_thread_end(void)
{
	struct learner *l = tls_learner;
	if (l && !tls_learning)
		flush_same(os_now_ms());
	tls_ended = true;
	tls_learner = NULL;
	tls_full = 0;
	if (!l || tls_learning) /* a handler has ended the thread */
		return;
	rcu_thread_start(); /* it may have begun before anybody had learned */
	share_merge(l);
	learner_put(l);
}
