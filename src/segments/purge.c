/*
 * purge.c: gives resident memory of the pools back to the kernel. The purger
 * owns what it purges (order table [S2]): it claims slices as any claimer
 * does, calls madvise over runs as long as they are, and frees them as clean.
 */
#include "base/check.h"
#include "base/options.h"
#include "base/os.h"
#include "numa/place.h"
#include "segments/map.h"
#include "segments/span.h"

#include <errno.h>

/* Slices won from neighbouring granules, purged with as few calls as possible. */
#define BATCH_GRANULES 32

struct batch {
	struct region *region;
	size_t count;
	size_t granule[BATCH_GRANULES];
	uint32_t mask[BATCH_GRANULES];
};

static size_t batch_take(struct batch *b, size_t g)
{
	struct region *r = b->region;
	uint64_t word = load_sc(&r->x_slices[g]); /* [S3] */
	uint64_t dirty;
	do {
		dirty = word & (word >> SLICES_DIRTY_SHIFT) & SLICES_ALL;
		if (!dirty)
			return 0;
	} while (!cas_weak_acq(
		&r->x_slices[g], &word, word & ~(dirty | dirty << SLICES_DIRTY_SHIFT))); /* [S2] */
	b->granule[b->count] = g;
	b->mask[b->count++] = (uint32_t)dirty;
	size_t bytes = (size_t)__builtin_popcountl(dirty) * SLICE_BYTES;
	sub_rlx(&nodes[r->node].x_dirty_bytes, bytes);
	return bytes;
}

static void publish(struct batch *b, bool purged)
{
	for (size_t i = 0; i < b->count; i++) {
		struct region *r = b->region;
		size_t g = b->granule[i];
		uint64_t word = b->mask[i], bit = (uint64_t)1 << (g % 64);
		if (!purged) {
			add_rlx(&nodes[r->node].x_dirty_bytes,
				(uint64_t)__builtin_popcountl(word) * SLICE_BYTES);
			word |= word << SLICES_DIRTY_SHIFT;
		}
		or_sc(&r->x_slices[g], word); /* [S2] [S3] */
		if (!purged)
			or_sc(&r->x_has_dirty[g / 64], bit);  /* [S3] */
		if (!(load_sc(&r->x_has_free[g / 64]) & bit)) /* [S3] */
			or_sc(&r->x_has_free[g / 64], bit);
	}
	b->count = 0;
}

/*
 * madvise over every maximal run of the batch; runs cross granules. Stops at
 * the first failure: what cannot be purged (locked memory) is all alike.
 */
static bool batch_purge(struct batch *b)
{
	uintptr_t from = 0, to = 0;
	for (size_t i = 0; i < b->count; i++) {
		uintptr_t base = b->region->base + b->granule[i] * GRANULE_BYTES;
		for (uint32_t left = b->mask[i]; left;) {
			unsigned first = (unsigned)__builtin_ctz(left);
			uint32_t rest = ~(left >> first);
			unsigned length = rest ? (unsigned)__builtin_ctz(rest) : GRANULE_SLICES;
			uintptr_t start = base + first * SLICE_BYTES;
			if (start != to) {
				if (from != to && !os_purge((void *)from, to - from))
					return false;
				from = start;
			}
			to = start + length * SLICE_BYTES;
			left &= (uint32_t) ~((((uint64_t)1 << length) - 1) << first);
		}
	}
	return from == to || os_purge((void *)from, to - from);
}

static bool batch_flush(struct batch *b)
{
	bool ok = batch_purge(b);
	publish(b, ok);
	return ok;
}

static size_t purge_region(struct region *r, size_t bytes, bool *ok)
{
	struct batch b = {.region = r};
	size_t taken = 0;
	for (size_t w = 0; w < REGION_WORDS && *ok; w++) {
		uint64_t bits = load_rlx(&r->x_has_dirty[w]);
		for (; bits && taken < bytes && *ok; bits &= bits - 1) {
			uint64_t bit = bits & -bits;
			/* Cleared first: slices freed after this set it again. */
			and_sc(&r->x_has_dirty[w], ~bit); /* [S3] */
			taken += batch_take(&b, w * 64 + (size_t)__builtin_ctzl(bits));
			if (b.count == BATCH_GRANULES)
				*ok = batch_flush(&b);
		}
	}
	if (b.count)
		*ok = batch_flush(&b) && *ok;
	return taken;
}

size_t span_purge(unsigned node, size_t bytes)
{
	size_t taken = 0;
	bool ok = true;
	for (unsigned kind = 0; kind < REGION_KINDS; kind++) {
		struct region *r = load_acq(&nodes[node].x_regions[kind]); /* [R1] */
		for (; r && taken < bytes && ok; r = load_acq(&r->x_next)) /* [R1] */
			taken += purge_region(r, bytes - taken, &ok);
	}
	/* Where purging fails, it is not tried again until much more has been freed. */
	store_rlx(&nodes[node].x_purge_floor, ok ? 0 : load_rlx(&nodes[node].x_dirty_bytes));
	return ok ? taken : 0;
}

void pool_trim(unsigned node)
{
	size_t most = place_keeps_nothing(node) ? 0 : load_rlx(&options.x_purge_bytes);
	size_t dirty = load_rlx(&nodes[node].x_dirty_bytes);
	if (likely(dirty <= most + load_rlx(&nodes[node].x_purge_floor)))
		return;
	int saved = errno;
	span_purge(node, dirty - most / 2);
	errno = saved;
}
