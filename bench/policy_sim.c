/*
 * policy_sim: the learned policy against other ways to learn, on recorded traces and a
 * model of the pool: what ELO ratings (the library's own code), UCB1 and hill climbing
 * cost over the best fixed threshold of the same trace.
 *
 *     policy_sim [seeds=10] [fault_ns=2400] [purge_ns=360] NAME=TRACE...
 *
 * Learners begin with the library's first choice, "ELO, any" with one that the seed
 * draws; costs are means over the seeds, and the worst is shown of "any". One learner
 * stands for all threads. "hindsight" knows when each block is wanted again, and purges
 * those that idle for longer than they are worth. The output depends on nothing but the
 * arguments and the traces.
 */
#define _GNU_SOURCE
#include "common.h"
#include "policy/clock.h"
#include "policy/patience.h"
#include "policy/site.h"
#include "policy_model.h"
#include "policy_players.h"
#include "policy_trace.h"

#include "base/options.h"
#include "base/os.h"

#include <stdio.h>
#include <sys/mman.h>

/* What work takes per byte where nothing is given back; the library's constant as well. */
#define C0_NS 0.08
#define CHOICE_BYTES ((uint64_t)512 << 10)
#define SEEDS_MAX 1000u

enum column { BEST_FIXED, OFF, ELO, ELO_ANY, ELO_WORST, UCB1, CLIMB, HINDSIGHT, COLUMNS };
static const char *const headings[COLUMNS] = {
	"best fixed", "off", "ELO", "ELO, any", "its worst", "UCB1", "climbing", "hindsight"};

/* What the library's sources need of theirs: options, a helper that runs, a clock. */
struct options options = {
	.x_sites = 1, .x_purge_delay_ms = MODEL_TICK_MS, .x_batch_bytes = MODEL_BATCH_BYTES};
struct clock clock_now = {.x_state = CLOCK_TICKING};
static struct model model;

uint32_t os_now_ms(void)
{
	return (uint32_t)(model.now_us / 1000) + 1;
}

uint64_t os_thread_faults(void)
{
	return model.costs.faults;
}

uint32_t os_fault_ns(void)
{
	return model_fault_ns;
}

/* The model has none. */
uint32_t os_fault_huge_ns(size_t huge_bytes)
{
	(void)huge_bytes;
	return 0;
}

void *os_map(size_t bytes)
{
	return bench_map(bytes);
}

bool os_unmap(void *memory, size_t bytes)
{
	return munmap(memory, bytes) == 0;
}

/* A slot of the trace. */
struct held {
	struct place place;
	unsigned site;
};

/* When each free was followed by a claim: what hindsight knows. 0: it never was. */
static uint32_t *reused_after_ms;
static uint64_t free_number;
static bool by_site, by_hindsight;
static struct player *player;
static struct surroundings around;
static uint64_t seeds = 10;
static double fixed_cost[ELO_ARMS]; /* of the trace that was played last */

static void reused(const struct reuse *r, void *unused)
{
	uint32_t ms = r->now_ms - r->stamp.freed_ms;

	(void)unused;
	if (!by_hindsight && !reused_after_ms[r->stamp.number])
		reused_after_ms[r->stamp.number] = ms ? ms : 1;
	if (r->stamp.block >= CHOICE_BYTES)
		player_reused(player, r, &around);
}

/* Since the beginning; the library has an average over some seconds of its own. */
static void look_around(void)
{
	double ms = (double)model.now_us / 1000 + 100;
	uint64_t peak = model.peak_live ? model.peak_live : 1;

	around.turnover = (double)model.traffic / ms / (double)peak;
}

static void allocate(struct held *h, uint64_t bytes)
{
	uint64_t faults = model.costs.faults;

	model_alloc(&model, bytes, &h->place, reused, NULL);
	if (bytes < CHOICE_BYTES)
		return;
	player_claimed(player, bytes, (model.costs.faults - faults) * PAGE_BYTES, model.in_use);
	player_close(player, model.in_use, (uint32_t)(model.now_us / 1000));
}

/* It would idle for longer than its faults are worth, or the helper would take it anyway. */
static bool hindsight_keeps(uint64_t number)
{
	double fault = 0.4 * (model_fault_ns + model_purge_ns) / 4096 / C0_NS + 0.3;
	double worth_ms = fault / (0.3 * around.turnover);
	double most = worth_ms < MODEL_TICK_MS * 1.5 ? worth_ms : MODEL_TICK_MS * 1.5;

	return reused_after_ms[number] && reused_after_ms[number] < most;
}

static enum fate fate_of(const struct held *h, struct stamp *stamp)
{
	static const enum fate fates[] = {
		[SITE_HOT] = FATE_KEPT, [SITE_WARM] = FATE_TICK, [SITE_COLD] = FATE_BATCH};
	enum site_class class = site_free(h->site, os_now_ms());

	*stamp = (struct stamp){.number = ++free_number,
		.freed_ms = (uint32_t)(model.now_us / 1000),
		.block = h->place.bytes,
		.context = (uint8_t) class};
	if (h->place.bytes < CHOICE_BYTES || by_site)
		return fates[class];
	if (by_hindsight)
		return hindsight_keeps(free_number) ? FATE_KEPT : FATE_BATCH;
	stamp->arm = (uint8_t)player_arm(player, class);
	stamp->kept = player_keeps(player, class, h->place.bytes);
	stamp->patience = (int)player_patience(player, h->place.bytes);
	stamp->stays_ms = stamp->kept ? patience_ms((unsigned)stamp->patience, 0) : 0;
	return stamp->kept ? FATE_KEPT : FATE_BATCH;
}

/* The cost of the whole trace. */
static double play(const struct trace *t, struct held *held, struct player *who)
{
	memset(sites, 0, sizeof(sites));
	memset(&world_now, 0, sizeof(world_now));
	memset(&patience_now, 0, sizeof(patience_now));
	world_now.x_purge_ns = model_purge_ns;
	model_init(&model);
	around.c0_ns = C0_NS;
	player = who;
	free_number = 0;
	for (uint64_t i = 0; i < t->count; i++) {
		const struct trace_event *e = &t->events[i];
		struct held *h = &held[e->slot];
		struct stamp stamp;

		model_advance(&model, e->us);
		look_around();
		if (e->kib) {
			h->site = site_alloc((uintptr_t)e->site + 1);
			allocate(h, (uint64_t)e->kib << 10);
		} else {
			enum fate fate = fate_of(h, &stamp);

			model_free(&model, &h->place, &stamp, fate);
		}
	}
	model_advance(&model, t->run_us);
	model_drop(&model);
	return model_cost(&model, C0_NS);
}

static double play_fixed(const struct trace *t, struct held *held, unsigned *best)
{
	double least = 0;

	for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
		struct player p;
		double cost;

		/* Of the last one, which keeps everything, hindsight learns. */
		memset(reused_after_ms, 0, (t->count + 1) * sizeof(*reused_after_ms));
		player_init(&p, PLAY_FIXED, arm, 1);
		cost = play(t, held, &p);
		player_end(&p);
		fixed_cost[arm] = cost;
		if (!arm || cost < least) {
			least = cost;
			*best = arm;
		}
	}
	return least;
}

/* `any`: every choice is the first one of some seed. */
static double play_seeds(const struct trace *t, struct held *held, enum kind kind, bool any,
	double *worst, double *changes)
{
	double sum = 0;

	*worst = *changes = 0;
	for (uint32_t seed = 1; seed <= seeds; seed++) {
		struct player p;
		double cost;

		player_init(&p, kind, any ? (unsigned)(seed * 5 % ELO_ARMS) : FIRST_CHOICE, seed);
		cost = play(t, held, &p);
		sum += cost;
		*worst = cost > *worst ? cost : *worst;
		*changes += (double)p.changes;
		player_end(&p);
	}
	*changes /= (double)seeds;
	return sum / (double)seeds;
}

static void play_all(const struct trace *t, double cost[COLUMNS], unsigned *best, double *changes)
{
	struct held *held = bench_map(t->slots * sizeof(*held));
	struct player fixed;
	double worst, unused;

	reused_after_ms = bench_map((t->count + 1) * sizeof(*reused_after_ms));
	cost[BEST_FIXED] = play_fixed(t, held, best);
	player_init(&fixed, PLAY_FIXED, 0, 1);
	by_hindsight = true;
	cost[HINDSIGHT] = play(t, held, &fixed);
	by_hindsight = false;
	by_site = true;
	cost[OFF] = play(t, held, &fixed);
	by_site = false;
	player_end(&fixed);
	cost[ELO] = play_seeds(t, held, PLAY_ELO, false, &worst, changes);
	cost[ELO_ANY] = play_seeds(t, held, PLAY_ELO, true, &cost[ELO_WORST], &unused);
	cost[UCB1] = play_seeds(t, held, PLAY_UCB1, false, &worst, &unused);
	cost[CLIMB] = play_seeds(t, held, PLAY_CLIMB, false, &worst, &unused);
}

static void read_file(const char *argument, char *name, size_t room, struct trace *t)
{
	const char *equals = strchr(argument, '=');
	FILE *file;

	if (!equals || equals == argument || (size_t)(equals - argument) >= room)
		bench_die("'%s' is not NAME=TRACE, seeds=N, fault_ns=N or purge_ns=N", argument);
	memcpy(name, argument, (size_t)(equals - argument));
	name[equals - argument] = 0;
	file = fopen(equals + 1, "re");
	if (!file)
		bench_die("%s: %s", equals + 1, strerror(errno));
	trace_read(t, file);
	fclose(file);
}

static void print_row(
	const char *name, const char *best, const double ratio[COLUMNS], double changes)
{
	printf("%-12s %5s", name, best);
	for (unsigned i = 0; i < COLUMNS; i++)
		printf(" %10.3f", ratio[i]);
	printf(" %12.1f\n", changes);
}

static void print_size(char *text, size_t room, uint64_t bytes)
{
	if (bytes < (1u << 20))
		snprintf(text, room, "%lluK", (unsigned long long)bytes >> 10);
	else
		snprintf(text, room, "%.2gM", (double)bytes / (1 << 20));
}

/* seeds=N and the like; false if it is none of them. */
static bool read_number(const char *argument)
{
	unsigned number = 0;

	if (sscanf(argument, "seeds=%u", &number) == 1) {
		seeds = number;
		if (!seeds || seeds > SEEDS_MAX)
			bench_die("seeds must be from 1 to %u", SEEDS_MAX);
		return true;
	}
	return sscanf(argument, "fault_ns=%u", &model_fault_ns) == 1 ||
	       sscanf(argument, "purge_ns=%u", &model_purge_ns) == 1;
}

static void print_headings(void)
{
	printf("%-12s %5s", "", "best");
	for (unsigned i = 0; i < COLUMNS; i++)
		printf(" %10s", headings[i]);
	printf(" %12s\n", "ELO changes");
}

/* The one to choose for everything. */
static void print_fixed(const double sums[ELO_ARMS])
{
	unsigned best = 0;
	char size[16];

	for (unsigned arm = 1; arm < ELO_ARMS; arm++)
		if (sums[arm] < sums[best])
			best = arm;
	print_size(size, sizeof(size), estimate_thresholds[best]);
	printf("one fixed strategy for all: %s, sum %.3f\n", size, sums[best]);
}

int main(int argc, char **argv)
{
	double sums[COLUMNS] = {0}, fixed_sums[ELO_ARMS] = {0}, all_changes = 0;
	unsigned traces = 0;

	print_headings();
	for (int i = 1; i < argc; i++) {
		double cost[COLUMNS], changes;
		char name[32], size[16];
		struct trace trace;
		unsigned best;

		if (read_number(argv[i]))
			continue;
		read_file(argv[i], name, sizeof(name), &trace);
		play_all(&trace, cost, &best, &changes);
		for (unsigned arm = 0; arm < ELO_ARMS; arm++)
			fixed_sums[arm] += fixed_cost[arm] / cost[BEST_FIXED];
		for (unsigned j = COLUMNS; j-- > 0;) {
			cost[j] /= j ? cost[BEST_FIXED] : 1;
			sums[j] += j ? cost[j] : 1;
		}
		print_size(size, sizeof(size), estimate_thresholds[best]);
		print_row(name, size, cost, changes);
		all_changes += changes;
		traces++;
	}
	if (!traces)
		bench_die("no trace (NAME=TRACE...)");
	print_row("sum", "", sums, all_changes);
	print_fixed(fixed_sums);
	return 0;
}
