/*
 * share.c: [Y1] [Y2] the stack of learners and their chunks; [Y4] snapshots of what
 * was learned, merged, read, and used again after a grace period. No count is lost, and
 * nobody reads a snapshot that is being written.
 */
#include "models.h"

#include "base/rcu.h"
#include "policy/learner.h"
#include "policy/share.h"

static struct learner *learners[MODEL_THREADS];
static uint64_t windows; /* of all learners */

static struct learner *get(void)
{
	struct learner *l = learner_get();
	MODEL_CHECK(l, "no learner");
	return l;
}

static void learn(struct learner *l)
{
	l->contest[0].record.windows++;
	l->contest[0].record.matches++;
}

static void begin(void)
{
	rcu_start();
	windows = 0;
	for (unsigned i = 1; i < MODEL_THREADS; i++) {
		learners[i] = get();
		/* What they show to statistics. */
		model_ignore(learners[i], sizeof *learners[i]);
		learn(learners[i]);
		windows++;
	}
}

/* There is a snapshot, and one that was taken out of use. */
static void begin_merged(void)
{
	begin();
	for (unsigned i = 3; i < MODEL_THREADS; i++)
		MODEL_CHECK(share_merge(learners[i]), "not merged");
}

static void merge(void)
{
	share_merge(learners[model_self()]);
}

static void reclaim(void)
{
	share_reclaim();
}

static void reclaim_and_merge(void)
{
	share_reclaim();
	merge();
}

static void look(void)
{
	struct share s;
	if (share_read(SHARE_PROCESS, &s))
		MODEL_CHECK(s.record[0].windows == s.record[0].matches, "half a snapshot");
}

static void check_windows(void)
{
	struct share s;
	uint64_t sum = 0;
	if (share_read(SHARE_PROCESS, &s))
		sum = s.record[0].windows;
	for (unsigned i = 1; i < MODEL_THREADS; i++)
		sum += learners[i]->contest[0].record.windows - learners[i]->sent[1][0].windows;
	MODEL_CHECK(sum == windows, "%lu windows of %lu are left", (unsigned long)sum,
		(unsigned long)windows);
}

/* ---- Learners ------------------------------------------------------------------- */

static void two_free(void)
{
	for (unsigned i = 1; i <= 2; i++)
		learners[i] = get();
	for (unsigned i = 1; i <= 2; i++)
		learner_put(learners[i]);
}

static void one_free(void)
{
	two_free();
	get();
	get();
	learner_put(learners[2]);
}

static void nothing(void)
{
}

static void put_first(void)
{
	learn(learners[1]);
	learner_put(learners[1]);
}

static void get_and_put(void)
{
	learner_put(get());
}

static void get_and_learn(void)
{
	learn(get());
}

/* One of the two is still on the stack. */
static void check_stack(void)
{
	unsigned made = learner_count();
	get();
	MODEL_CHECK(learner_count() == made, "a learner is lost");
}

static void look_at_learners(void)
{
	for (unsigned i = 0; i < learner_count(); i++) {
		struct learner *l = learner_at(i);
		if (l)
			load_rlx(&l->x_node);
	}
}

const struct scenario share_scenarios[] = {
	{.model = "share",
		.proves = "Y1 Y2 Y4",
		.name = "two get learners and put them, two are there",
		.setup = two_free,
		.thread = {get_and_put, get_and_put}},
	{.model = "share",
		.name = "one gets a learner, one puts one",
		.setup = one_free,
		.thread = {put_first, get_and_learn},
		.check = check_stack},
	{.model = "share",
		.name = "two make learners, one looks at all",
		.setup = nothing,
		.thread = {get_and_learn, get_and_learn, look_at_learners}},
	{.model = "share",
		.name = "two merge",
		.setup = begin,
		.thread = {merge, merge},
		.check = check_windows,
		.most = 1000},
	{.model = "share",
		.name = "one merges, one reads",
		.setup = begin_merged,
		.thread = {merge, look},
		.check = check_windows,
		.most = 1000},
	{.model = "share",
		.name = "one merges, one reads, one reclaims",
		.setup = begin_merged,
		.thread = {merge, look, reclaim},
		.check = check_windows,
		.most = 1000},
	{.model = "share",
		.name = "one reclaims and merges, one reads",
		.setup = begin_merged,
		.thread = {reclaim_and_merge, look},
		.check = check_windows,
		.most = 1000},
	{.model = NULL},
};
