/*
 * guard.c: [D1] [D2]. Slots of guarded blocks are freed and claimed at the same time,
 * and the pool is made by whoever comes first. No page has two owners, and who claims
 * one comes after whoever freed it.
 */
#include "models.h"

#include "segments/guard.h"

static struct guard_pool *pool;
static size_t held;

static void use(size_t index)
{
	*(uint64_t *)guard_page(pool, index) = model_self() + 1;
}

/* Of all slots one is held, which was used; no other is to be had. */
static void begin(void)
{
	uint64_t before;
	pool = guard_pool();
	for (size_t i = 0; i < GUARD_SLOTS; i++)
		held = guard_claim(pool, &before);
	MODEL_CHECK(held == GUARD_SLOTS - 1, "slots are missing");
	MODEL_CHECK(guard_claim(pool, &before) == GUARD_SLOTS, "a slot has two owners");
	use(held);
}

/* As many others are freed after it as its quarantine asks for. */
static void free_it(void)
{
	use(held);
	guard_put(pool, held);
	add_rlx(&pool->x_frees, GUARD_QUARANTINE);
}

static void claim_it(void)
{
	uint64_t before;
	size_t i = guard_claim(pool, &before);
	if (i != GUARD_SLOTS)
		use(i);
}

static void claim_and_free(void)
{
	uint64_t before;
	size_t i = guard_claim(pool, &before);
	if (i == GUARD_SLOTS)
		return;
	use(i);
	guard_put(pool, i);
	add_rlx(&pool->x_frees, GUARD_QUARANTINE);
}

static void nothing(void)
{
}

static void make_it(void)
{
	struct guard_pool *made = guard_pool();
	MODEL_CHECK(made->base, "a pool without memory");
	MODEL_CHECK(guard_pool() == made, "two pools");
}

static void look_into_it(void)
{
	static char other;
	MODEL_CHECK(!guard_has(&other), "that is not in the pool");
}

const struct scenario guard_scenarios[] = {
	{.model = "guard",
		.proves = "D1 D2",
		.name = "one frees, one claims",
		.setup = begin,
		.thread = {free_it, claim_it}},
	{.model = "guard",
		.name = "one frees, two claim",
		.setup = begin,
		.thread = {free_it, claim_it, claim_it}},
	{.model = "guard",
		.name = "one frees, one claims and frees, one claims",
		.setup = begin,
		.thread = {free_it, claim_and_free, claim_it}},
	{.model = "guard",
		.name = "two make the pool, one looks into it",
		.setup = nothing,
		.thread = {make_it, make_it, look_into_it}},
	{.model = NULL},
};
