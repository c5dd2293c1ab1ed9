/*
 * policy_stats.c: what has been learned, for hak_policy_stats and in JSON.
 */
#include "api/stats.h"
#include "base/check.h"
#include "numa/topology.h"
#include "policy/promote.h"
#include "policy/share.h"

#include <errno.h>
#include <string.h>

_Static_assert(HAK_STRATEGIES == ELO_ARMS, "the public number is that of policy/elo.h");
_Static_assert(SHARE_PROCESS == NODES_MAX, "a snapshot for each shard");

static void fill(struct hak_policy_stats *s, const struct share *sum, unsigned context)
{
	const struct contest_record *r = &sum->record[context];
	*s = (struct hak_policy_stats){
		.choice = estimate_thresholds[sum->choice[context]],
		.windows = r->windows,
		.matches = r->matches,
		.freezes = r->freezes,
		.relearns = r->relearns,
		.canaries = r->canaries,
		.traffic = r->traffic,
		.cost_cpu = r->cpu,
		.cost_faults = r->faults,
		.cost_idle = r->idle,
		.gone = r->gone,
		.gone_found = r->gone_found,
	};
	for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
		int32_t rating = sum->weight[context] ? sum->rating[context][arm] : ELO_START;
		s->strategy[arm].threshold = estimate_thresholds[arm];
		s->strategy[arm].rating = (double)rating / ELO_POINT;
		s->strategy[arm].wins = r->wins[arm];
		s->strategy[arm].losses = r->losses[arm];
		s->strategy[arm].draws = r->draws[arm];
	}
}

int hak_policy_stats(int node, unsigned context, struct hak_policy_stats *stats, size_t bytes)
{
	unsigned slot = node == -1 ? SHARE_PROCESS
			: node < 0 ? NODE_NONE
				   : topology_number((unsigned)node);
	struct hak_policy_stats s;
	struct share sum;
	if (slot == NODE_NONE || context >= CONTEXTS) {
		errno = EINVAL;
		return -1;
	}
	share_sum(slot, &sum);
	fill(&s, &sum, context);
	memset(stats, 0, bytes);
	memcpy(stats, &s, min_size(bytes, sizeof s));
	return 0;
}

static void json_context(
	char *text, size_t bytes, size_t *used, const struct share *sum, unsigned i)
{
	static const char *const classes[CONTEXTS] = {"hot", "warm", "cold"};
	struct hak_policy_stats s;
	fill(&s, sum, i);
	text_append(text, bytes, used,
		"%s\n      {\"class\": \"%s\", \"choice\": %lu, \"windows\": %lu, \"matches\": "
		"%lu, "
		"\"freezes\": %lu, \"relearns\": %lu, \"canaries\": %lu, \"traffic\": %lu, "
		"\"cost_cpu\": %lu, \"cost_faults\": %lu, \"cost_idle\": %lu, \"gone\": %lu, "
		"\"gone_found\": %lu, \"strategies\": [",
		i ? "," : "", classes[i], s.choice, s.windows, s.matches, s.freezes, s.relearns,
		s.canaries, s.traffic, s.cost_cpu, s.cost_faults, s.cost_idle, s.gone,
		s.gone_found);
	for (unsigned arm = 0; arm < ELO_ARMS; arm++)
		text_append(text, bytes, used,
			"%s\n        {\"threshold\": %lu, \"rating\": %.2f, \"wins\": %lu, "
			"\"losses\": %lu, \"draws\": %lu}",
			arm ? "," : "", s.strategy[arm].threshold, s.strategy[arm].rating,
			s.strategy[arm].wins, s.strategy[arm].losses, s.strategy[arm].draws);
	text_append(text, bytes, used, "]}");
}

void policy_json(char *text, size_t bytes, size_t *used, unsigned slot)
{
	struct share sum;
	share_sum(slot, &sum);
	for (unsigned i = 0; i < CONTEXTS; i++)
		json_context(text, bytes, used, &sum, i);
}

/* A number for each size. */
static void json_list(char *text, size_t bytes, size_t *used, const char *name,
	const uint32_t numbers[ESTIMATE_BINS])
{
	text_append(text, bytes, used, ", \"%s\": [", name);
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
		text_append(text, bytes, used, "%s%u", bin ? ", " : "", numbers[bin]);
	text_append(text, bytes, used, "]");
}

void policy_world_json(char *text, size_t bytes, size_t *used)
{
	struct estimate_world w;
	struct estimate_prices p;
	uint32_t stays[ESTIMATE_BINS], touched[ESTIMATE_BINS], looks[ESTIMATE_BINS];
	world_fill(&world_now, &w, &p);
	text_append(text, bytes, used,
		"\"traffic_per_ms\": %lu, \"peak\": %lu, \"purge_ns_per_page\": %u, "
		"\"fault_ns_per_page\": %u, \"huge_fault_ns_per_page\": %u, "
		"\"huge_soon_ns_per_page\": %u, \"huge_late_ns_per_page\": %u",
		w.batch_rate, load_rlx(&world_now.x_peak), p.purge_ns, p.fault_ns, p.huge_ns,
		load_rlx(&world_now.x_huge_soon_ns), load_rlx(&world_now.x_huge_late_ns));
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++) {
		stays[bin] = patience_ms(patience_of(&patience_now, bin), w.keep_ms);
		touched[bin] = load_rlx(&promotion_now.x_touched[bin]);
		looks[bin] = load_rlx(&promotion_now.x_looks[bin]);
	}
	json_list(text, bytes, used, "stays_ms", stays);
	json_list(text, bytes, used, "touched", touched);
	json_list(text, bytes, used, "looks", looks);
	text_append(text, bytes, used, ", \"promoted\": [");
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
		text_append(text, bytes, used, "%s%s", bin ? ", " : "",
			load_rlx(&promotion_now.x_verdict[bin]) == PROMOTE_HUGE ? "true" : "false");
	text_append(text, bytes, used, "]");
}
