/*
 * purge.c: see purge.h. The dirty bits of the pools are the queue of what may
 * be purged: freeing adds to it, a claim cancels by taking the bit, and both
 * cost nothing more than they would without it. The purger owns what it
 * purges (order table [S2], [G1]): it claims slices as any claimer does,
 * gathers a batch, calls madvise over runs as long as they are, and frees them
 * as clean. A thread stopped here strands one batch.
 *
 * Claims prefer low addresses, so purging begins at the high ones: what is
 * wanted again soon is purged last.
 */
#include "segments/purge.h"

#include "base/check.h"
#include "base/options.h"
#include "base/os.h"
#include "numa/place.h"
#include "policy/choice.h"
#include "policy/clock.h"
#include "policy/limit.h"
#include "segments/granule.h"
#include "segments/guard.h"
#include "segments/map.h"
#include "segments/region.h"
#include "segments/span.h"

#include <errno.h>

/* Of one batch; and a word of slices adds at most so many runs. */
#define RANGES_MAX 128
#define RUNS_MAX (GRANULE_SLICES / 2)

/* The bound in bytes is so much wider while there is a helper thread, or use swings. */
#define WIDE_TIMES 4

/* Huge pages are split where they would keep this share more than the bound. */
#define SPLIT_SHARE 4

/* Batches between two attempts that cannot take enough. */
#define TRIM_BATCHES 4

/*
 * Memory that the program has locked cannot be purged. When so many batches of it
 * were met, and more than could be purged, a purge ends: all of it may be locked.
 */
#define KEPT_BATCHES 2

/* Slices of one granule; small, because a batch lies on the stack of whoever frees. */
struct won {
	uint32_t granule; /* its address in granules */
	uint32_t mask;    /* of its slices */
};

struct batch {
	unsigned node;
	bool failed;
	size_t count, bytes, runs;
	size_t kept, purged; /* bytes of the batches before that stayed and went */
	struct won won[RANGES_MAX];
};

void pool_claimed(unsigned node, size_t dirty, size_t clean)
{
	if (clean)
		add_rlx(&nodes[node].x_fresh, clean);
	pool_taken(node, dirty, clean);
}

void pool_taken(unsigned node, size_t dirty, size_t clean)
{
	struct node *n = &nodes[node];
	if (clean)
		add_rlx(&n->x_resident, clean);
	if (!dirty)
		return;
	uint64_t left = sub_rlx(&n->x_dirty_bytes, dirty) - dirty;
	if (left < load_rlx(&n->x_dirty_low))
		store_rlx(&n->x_dirty_low, left);
}

size_t pool_in_use_all(void)
{
	size_t bytes = 0;
	for (unsigned node = 0; node < topology_nodes(); node++)
		bytes += pool_in_use(&nodes[node]);
	return bytes;
}

static char *won_start(const struct won *w)
{
	return (char *)((uintptr_t)w->granule << GRANULE_SHIFT);
}

void pool_classify(struct region *r, size_t word, uint32_t mask, enum site_class class)
{
	if (likely(class == SITE_HOT)) {
		if (unlikely(load_rlx(&r->x_due[word]) & mask))
			and_rlx(&r->x_due[word], ~mask);
		return;
	}
	size_t unit = r->kind & REGION_WHALES ? GRANULE_BYTES : SLICE_BYTES;
	struct node *n = &nodes[r->node];
	or_rlx(&r->x_due[word], mask);
	store_rlx(&n->x_has_due, true);
	if (class == SITE_COLD)
		add_rlx(&n->x_due_bytes, (size_t)__builtin_popcount(mask) * unit);
}

/* Appends a run, or lengthens the last one. */
static size_t add_run(struct iovec *ranges, size_t count, char *start, size_t bytes)
{
	struct iovec *last = count ? &ranges[count - 1] : NULL;
	if (last && (char *)last->iov_base + last->iov_len == start) {
		last->iov_len += bytes;
		return count;
	}
	ranges[count] = (struct iovec){start, bytes};
	return count + 1;
}

static size_t won_bytes(const struct won *w)
{
	return (size_t)__builtin_popcount(w->mask) * SLICE_BYTES;
}

/* They were gathered downwards; their runs are wanted upwards, so that they meet. */
static bool won_purge(const struct won *won, size_t n)
{
	struct iovec ranges[RANGES_MAX];
	size_t count = 0;
	for (size_t i = n; i-- > 0;) {
		for (uint32_t left = won[i].mask; left;) {
			unsigned first = (unsigned)__builtin_ctz(left);
			uint32_t rest = ~(left >> first);
			unsigned length = rest ? (unsigned)__builtin_ctz(rest) : GRANULE_SLICES;
			count = add_run(ranges, count, won_start(&won[i]) + first * SLICE_BYTES,
				length * SLICE_BYTES);
			left &= (uint32_t) ~((((uint64_t)1 << length) - 1) << first);
		}
	}
	return os_purge_ranges(ranges, count);
}

static void won_publish(const struct won *w, bool dirty)
{
	struct region *r = map_region(won_start(w));
	size_t granule = ((uintptr_t)won_start(w) - r->base) / GRANULE_BYTES;
	if (r->kind & REGION_WHALES)
		granules_publish(r, granule, 1, dirty);
	else
		slices_publish(r, granule, w->mask, dirty);
}

static void batch_publish(const struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		won_publish(&b->won[i], false);
}

/* Some of it could not be purged: one by one, so that the rest is. */
static void batch_retry(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		const struct won *w = &b->won[i];
		bool clean = b->count > 1 && won_purge(w, 1);
		if (clean)
			sub_rlx(&nodes[b->node].x_resident, won_bytes(w));
		*(clean ? &b->purged : &b->kept) += won_bytes(w);
		won_publish(w, !clean);
	}
	b->failed =
		b->kept > b->purged && b->kept >= KEPT_BATCHES * load_rlx(&options.x_batch_bytes);
}

/* The call is timed where somebody learns from it. */
static bool batch_purge(const struct batch *b)
{
	struct region *r = map_region(won_start(&b->won[0]));
	bool timed = choice_learns();
	uint64_t before = timed ? os_now_ns() : 0;
	bool purged = won_purge(b->won, b->count);
	if (timed && purged)
		choice_purged(b->bytes, r->kind & REGION_HUGE, os_now_ns() - before);
	return purged;
}

static void batch_flush(struct batch *b)
{
	if (!b->count)
		return;
	if (PLANT_PURGE_ORDER)
		batch_publish(b);
	if (batch_purge(b)) {
		sub_rlx(&nodes[b->node].x_resident, b->bytes);
		b->purged += b->bytes;
		if (!PLANT_PURGE_ORDER)
			batch_publish(b);
	} else if (!PLANT_PURGE_ORDER) {
		batch_retry(b);
	}
	b->count = b->bytes = b->runs = 0;
}

static void batch_add(struct batch *b, struct region *r, size_t granule, uint32_t mask)
{
	uint32_t number = (uint32_t)((r->base >> GRANULE_SHIFT) + granule);
	b->won[b->count++] = (struct won){number, mask};
	b->bytes += won_bytes(&b->won[b->count - 1]);
	b->runs += (size_t)__builtin_popcount(mask & ~(mask << 1));
	if (b->bytes >= load_rlx(&options.x_batch_bytes) ||
		b->runs + RUNS_MAX > load_rlx(&options.x_batch_ranges))
		batch_flush(b);
}

static unsigned last_bit(uint64_t bits)
{
	return 63u - (unsigned)__builtin_clzl(bits);
}

/* What a purge looks for. */
struct wanted {
	size_t bytes;
	enum split split;
	bool due;        /* only what sites have marked */
	uint32_t now_ms; /* only what has been kept for long enough until then; 0: all */
};

static uint32_t among(const struct wanted *want, struct region *r, size_t word)
{
	if (want->now_ms)
		return granules_over(r, word, want->now_ms);
	return want->due ? load_rlx(&r->x_due[word]) : (uint32_t)SLICES_ALL;
}

static size_t take_slices(
	struct batch *b, const struct wanted *want, struct region *r, size_t word, bool whole)
{
	uint64_t bits = load_rlx(&r->x_has_dirty[word]);
	size_t taken = 0;
	for (; bits && taken < want->bytes && !b->failed;
		bits &= ~((uint64_t)1 << last_bit(bits))) {
		size_t g = word * 64 + last_bit(bits);
		uint32_t mask = slices_claim_dirty(r, g, among(want, r, g), whole);
		taken += (size_t)__builtin_popcount(mask) * SLICE_BYTES;
		if (mask)
			batch_add(b, r, g, mask);
	}
	return taken;
}

static size_t take_granules(
	struct batch *b, const struct wanted *want, struct region *r, size_t word)
{
	size_t taken = 0;
	/* Each once: others may free granules as fast as they are purged; some may be locked. */
	uint32_t untried = among(want, r, word);
	while (taken < want->bytes && !b->failed) {
		size_t room = load_rlx(&options.x_batch_bytes) - b->bytes;
		size_t most = max_size(min_size(room, want->bytes - taken) / GRANULE_BYTES, 1);
		uint32_t mask = granules_claim_dirty(r, word, untried, (unsigned)most);
		if (!mask)
			break;
		untried &= ~mask;
		for (; mask; mask &= ~((uint32_t)1 << last_bit(mask))) {
			batch_add(
				b, r, word * GRANULE_SLICES + last_bit(mask), (uint32_t)SLICES_ALL);
			taken += GRANULE_BYTES;
		}
	}
	return taken;
}

static void purge_region(struct batch *b, struct wanted *want, struct region *r)
{
	bool whales = r->kind & REGION_WHALES;
	bool whole = !whales && !region_may_split(r, want->split);
	size_t word = whales ? REGION_WORDS_WHALES : REGION_WORDS;
	while (word-- > 0 && want->bytes && !b->failed) {
		size_t taken = whales ? take_granules(b, want, r, word)
				      : take_slices(b, want, r, word, whole);
		want->bytes -= min_size(taken, want->bytes);
	}
}

static size_t purge(unsigned node, struct wanted want)
{
	struct batch b = {.node = node};
	/* Only whales have stamps that tell for certain. */
	unsigned step = want.now_ms ? REGION_HUGE : 1;
	for (unsigned kind = want.now_ms ? REGION_WHALES : 0; kind < REGION_KINDS; kind += step) {
		struct region *r = load_acq(&nodes[node].x_regions[kind]);     /* [R1] */
		for (; r && want.bytes && !b.failed; r = load_acq(&r->x_next)) /* [R1+] */
			purge_region(&b, &want, r);
	}
	batch_flush(&b);
	/* Where purging fails, it is not tried again until much more has been freed. */
	store_rlx(&nodes[node].x_purge_floor, b.failed ? load_rlx(&nodes[node].x_dirty_bytes) : 0);
	return b.failed ? 0 : b.purged;
}

size_t pool_purge(unsigned node, size_t bytes, enum split split)
{
	return purge(node, (struct wanted){.bytes = bytes, .split = split});
}

static size_t purge_due(struct node *n)
{
	store_rlx(&n->x_has_due, false);
	store_rlx(&n->x_due_bytes, 0);
	return purge((unsigned)(n - nodes), (struct wanted){.bytes = SIZE_MAX, .due = true});
}

/*
 * The option's bytes, and a share of what the node has in use. While the helper
 * runs, age decides, and bytes are only the last resort: a program that frees
 * and takes a lot all the time must not pay for page faults. Without the helper
 * nothing has an age: a program is known to be of that kind when it takes as much
 * memory anew as a trim has purged.
 */
static size_t pool_bound(const struct node *n)
{
	uint32_t state = load_rlx(&clock_now.x_state);
	bool wide = state == CLOCK_ASLEEP || state == CLOCK_TICKING || load_rlx(&n->x_swings);
	size_t bytes = load_rlx(&options.x_purge_bytes) * (wide ? WIDE_TIMES : 1);
	return bytes + pool_in_use(n) / 100 * load_rlx(&options.x_purge_percent) +
	       load_rlx(&n->x_purge_floor);
}

/*
 * Huge pages are purged whole; when that leaves much more than the bound, those
 * in regions that serve little are split. What stays is not looked at again before
 * a few more batches have been freed.
 */
static void trim(unsigned node, size_t dirty, size_t bound)
{
	size_t batch = load_rlx(&options.x_batch_bytes);
	size_t taken = pool_purge(node, max_size(dirty - bound, batch), SPLIT_NEVER);
	size_t left = dirty - min_size(taken, dirty);
	store_rlx(&nodes[node].x_trim_purged, taken);
	store_rlx(&nodes[node].x_trim_fresh, load_rlx(&nodes[node].x_fresh));
	if (left > bound + bound / SPLIT_SHARE)
		left -= min_size(pool_purge(node, left - bound, SPLIT_IDLE), left);
	store_rlx(&nodes[node].x_trim_again, left > bound ? left + TRIM_BATCHES * batch : 0);
}

/* Looks, before the next trim, at what became of the last one. */
static size_t bound_again(struct node *n)
{
	uint64_t purged = load_rlx(&n->x_trim_purged);
	uint64_t fresh = load_rlx(&n->x_fresh) - load_rlx(&n->x_trim_fresh);
	store_rlx(&n->x_swings, purged && fresh >= purged);
	return pool_bound(n);
}

void pool_trim(unsigned node)
{
	struct node *n = &nodes[node];
	bool keep = !place_keeps_nothing(node);
	if (unlikely(load_rlx(&n->x_due_bytes) >= load_rlx(&options.x_batch_bytes))) {
		int saved = errno;
		purge_due(n);
		errno = saved;
	}
	size_t dirty = load_rlx(&n->x_dirty_bytes);
	if (likely(keep && dirty <= load_rlx(&options.x_purge_bytes)))
		return;
	size_t bound = keep ? pool_bound(n) : load_rlx(&n->x_purge_floor);
	if (dirty <= bound) {
		if (load_rlx(&n->x_trim_again))
			store_rlx(&n->x_trim_again, 0);
		return;
	}
	if (dirty <= load_rlx(&n->x_trim_again))
		return;
	if (keep && dirty <= (bound = bound_again(n)))
		return;
	int saved = errno;
	trim(node, dirty, bound);
	errno = saved;
}

static size_t resident(void)
{
	size_t bytes = guard_resident();
	for (unsigned node = 0; node < topology_nodes(); node++)
		bytes += load_rlx(&nodes[node].x_resident);
	return bytes;
}

static COLD bool grow_limited(size_t bytes)
{
	size_t now = resident();
	if (now + bytes > limit_soft()) {
		int saved = errno;
		for (unsigned node = 0; node < topology_nodes(); node++)
			if (load_rlx(&nodes[node].x_dirty_bytes))
				pool_purge(node, SIZE_MAX, SPLIT_ALWAYS);
		now = resident();
		errno = saved;
	}
	if (now + bytes <= limit_hard())
		return true;
	errno = ENOMEM;
	return false;
}

bool pool_may_grow(size_t bytes)
{
	return likely(!limit_exists()) || grow_limited(bytes);
}

bool pool_has_overgrown(void)
{
	return unlikely(limit_exists()) && resident() > limit_hard();
}

bool pool_is_idle(unsigned node)
{
	struct node *n = &nodes[node];
	uint64_t kept = load_rlx(&n->x_dirty_kept), floor = load_rlx(&n->x_purge_floor);
	return load_sc(&n->x_dirty_bytes) > max_size(kept, floor) ||      /* [T1] */
	       load_sc(&n->x_untrimmed) > load_rlx(&n->x_untrimmed_kept); /* [T1] */
}

bool pool_hurries(unsigned node)
{
	return load_rlx(&nodes[node].x_hurries);
}

void pool_hurry(unsigned node)
{
	uint32_t now = os_now_ms();
	store_rlx(&nodes[node].x_hurries, false);
	purge(node, (struct wanted){.bytes = SIZE_MAX, .now_ms = now ? now : 1});
}

void pool_tick(unsigned node)
{
	struct node *n = &nodes[node];
	size_t taken = load_rlx(&n->x_has_due) ? purge_due(n) : 0;
	size_t low = load_rlx(&n->x_dirty_low);
	if (low > load_rlx(&n->x_purge_floor))
		taken += pool_purge(node, low, SPLIT_IDLE);
	store_rlx(&n->x_dirty_kept, low - min_size(taken, low));
	store_rlx(&n->x_dirty_low, load_rlx(&n->x_dirty_bytes));
	/* There may be huge pages now that serve too little to be kept for their pages. */
	if (taken)
		store_rlx(&n->x_untrimmed_kept, 0);
}
