/*
 * stress_protocol_granules: the node's granules of big blocks alone [G1].
 * Threads claim runs of granules, also runs that lie in several words, let them
 * grow at their end, give back all or the tail of them, dirty or purged, and
 * purge meanwhile, one of them often. No granule may have two owners, a run that
 * is said to be zero is zero, what its owner wrote stays until the free, and
 * when all are quiet every granule and every resident byte is accounted for.
 */
#include "protocol.h"

#include "base/os.h"
#include "segments/granule.h"
#include "segments/map.h"
#include "segments/purge.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum {
	HELD = 10, /* runs of one thread */
	REGIONS = 32,
	OS_PAGE = 4096,
	RUN_MAX = WHALE_REGION_MAX / GRANULE_BYTES,
	RUNS_BYTES_MAX = 64, /* granules of one thread, about: address space, little memory */
};

/* Pages of a granule that are written: at its ends, and where slices meet. */
static const size_t used_pages[] = {
	0, SLICE_BYTES / OS_PAGE - 1, SLICE_BYTES / OS_PAGE, GRANULE_BYTES / OS_PAGE - 1};
enum { USED_PAGES = sizeof used_pages / sizeof *used_pages };

struct run {
	char *start;
	size_t count; /* granules */
	uint64_t tag;
};

struct bundle {
	size_t count, granules;
	struct run held[HELD];
};

static mark owners[REGIONS][REGION_GRANULES];
static struct region *_Atomic regions[REGIONS];
static _Atomic(uint64_t) owned; /* relaxed; granules that threads hold */

/* In every other round memory is left alone, so that threads meet in the words more often. */
static bool touches(const struct worker *w)
{
	return w->round % 2 == 1;
}

/* And in some of them all want the same few granules. */
static bool quarrels(const struct worker *w)
{
	return w->round % 4 == 2;
}

static size_t index_of(const char *granule)
{
	return ((uintptr_t)granule & (REGION_BYTES - 1)) / GRANULE_BYTES;
}

static mark *owner_of(const char *granule)
{
	struct region *r = map_region(granule);

	for (unsigned i = 0; r != NULL && i < REGIONS; i++) {
		struct region *seen = NULL;

		atomic_compare_exchange_strong_explicit(
			&regions[i], &seen, r, memory_order_relaxed, memory_order_relaxed);
		if (seen == NULL || seen == r)
			return &owners[i][index_of(granule)];
	}
	fail("granule at %p lies in no region, or in more than %d", (const void *)granule, REGIONS);
}

/* What the owner of `tag` writes: one word of each used page, at one end of it or the other. */
static uint64_t *word_at(const struct run *run, size_t granule, size_t n)
{
	uint64_t x = (run->tag + granule * USED_PAGES + n) * 0x9e3779b97f4a7c15u;
	char *page = run->start + granule * GRANULE_BYTES + used_pages[n] * OS_PAGE;

	return (uint64_t *)(x >> 63 ? page : page + OS_PAGE - sizeof x);
}

static void check_zero(const char *granule)
{
	for (size_t n = 0; n < USED_PAGES; n++) {
		const uint64_t *low = (const uint64_t *)(granule + used_pages[n] * OS_PAGE);
		const uint64_t *high = low + OS_PAGE / sizeof *low - 1;

		if ((*low | *high) != 0)
			fail("granule %p is said to be zero and is not", (const void *)granule);
	}
}

/* The granules from index `from` of the run were just claimed. Plain writes to them and to
 * their descriptors: ThreadSanitizer checks their order. */
static void own(struct worker *w, struct run *run, size_t from, bool zero)
{
	for (size_t i = from; i < run->count; i++) {
		char *granule = run->start + i * GRANULE_BYTES;

		mark_take(owner_of(granule), w, "granule", index_of(granule));
		map_slice(map_region(granule), granule)->start = granule;
		if (!touches(w))
			continue;
		if (zero)
			check_zero(granule);
		for (size_t n = 0; n < USED_PAGES; n++)
			*word_at(run, i, n) = run->tag;
	}
	atomic_fetch_add_explicit(&owned, run->count - from, memory_order_relaxed);
}

/* Under ThreadSanitizer a purge writes to every page: shorter runs, which meet as often. */
static size_t choose_count(struct worker *w)
{
	unsigned kind = (unsigned)random_below(w, TSAN ? 400 : 100);

	if (quarrels(w))
		return 1;
	if (kind >= 90 && kind < 100)
		return 1 + random_below(w, RUN_MAX / (TSAN ? 2 : 1));
	return 1 + random_below(w, kind < 30 ? 20 : 3);
}

/* False when others took what was grown for this: the library maps a whale of its own then. */
static bool claim(struct worker *w, struct run *run)
{
	size_t align = random_chance(w, 70) ? 1 : (size_t)1 << random_below(w, 6);
	unsigned kind = REGION_WHALES | (random_chance(w, HAK_TINY ? 10 : 2) ? REGION_HUGE : 0);
	bool zero;

	run->count = choose_count(w);
	errno = 0;
	run->start = granules_claim(0, kind, run->count, align, &zero);
	if (run->start == NULL) {
		if (errno != ENOMEM)
			fail("no run of %zu granules, and errno %d", run->count, errno);
		return false;
	}
	if ((uintptr_t)run->start % (align * GRANULE_BYTES) != 0 ||
		index_of(run->start) + run->count > REGION_GRANULES ||
		!(map_region(run->start)->kind & REGION_WHALES))
		fail("%zu granules aligned to %zu came at %p", run->count, align,
			(void *)run->start);
	run->tag = (uint64_t)w->id << 40 | w->serial++;
	own(w, run, 0, zero);
	return true;
}

static void grow(struct worker *w, struct run *run)
{
	size_t more = choose_count(w), old = run->count;
	bool zero;

	if (old + more > RUN_MAX ||
		!granules_claim_at(run->start + old * GRANULE_BYTES, more, &zero))
		return;
	if (index_of(run->start) + old + more > REGION_GRANULES)
		fail("a run of %zu granules at %p grew by %zu, beyond its region", old,
			(void *)run->start, more);
	run->count += more;
	own(w, run, old, zero);
}

/* Gives back the granules of the run from `from` on. */
static void release(struct worker *w, struct run *run, size_t from)
{
	size_t count = run->count - from;
	char *start = run->start + from * GRANULE_BYTES;
	bool dirty = random_chance(w, TSAN ? 98 : 90);

	for (size_t i = from; i < run->count; i++) {
		char *granule = run->start + i * GRANULE_BYTES;

		for (size_t n = 0; touches(w) && n < USED_PAGES; n++)
			if (*word_at(run, i, n) != run->tag)
				fail("granule %p: %#llx became %#llx while it was owned",
					(void *)granule, (unsigned long long)run->tag,
					(unsigned long long)*word_at(run, i, n));
		if (map_slice(map_region(granule), granule)->start != granule)
			fail("descriptor of granule %p was overwritten", (void *)granule);
		mark_drop(owner_of(granule), w, "granule", index_of(granule));
	}
	if (!dirty && !os_purge(start, count * GRANULE_BYTES))
		fail("madvise over %zu granules: %s", count, strerror(errno));
	run->count = from;
	atomic_fetch_sub_explicit(&owned, count, memory_order_relaxed);
	granules_free(start, count, dirty, SITE_HOT);
}

struct sums {
	uint64_t committed, free, dirty; /* granules */
};

static void check_region(struct region *r, struct sums *sums)
{
	for (size_t word = 0; word < REGION_WORDS_WHALES; word++) {
		uint64_t both = load_rlx(&r->x_slices[word]);
		uint64_t free = both & SLICES_ALL, dirty = both >> SLICES_DIRTY_SHIFT;

		if (dirty & ~free)
			fail("word %zu: %08x are dirty, of which only %08x are free", word,
				(uint32_t)dirty, (uint32_t)free);
		sums->free += (uint64_t)__builtin_popcountll(free);
		sums->dirty += (uint64_t)__builtin_popcountll(dirty);
	}
	sums->committed += load_rlx(&r->x_committed);
}

static struct region *first_region(unsigned huge)
{
	return load_acq(&nodes[0].x_regions[REGION_WHALES | huge]);
}

/* All threads are quiet, and some hold runs. */
static void check_pool(void)
{
	struct sums sums = {0};

	for (unsigned huge = 0; huge <= REGION_HUGE; huge += REGION_HUGE)
		for (struct region *r = first_region(huge); r != NULL; r = load_acq(&r->x_next))
			check_region(r, &sums);
	uint64_t dirty = sums.dirty, committed = sums.committed, free = sums.free;
	uint64_t held = load_rlx(&owned);
	if (committed - free != held)
		fail("threads hold %llu granules, %llu are not in the pool",
			(unsigned long long)held, (unsigned long long)(committed - free));
	if (load_rlx(&nodes[0].x_dirty_bytes) != dirty * GRANULE_BYTES)
		fail("%llu bytes are counted as dirty, %llu are",
			(unsigned long long)load_rlx(&nodes[0].x_dirty_bytes),
			(unsigned long long)(dirty * GRANULE_BYTES));
	if (load_rlx(&nodes[0].x_resident) != (held + dirty) * GRANULE_BYTES)
		fail("%llu bytes are counted as resident, %llu are held or dirty",
			(unsigned long long)load_rlx(&nodes[0].x_resident),
			(unsigned long long)((held + dirty) * GRANULE_BYTES));
}

static void step(struct worker *w, struct bundle *b)
{
	struct run *run = b->count > 0 ? &b->held[random_below(w, b->count)] : NULL;
	size_t before = run != NULL ? run->count : 0;
	if (random_chance(w, w->id == 0 ? 8 : 1))
		pool_purge(0, random_size(w, 1, (TSAN ? 4 : 32) * GRANULE_BYTES), SPLIT_ALWAYS);
	size_t most = quarrels(w) ? 1 : HELD;

	if (b->count < most && b->granules < RUNS_BYTES_MAX &&
		(b->count == 0 || random_chance(w, 45))) {
		run = &b->held[b->count];
		before = 0;
		if (!claim(w, run))
			return;
		b->count++;
	} else if (random_chance(w, 20) && b->granules < RUNS_BYTES_MAX) {
		grow(w, run);
	} else {
		release(w, run, random_chance(w, 30) ? random_below(w, before) : 0);
	}
	b->granules += run->count - before;
	if (run->count == 0)
		*run = b->held[--b->count];
}

/* Mostly a few steps between quiet moments, at times many. */
static void work(struct worker *w)
{
	struct bundle b = {.count = 0};

	for (size_t n = effort(touches(w) ? 200 : TSAN ? 500 : 2000); n > 0; n--) {
		size_t most = random_chance(w, 5) ? 100 : 10;

		for (size_t steps = 1 + random_below(w, most); steps > 0; steps--)
			step(w, &b);
		meet();
		if (w->id == 0)
			check_pool();
		meet();
	}
	while (b.count > 0)
		release(w, &b.held[--b.count], 0);
}

static void before(void)
{
	hak_option_set("purge_bytes", HAK_TINY ? "16M" : "64M");
	hak_option_set("purge_percent", "0");
}

static void check_absent(struct region *r)
{
	static unsigned char present[REGION_BYTES / OS_PAGE];
	size_t pages = load_rlx(&r->x_committed) * (GRANULE_BYTES / OS_PAGE);

	if (mincore((void *)r->base, pages * OS_PAGE, present) != 0)
		fail("mincore: %s", strerror(errno));
	for (size_t i = 0; i < pages; i++)
		if (present[i] & 1)
			fail("page %zu of granule %zu was purged and is resident",
				i % (GRANULE_BYTES / OS_PAGE), i / (GRANULE_BYTES / OS_PAGE));
}

/*
 * Nothing stays in memory once all of it is purged. But for huge pages of several
 * granules, of which the kernel fills all when one is touched.
 */
static void check_purged(void)
{
	pool_purge(0, SIZE_MAX, SPLIT_ALWAYS);
	if (load_rlx(&nodes[0].x_dirty_bytes) != 0)
		fail("%llu bytes are dirty after all was purged",
			(unsigned long long)load_rlx(&nodes[0].x_dirty_bytes));
	for (unsigned huge = 0; huge <= (HAK_TINY ? 0 : REGION_HUGE); huge += REGION_HUGE)
		for (struct region *r = first_region(huge); r != NULL; r = load_acq(&r->x_next))
			check_absent(r);
}

/* Alone: of two free runs a claim gets the resident one; and after a purge, zero memory. */
static void check_reuse(struct worker *w)
{
	for (size_t count = 1; count <= RUN_MAX / (TSAN ? 8 : 1); count += 1 + count / 2) {
		bool zero, second_zero, again;
		char *first = granules_claim(0, REGION_WHALES, count, 1, &zero);
		char *second = granules_claim(0, REGION_WHALES, count, 1, &second_zero);

		if (first == NULL || second == NULL || !zero || !second_zero)
			fail("%zu granules of a purged pool: %p and %p, zero %d and %d", count,
				(void *)first, (void *)second, zero, second_zero);
		granules_free(first, count, false, SITE_HOT);
		*second = 1;
		granules_free(second, count, true, SITE_HOT);
		first = granules_claim(0, REGION_WHALES, count, 1, &again);
		if (first != second || again)
			fail("%zu granules were freed at %p, the next come from %p, zero %d", count,
				(void *)second, (void *)first, again);
		granules_free(first, count, true, SITE_HOT);
		if (pool_purge(0, SIZE_MAX, SPLIT_ALWAYS) != count * GRANULE_BYTES)
			fail("a purge gave back other than the %zu granules that were dirty",
				count);
		w->serial++;
	}
}

static void after(void)
{
	if (load_rlx(&owned) != 0)
		fail("all granules were freed, %llu are held",
			(unsigned long long)load_rlx(&owned));
	check_pool();
	check_purged();
	hak_option_set("purge_bytes", "1G");
	check_reuse(main_worker());
	check_pool();
}

const struct program program = {
	.name = "stress_protocol_granules",
	.alone = true,
	.budget = 256 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
