/*
 * elo.c: see elo.h.
 */
#include "policy/elo.h"

#include <string.h>

#define STEP (50 * ELO_POINT)

/* 65536 / (1 + 10^(-d / 400)) for d = 0, 50, ... 1600 points. */
static const int32_t expected[] = {32768, 37451, 41947, 46097, 49791, 52974, 55641, 57825, 59578,
	60964, 62047, 62884, 63527, 64018, 64391, 64674, 64887, 65048, 65170, 65261, 65329, 65381,
	65420, 65449, 65471, 65487, 65499, 65508, 65515, 65520, 65524, 65527, 65529};
#define LAST ((int32_t)(sizeof expected / sizeof *expected) - 1)

int32_t elo_expected(int32_t difference)
{
	int32_t d = difference < 0 ? -difference : difference, at = d / STEP, e;
	if (at >= LAST)
		e = expected[LAST];
	else
		e = expected[at] + (expected[at + 1] - expected[at]) * (d % STEP) / STEP;
	return difference < 0 ? ELO_SCORE_ONE - e : e;
}

/* A draw within one part in so many; the worst loss from so many parts in one on. */
#define DRAW_PART 100
#define GAIN 5
#define SCORE_MAX (ELO_SCORE_ONE / 2 - ELO_SCORE_ONE / 16)

int32_t elo_score(uint32_t own, uint32_t other)
{
	int64_t margin = (int64_t)other - own;
	int64_t base = (int64_t)ELO_COST_COMMON + (own < other ? own : other);
	if (margin * DRAW_PART <= base && margin * DRAW_PART >= -base)
		return ELO_SCORE_ONE / 2;
	int64_t above = margin * GAIN * ELO_SCORE_ONE / base;
	above = above > SCORE_MAX ? SCORE_MAX : above < -SCORE_MAX ? -SCORE_MAX : above;
	return ELO_SCORE_ONE / 2 + (int32_t)above;
}

static void count(struct elo_results *results, unsigned a, unsigned b, int32_t score)
{
	if (score == ELO_SCORE_ONE / 2) {
		results->draws[a]++;
		results->draws[b]++;
		return;
	}
	bool won = score > ELO_SCORE_ONE / 2;
	results->wins[won ? a : b]++;
	results->losses[won ? b : a]++;
}

void elo_play(int32_t rating[ELO_ARMS], const uint32_t cost[ELO_ARMS], struct elo_results *results)
{
	int32_t before[ELO_ARMS];
	memcpy(before, rating, sizeof before);
	for (unsigned a = 0; a < ELO_ARMS; a++) {
		for (unsigned b = a + 1; b < ELO_ARMS; b++) {
			int32_t score = elo_score(cost[a], cost[b]);
			int32_t miss = score - elo_expected(before[a] - before[b]);
			int32_t won = miss * ELO_K / (ELO_SCORE_ONE / ELO_POINT);
			rating[a] += won;
			rating[b] -= won;
			count(results, a, b, score);
		}
	}
}

unsigned elo_leader(const int32_t rating[ELO_ARMS], unsigned current, int32_t lead)
{
	unsigned best = current;
	for (unsigned a = 0; a < ELO_ARMS; a++)
		if (rating[a] > rating[best])
			best = a;
	return rating[best] - rating[current] > lead ? best : current;
}
