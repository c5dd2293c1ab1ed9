/*
 * main.c: runs the models of one name, or takes from each ordered access in them one
 * order after the other and asks whether the model still holds.
 *
 *   models list
 *   models run MODEL       every scenario must hold, in every execution
 *   models weaken MODEL    every access that cites an entry this model proves must be needed
 *   models weaken-all MODEL  and every other ordered access in it, for information
 *   models trace MODEL     all accesses, up to the execution that fails
 *
 * A scenario's name after the model's leaves the others out.
 */
#include "internal.h"

#include "stacks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXECUTIONS_MAX 20000000
#define SCENARIOS_MAX 128

/* Beside ACQUIRE, RELEASE and SEQ_CST. */
#define ALL_AT_ONCE 8u

static const struct scenario *scenarios[SCENARIOS_MAX];
static size_t scenarios_count;

static const char *only; /* the name of the one scenario that is wanted, or NULL */

static void gather(const struct scenario *list)
{
	for (; list->model; list++)
		if (scenarios_count < SCENARIOS_MAX)
			scenarios[scenarios_count++] = list;
}

static bool is_wanted(const struct scenario *s, const char *model)
{
	return strcmp(s->model, model) == 0 && (!only || strcmp(s->name, only) == 0);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct result run(const struct scenario *s)
{
	hooks_forget();
	model_refuse_memory(false);
	model_refuse_library(false);
	return explore(s, s->most ? s->most : EXECUTIONS_MAX);
}

/* Does the scenario come to what it should? */
static bool holds(const struct scenario *s, const struct result *r)
{
	if (s->fails)
		return strstr(r->failure, s->fails) != NULL;
	return !r->failure[0] && (r->exhausted || s->most);
}

static char summary[200]; /* of the last run */

static int run_model(const char *model)
{
	uint64_t executions = 0, states = 0;
	unsigned count = 0, wrong = 0, partly = 0;
	double begin = now();
	for (size_t i = 0; i < scenarios_count; i++) {
		const struct scenario *s = scenarios[i];
		if (!is_wanted(s, model))
			continue;
		struct result r = run(s);
		count++;
		executions += r.executions;
		states += r.states;
		printf("%s: %s: %lu executions, %lu states, %zu shared locations%s\n", s->model,
			s->name, (unsigned long)r.executions, (unsigned long)r.states,
			memory_locations(), r.failure[0] || r.exhausted ? "" : ", not all");
		partly += !r.exhausted && !r.failure[0];
		if (r.failure[0])
			printf("    %s%s\n", s->fails ? "found: " : "FAILS: ", r.failure);
		wrong += !holds(s, &r);
	}
	snprintf(summary, sizeof summary,
		"%u scenarios, %u wrong, %u in part, %lu executions, %lu states", count, wrong,
		partly, (unsigned long)executions, (unsigned long)states);
	printf("%s: %s, in %.2f s\n", model, summary, now() - begin);
	return wrong || !count;
}

/* ---- Weakening ----------------------------------------------------------------- */

/* Is the word among those of the list, which are divided by spaces? */
static bool has_word(const char *list, const char *word, size_t length)
{
	for (const char *at = list; at && *at; at++) {
		size_t n = strcspn(at, " ");
		if (n == length && memcmp(at, word, n) == 0)
			return true;
		at += n;
		if (!*at)
			break;
	}
	return false;
}

/*
 * The orders of which one must be needed, by the citations of the line that the model
 * proves: in "F1 F2* S4=", F1 is a release and an acquire, F2 is carried by seq_cst,
 * and for S4 either would do, so that all must be taken at once.
 */
static unsigned proven_bits(const char *cites, const char *proves)
{
	unsigned bits = 0;
	char word[12];
	for (const char *at = cites; *at; at += strcspn(at, " "), at += *at == ' ') {
		int n = snprintf(word, sizeof word, "%.*s*", (int)strcspn(at, " "), at);
		if (has_word(proves, word, (size_t)n))
			bits |= SEQ_CST;
		word[n - 1] = '=';
		if (has_word(proves, word, (size_t)n))
			bits |= ALL_AT_ONCE;
		else if (has_word(proves, word, (size_t)n - 1))
			bits |= ACQUIRE | RELEASE;
	}
	return bits;
}

static const char *bit_name(unsigned bit)
{
	return bit == ALL_AT_ONCE ? "any order"
	       : bit == ACQUIRE   ? "acquire"
	       : bit == RELEASE   ? "release"
				  : "seq_cst";
}

/* A scenario that fails without the order; NULL if none does. *used: it was exercised. */
static const struct scenario *find_failure(
	const char *model, size_t line, unsigned bits, char *why, bool *used)
{
	const struct scenario *found = NULL;
	*used = false;
	for (size_t i = 0; i < scenarios_count && !found; i++) {
		const struct scenario *s = scenarios[i];
		if (!is_wanted(s, model) || s->fails)
			continue;
		site_weaken(line, bits == ALL_AT_ONCE ? ~0u : bits);
		struct result r = run(s);
		*used |= site_line(line)->weakened_was_used;
		if (r.failure[0]) {
			found = s;
			memcpy(why, r.failure, sizeof r.failure);
		}
	}
	site_weaken(line, 0);
	return found;
}

/* Which of the line's orders are needed, each taken alone. */
static unsigned weaken_line(const char *model, size_t line, unsigned bits)
{
	static char why[sizeof((struct result *)0)->failure];
	const struct site_line *l = site_line(line);
	unsigned found = 0;
	for (unsigned bit = ACQUIRE; bit <= ALL_AT_ONCE; bit *= 2) {
		bool used;
		if (!((l->order | ALL_AT_ONCE) & bits & bit))
			continue;
		const struct scenario *s = find_failure(model, line, bit, why, &used);
		found |= s ? bit : 0;
		printf("%s:%u %s %swithout %s: %s%s\n", l->file, l->line, l->function, l->cites,
			bit_name(bit),
			s      ? "fails: "
			: used ? "holds"
			       : "is not used",
			s ? s->name : "");
		if (s)
			printf("    %s\n", why);
	}
	return found;
}

static int weaken_model(const char *model, const char *proves, bool all)
{
	unsigned cited = 0, needed = 0;
	size_t lines;
	if (run_model(model))
		return 1;
	lines = sites_resolve();
	for (size_t i = 0; i < lines; i++) {
		const struct site_line *l = site_line(i);
		if (!l->order || strncmp(l->file, "src/", 4) != 0)
			continue;
		unsigned bits = proven_bits(l->cites, proves);
		unsigned found = weaken_line(model, i, all ? ~0u : bits);
		bool proven = (bits & (SEQ_CST | ALL_AT_ONCE) & ~found) == 0 &&
			      (!(bits & (ACQUIRE | RELEASE)) || (found & (ACQUIRE | RELEASE)));
		cited += bits != 0;
		needed += bits && proven;
		if (!proven)
			printf("    NOT NEEDED by this model, which is to prove it\n");
	}
	printf("%s: %s; %u accesses cite %s, %u fail when weakened\n", model, summary, cited,
		*proves ? proves : "nothing", needed);
	return cited != needed || (*proves && !cited);
}

static const char *proves_of(const char *model)
{
	for (size_t i = 0; i < scenarios_count; i++)
		if (strcmp(scenarios[i]->model, model) == 0 && scenarios[i]->proves)
			return scenarios[i]->proves;
	return "";
}

static void list(void)
{
	for (size_t i = 0; i < scenarios_count; i++)
		if (i == 0 || strcmp(scenarios[i]->model, scenarios[i - 1]->model) != 0)
			printf("%s %s\n", scenarios[i]->model, proves_of(scenarios[i]->model));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	static const struct scenario *const lists[] = {litmus_scenarios, inbox_scenarios,
		slices_scenarios, granules_scenarios, guard_scenarios, pages_scenarios,
		reap_scenarios, heaps_scenarios, leases_scenarios, helper_scenarios,
		tables_scenarios, share_scenarios};
	only = argc == 4 ? argv[3] : NULL;
	threads_init();
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		gather(lists[i]);
	if (argc == 2 && strcmp(argv[1], "list") == 0) {
		list();
		return 0;
	}
	if (argc >= 3 && strcmp(argv[1], "trace") == 0)
		tracing = true;
	if (argc >= 3 && (tracing || strcmp(argv[1], "run") == 0))
		return run_model(argv[2]);
	if (argc >= 3 && strcmp(argv[1], "weaken") == 0)
		return weaken_model(argv[2], proves_of(argv[2]), false);
	if (argc >= 3 && strcmp(argv[1], "weaken-all") == 0)
		return weaken_model(argv[2], proves_of(argv[2]), true);
	fprintf(stderr, "usage: models list | run|weaken|weaken-all|trace MODEL [SCENARIO]\n");
	return 2;
}
