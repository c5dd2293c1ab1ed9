/*
 * granules.c: [G1]. Granules of one word, and runs of two words, are freed, claimed and
 * purged at the same time. None has two owners, and nobody reaches memory while the
 * kernel takes it back.
 */
#include "models.h"

#include "segments/granule.h"
#include "segments/purge.h"
#include "segments/region.h"

static struct region *region;
static char *held[2];

static void use(char *granule)
{
	*(uint64_t *)granule = model_self() + 1;
}

/* Two granules are held, and `rest` are left. */
static void begin(unsigned rest)
{
	bool zero;
	region = model_region(REGION_WHALES);
	model_fill(REGION_WHALES, rest + 2);
	/* It only says whether it is worth to look. */
	model_ignore(&nodes[0].x_dirty_bytes, sizeof nodes[0].x_dirty_bytes);
	for (unsigned i = 0; i < 2; i++) {
		held[i] = granules_claim(0, REGION_WHALES, 1, 1, &zero);
		MODEL_CHECK(held[i], "no granule");
		use(held[i]);
	}
}

static void none_left(void)
{
	begin(0);
}

static void one_left(void)
{
	begin(1);
}

static void free_first(void)
{
	use(held[0]);
	granules_free(held[0], 1, true, SITE_HOT);
}

static void free_second(void)
{
	use(held[1]);
	granules_free(held[1], 1, true, SITE_HOT);
}

static void claim(size_t count)
{
	bool zero;
	char *start = granules_claim(0, REGION_WHALES, count, 1, &zero);
	for (size_t i = 0; start && i < count; i++)
		use(start + i * GRANULE_BYTES);
}

static void claim_one(void)
{
	claim(1);
}

static void claim_two(void)
{
	claim(2);
}

static void purge(void)
{
	pool_purge(0, SIZE_MAX, SPLIT_ALWAYS);
}

/* What nobody holds is in the pool, and what is counted as dirty is. */
static void check_count(void)
{
	uint64_t word = load_rlx(&region->x_slices[0]);
	uint32_t free = (uint32_t)word, dirty = (uint32_t)(word >> SLICES_DIRTY_SHIFT);
	MODEL_CHECK((dirty & ~free) == 0, "a granule is dirty and not free");
	MODEL_CHECK(load_rlx(&nodes[0].x_dirty_bytes) ==
			    (uint64_t)__builtin_popcount(dirty) * GRANULE_BYTES,
		"dirty bytes are counted wrong");
}

const struct scenario granules_scenarios[] = {
	{.model = "granules",
		.proves = "G1",
		.name = "one frees, one claims",
		.setup = none_left,
		.thread = {free_first, claim_one},
		.check = check_count},
	{.model = "granules",
		.name = "one frees, one purges",
		.setup = none_left,
		.thread = {free_first, purge},
		.check = check_count},
	{.model = "granules",
		.name = "two free, one claims both",
		.setup = none_left,
		.thread = {free_first, free_second, claim_two},
		.check = check_count},
	{.model = "granules",
		.name = "one frees, one claims, one purges",
		.setup = none_left,
		.thread = {free_first, claim_one, purge},
		.check = check_count},
	{.model = "granules",
		.name = "two free, one purges",
		.setup = none_left,
		.thread = {free_first, free_second, purge},
		.check = check_count},
	{.model = "granules",
		.name = "two want the last one",
		.setup = one_left,
		.thread = {free_first, claim_two, claim_one},
		.check = check_count},
	{.model = NULL},
};
