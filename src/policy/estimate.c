/*
 * estimate.c: see estimate.h. The cost of a process is 0.4 C + 0.3 F + 0.3 M,
 * where C is CPU time over that of touching kept memory, F page faults over
 * traffic in pages, and M resident memory over the peak in use. Here that is
 * multiplied by the traffic, so that one event has a cost of its own, in bytes.
 */
#include "policy/estimate.h"

#include <string.h>

const uint64_t estimate_thresholds[ELO_ARMS] = {POLICY_THRESHOLDS};
_Static_assert(POLICY_ARMS == ELO_ARMS, "the option names the strategies that are rated");

#define PAGE 4096
#define HUGE_PAGE (512 * PAGE)

/*
 * Bytes that a ns is worth: 0.4, and 0.08 ns to touch a byte of kept memory, measured
 * on a virtual machine, Linux 6.18, with programs that sleep between requests.
 */
#define BYTES_PER_NS 5

unsigned estimate_bin(uint64_t bytes)
{
	unsigned bin = 0;
	while (bin < ELO_ARMS && bytes > estimate_thresholds[bin])
		bin++;
	return bin;
}

/* bytes * parts / of, where bytes may be large and the parts are few. */
static uint64_t share(uint64_t bytes, uint64_t parts, uint64_t of)
{
	if (likely(!parts))
		return 0;
	return parts >= of ? bytes : bytes / of * parts + bytes % of * parts / of;
}

/*
 * The longer the kernel has had a huge page back, the more its first touch may cost: a host
 * takes it from a virtual machine meanwhile. What idles in such pages is not away so long.
 */
int64_t estimate_idle(
	const struct estimate_world *w, const struct estimate_event *e, uint64_t bytes, int64_t ms)
{
	int64_t idle = (int64_t)bytes * ms;
	return e->huge ? idle / 1024 * (1024 - (int64_t)w->huge_late) : idle;
}

static struct estimate_fate fate(const struct estimate_world *w, const struct estimate_event *e,
	uint64_t gone, uint64_t idle_bytes, int64_t idle_ms)
{
	struct estimate_fate f = {.idle = estimate_idle(w, e, idle_bytes, idle_ms)};
	*(e->huge ? &f.gone_huge : &f.gone) = gone;
	return f;
}

static uint64_t positive(int64_t x)
{
	return x > 0 ? (uint64_t)x : 0;
}

/* It idles until it is wanted, or until the helper comes: after one to two ticks. */
struct estimate_fate estimate_kept(const struct estimate_world *w, const struct estimate_event *e)
{
	int64_t ms = e->interval_ms, keep = w->keep_ms, most = keep + keep / 2;
	uint64_t lost = share(e->bytes, w->kept_lost, 1024);
	uint64_t late = keep ? positive(ms - keep) : 0;
	uint64_t gone = lost + share(e->bytes - lost, late, max_size(w->keep_ms, 1));
	return fate(w, e, gone, e->bytes - lost, keep && ms > most ? most : ms);
}

/*
 * Bytes in the batch decide when it goes: this block's own, those that come while it
 * waits, and time. A block that is wanted before that costs next to nothing.
 */
struct estimate_fate estimate_purged(const struct estimate_world *w, const struct estimate_event *e)
{
	uint64_t ms = positive(e->interval_ms), batch = max_size(w->batch_bytes, 1);
	uint64_t gone = share(e->bytes, e->block + w->batch_rate * ms, batch), fill = ms;
	if (w->keep_ms)
		gone += share(e->bytes - gone, ms, w->keep_ms);
	/* What goes does so half-way, on average, or as soon as the batch is full. */
	if (e->block >= batch)
		fill = 0;
	else if (w->batch_rate && ms)
		fill = (batch - e->block) / w->batch_rate;
	if (w->keep_ms)
		fill = min_size(fill, w->keep_ms);
	struct estimate_fate f = fate(w, e, gone, e->bytes - gone, e->interval_ms);
	f.idle += estimate_idle(w, e, gone, (int64_t)min_size(fill, ms)) / 2;
	return f;
}

static void add(struct estimate_fate *to, const struct estimate_fate *f)
{
	to->gone += f->gone;
	to->gone_huge += f->gone_huge;
	to->idle += f->idle;
}

void estimate_add(
	struct estimate_tally *t, const struct estimate_world *w, const struct estimate_event *e)
{
	unsigned bin = estimate_bin(e->block);
	struct estimate_fate kept = estimate_kept(w, e), purged = estimate_purged(w, e);
	t->events++;
	t->bytes += e->bytes;
	add(&t->kept[bin], &kept);
	add(&t->purged[bin], &purged);
}

/* cost in bytes over traffic, in units of 1/65536; it never overflows. */
static uint64_t per_byte(uint64_t cost, uint64_t bytes)
{
	while (cost >> 47) {
		cost >>= 1;
		bytes >>= 1;
	}
	return cost * ELO_COST_ONE / max_size(bytes, 1);
}

/* Byte milliseconds at a turnover in 1/2^20 per ms, at 0.3. */
static uint64_t idle_cost(uint64_t idle, uint64_t turnover)
{
	uint64_t whole = (idle >> 10) * 3 / 10, result;
	if (__builtin_mul_overflow(whole, turnover, &result))
		return UINT64_MAX >> 10;
	return result >> 10;
}

static struct estimate_cost price(
	const struct estimate_fate *f, const struct estimate_prices *p, uint64_t traffic)
{
	uint64_t small = f->gone / PAGE, huge = f->gone_huge / PAGE;
	uint64_t small_touched = share(small, p->touched, 1024);
	uint64_t huge_touched = share(huge, p->touched, 1024);
	uint64_t ns = small * p->purge_ns + huge * ESTIMATE_PURGE_HUGE_NS +
		      small_touched * p->fault_ns + huge_touched * p->huge_ns;
	uint64_t faulted = small_touched * PAGE + huge_touched * PAGE / (HUGE_PAGE / PAGE);
	return (struct estimate_cost){
		.cpu = per_byte(ns * BYTES_PER_NS, traffic),
		.faults = per_byte(faulted / 10 * 3, traffic),
		.idle = per_byte(idle_cost(positive(f->idle), p->turnover), traffic),
	};
}

void estimate_costs(const struct estimate_tally *t, const struct estimate_prices *p,
	struct estimate_cost terms[ELO_ARMS], uint32_t cost[ELO_ARMS])
{
	struct estimate_fate sum = {0};
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
		add(&sum, &t->purged[bin]);
	/* Each strategy keeps one size more than the one before. */
	for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
		const struct estimate_fate *less = &t->purged[arm];
		sum.gone -= less->gone;
		sum.gone_huge -= less->gone_huge;
		sum.idle -= less->idle;
		add(&sum, &t->kept[arm]);
		struct estimate_cost c = price(&sum, p, t->bytes);
		uint64_t all = c.cpu + c.faults + c.idle;
		terms[arm] = c;
		cost[arm] = all > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uint32_t)all;
	}
}

uint32_t estimate_break_even_ms(const struct estimate_prices *p, bool huge)
{
	struct estimate_fate f = {.gone = huge ? 0 : HUGE_PAGE, .gone_huge = huge ? HUGE_PAGE : 0};
	struct estimate_cost gone = price(&f, p, HUGE_PAGE);
	struct estimate_fate one = {.idle = (int64_t)HUGE_PAGE << 10};
	uint64_t idle = price(&one, p, HUGE_PAGE).idle; /* of 1024 ms */
	uint64_t ms = ((gone.cpu + gone.faults) << 10) / max_size(idle, 1);
	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

/* more_ns in that time, over what a byte costs that idles for it; at most all of it. */
uint32_t estimate_huge_late(const struct estimate_prices *p, uint32_t more_ns)
{
	struct estimate_fate f = {.idle = (int64_t)PAGE * ESTIMATE_LATE_MS};
	uint64_t idle = price(&f, p, PAGE).idle;
	uint64_t more = per_byte((uint64_t)more_ns * BYTES_PER_NS, PAGE);
	return (uint32_t)min_size(more * 1024 / max_size(idle, 1), 1024);
}
