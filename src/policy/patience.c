/*
 * patience.c: see patience.h.
 */
#include "policy/patience.h"

static const uint32_t lengths[PATIENCES] = {0, 125, 60};
#define SHORTEST 60

/* What was learned from a reuse counts one part in so many less after the next. */
#define FORGET 32

/* Where idling costs nothing, next to; sums stay far from what they can hold. */
#define BREAK_EVEN_MAX ((uint32_t)1 << 20)

uint32_t patience_ms(unsigned number, uint32_t keep_ms)
{
	return number ? lengths[number] : keep_ms;
}

/* It idles for that time only, but faults where it would not have. */
static int64_t gain_of(const struct patience *p, const struct estimate_world *w,
	const struct estimate_event *e, const struct estimate_fate *usual, uint32_t ms)
{
	int64_t idle = estimate_idle(w, e, e->bytes, ms + PATIENCE_STEP_MS / 2);
	uint64_t stays = e->bytes - usual->gone - usual->gone_huge;
	return usual->idle - idle - (int64_t)(stays * load_rlx(&p->x_break_even_ms[e->huge]));
}

/* Hardly less than the purge delay is no gain. */
static bool is_shorter(unsigned number, uint32_t keep_ms)
{
	return 2 * lengths[number] <= keep_ms;
}

static void choose(struct patience *p, unsigned bin)
{
	unsigned best = 0;
	int64_t most = 0;
	for (unsigned i = 1; i < PATIENCES; i++) {
		int64_t gain = load_rlx(&p->x_gain[bin][i]);
		if (gain > most) {
			most = gain;
			best = i;
		}
	}
	store_rlx(&p->x_number[bin], (uint8_t)best);
	if (best)
		store_rlx(&p->x_shorter, true);
}

void patience_observe(
	struct patience *p, const struct estimate_world *w, const struct estimate_event *e)
{
	/* Who comes back sooner meets none of them; without a helper nothing is given back. */
	if (likely(e->interval_ms <= SHORTEST) || e->block < PATIENCE_BYTES_MIN || !w->keep_ms ||
		!load_rlx(&p->x_break_even_ms[0]))
		return;
	unsigned bin = estimate_bin(e->block);
	struct estimate_world usual = {.keep_ms = w->keep_ms, .huge_late = w->huge_late};
	struct estimate_fate kept = estimate_kept(&usual, e);
	for (unsigned i = 1; i < PATIENCES; i++) {
		int64_t gain = load_rlx(&p->x_gain[bin][i]);
		gain -= gain / FORGET;
		if (e->interval_ms > (int32_t)lengths[i] && is_shorter(i, w->keep_ms))
			gain += gain_of(p, &usual, e, &kept, lengths[i]);
		store_rlx(&p->x_gain[bin][i], gain);
	}
	choose(p, bin);
}

/*
 * What is loaded has gained as much as one block that has idled for the purge delay in vain,
 * which is less than one late reuse is worth: what says nothing against it does not undo it, a
 * few that do are enough.
 */
void patience_load(struct patience *p, const uint8_t numbers[ESTIMATE_BINS], uint32_t keep_ms)
{
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++) {
		unsigned number = is_shorter(numbers[bin], keep_ms) ? numbers[bin] : 0;
		int64_t idle = (int64_t)(estimate_bin_bytes(bin) * keep_ms);
		for (unsigned i = 1; i < PATIENCES; i++)
			store_rlx(&p->x_gain[bin][i], i == number ? idle : 0);
		choose(p, bin);
	}
}

void patience_prices(struct patience *p, const struct estimate_prices *prices)
{
	for (unsigned huge = 0; huge < 2; huge++) {
		uint32_t ms = estimate_break_even_ms(prices, huge);
		store_rlx(&p->x_break_even_ms[huge], (uint32_t)min_size(ms, BREAK_EVEN_MAX));
	}
}
