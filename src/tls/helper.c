/*
 * helper.c: see helper.h. A tick is the purge delay. The helper looks at every
 * node once a tick while there is idle memory, in between where blocks are to stay
 * for less (policy/patience.h), and sleeps without a limit when there is none; the
 * order of "asleep" and "idle" is [T1].
 *
 * To trim a page is to own it: the helper takes it as any thread would, with a
 * heap that it has for the length of one look. Blocks that others free
 * meanwhile come to that heap's inbox and are freed when the heap is put back.
 *
 * A process whose main thread has ended by itself ends with its last thread. The
 * helper must not be that one, and ends when the main thread does.
 */
#include "tls/helper.h"

#include "base/check.h"
#include "base/checkers.h"
#include "base/options.h"
#include "base/os.h"
#include "policy/clock.h"
#include "policy/file.h"
#include "policy/limit.h"
#include "policy/patience.h"
#include "policy/share.h"
#include "segments/page.h"
#include "segments/purge.h"
#include "segments/reap.h"
#include "segments/slack.h"
#include "segments/trim.h"
#include "tls/heap.h"
#include "tls/idle.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#define HELPER_STACK_BYTES (128 * KIB)

/* Ticks that a page waits after it was let go. */
#define TRIM_TICKS 2

static _Atomic(uint32_t) x_paused; /* any: pauses in force [T2] */
static _Atomic(bool) x_busy;       /* helper writes, any reads: it looks at memory [T2] */
static _Atomic(bool) x_started;    /* any: relaxed; one thread wins the right to start it */

/* Ticks after which the limits of the control group are read again. */
#define GROUP_TICKS 16

/* Pages that are purged together before they are let go. */
#define TRIM_PAGES 64
#define TRIM_RANGES 256

struct trim {
	size_t pages, ranges;
	struct page *page[TRIM_PAGES];
	struct iovec range[TRIM_RANGES];
};

static void let_go_all(const struct trim *t)
{
	for (size_t i = 0; i < t->pages; i++)
		page_let_go(t->page[i]);
}

/* A failure leaves memory resident, nothing else. */
static void trim_flush(struct trim *t)
{
	if (PLANT_TRIM_ORDER)
		let_go_all(t);
	if (t->ranges)
		os_purge_ranges(t->range, t->ranges);
	if (!PLANT_TRIM_ORDER)
		let_go_all(t);
	t->pages = t->ranges = 0;
}

static void trim_page(struct trim *t, struct page *page, unsigned ticks)
{
	if ((uint8_t)(clock_ticks() - page->let_go_tick) < ticks || page->trimmed) {
		page_let_go(page);
		return;
	}
	t->ranges += page_trim(page, &t->range[t->ranges]);
	t->page[t->pages++] = page;
	if (t->pages == TRIM_PAGES || t->ranges + TRIM_RANGES_MAX > TRIM_RANGES)
		trim_flush(t);
}

static void trim_region(struct region *r, struct heap *h, unsigned ticks)
{
	struct trim t;
	t.pages = t.ranges = 0;
	for (size_t word = 0; word < REGION_SLICES / 64; word++) {
		uint64_t bits = load_rlx(&r->x_untrimmed[word]);
		struct page *page;
		while ((page = page_take_untrimmed(r, word, &bits, (uintptr_t)h)))
			trim_page(&t, page, ticks);
	}
	trim_flush(&t);
}

/* Returns the pages to trim that stay because they lie in huge pages. */
static size_t trim_list(struct region *r, struct heap *h, unsigned ticks, enum split split)
{
	size_t kept = 0;
	for (; r; r = load_acq(&r->x_next)) { /* [R1+] */
		if (region_may_split(r, split))
			trim_region(r, h, ticks);
		else
			for (size_t word = 0; word < REGION_SLICES / 64; word++)
				kept += (size_t)__builtin_popcountl(
					load_rlx(&r->x_untrimmed[word]));
	}
	return kept;
}

void helper_trim(unsigned node, unsigned ticks, enum split split)
{
	struct node *n = &nodes[node];
	uint32_t untrimmed = load_rlx(&n->x_untrimmed);
	if (!untrimmed || (split == SPLIT_IDLE && untrimmed <= load_rlx(&n->x_untrimmed_kept))) {
		/* What has been taken meanwhile must not hide what is let go next. */
		store_rlx(&n->x_untrimmed_kept, untrimmed);
		return;
	}
	struct heap *h = heap_get(node, false);
	if (!h)
		return;
	size_t kept = 0;
	for (unsigned kind = REGION_SPANS; kind < REGION_KINDS; kind += REGION_HUGE)
		kept += trim_list(load_acq(&n->x_regions[kind]), h, ticks, split); /* [R1] */
	store_rlx(&n->x_untrimmed_kept, (uint32_t)kept);
	heap_put(h);
}

/* Where huge pages were split, mid blocks need not keep all they have. */
static void purge_slack(void)
{
	for (unsigned node = 0; node < topology_nodes(); node++) {
		struct region *r = load_acq(&nodes[node].x_regions[REGION_HUGE]); /* [R1] */
		for (; r; r = load_acq(&r->x_next)) {                             /* [R1+] */
			bool purged = false;
			if (load_rlx(&r->x_demoted) && cas_rlx(&r->x_slack_purged, &purged, true))
				slack_purge(r);
		}
	}
}

size_t helper_purge_all(void)
{
	size_t bytes = 0;
	idle_reap(false, true, SPLIT_ALWAYS);
	for (unsigned node = 0; node < topology_nodes(); node++) {
		helper_trim(node, 0, SPLIT_ALWAYS);
		bytes += pool_purge(node, SIZE_MAX, SPLIT_ALWAYS);
	}
	purge_slack();
	return bytes;
}

/* Regions of huge pages that became plain since the last call: more can be given back. */
static bool has_split(void)
{
	static uint64_t before;
	uint64_t demotions = 0;
	for (unsigned node = 0; node < topology_nodes(); node++)
		demotions += load_rlx(&nodes[node].x_demotions);
	bool more = demotions != before;
	before = demotions;
	return more;
}

/* Is there memory that may become due? */
static bool tick(void)
{
	bool idle = false, split = has_split();
	idle_reap(true, split, SPLIT_IDLE);
	if (split)
		purge_slack();
	for (unsigned node = 0; node < topology_nodes(); node++) {
		pool_tick(node);
		helper_trim(node, TRIM_TICKS, SPLIT_IDLE);
		idle |= pool_is_idle(node);
	}
	if (add_rlx(&clock_now.x_ticks, 1) % GROUP_TICKS == 0)
		limit_read_group();
	return idle || idle_waits();
}

static void sleep_until_poked(void)
{
	uint32_t ticking = CLOCK_TICKING;
	cas_sc(&clock_now.x_state, &ticking, CLOCK_ASLEEP); /* [T1]; not when it has ended */
	for (unsigned node = 0; node < topology_nodes(); node++)
		if (pool_is_idle(node))
			clock_wake();
	if (idle_waits()) /* [T1] */
		clock_wake();
	while (load_rlx(&clock_now.x_state) == CLOCK_ASLEEP)
		os_wait(&clock_now.x_state, CLOCK_ASLEEP, 0);
}

/* Asleep or not; nothing is touched while somebody has paused it. */
static bool guarded(bool (*look)(void))
{
	checkers_off();
	xchg_sc(&x_busy, true);                   /* [T2] */
	bool idle = load_sc(&x_paused) || look(); /* [T2] */
	xchg_sc(&x_busy, false);                  /* [T2+] */
	checkers_on();
	return idle;
}

/* Between ticks: what does not wait for the purge delay. */
static bool hurry(void)
{
	for (unsigned node = 0; node < topology_nodes(); node++)
		if (pool_hurries(node))
			pool_hurry(node);
	return true;
}

static bool hurries(void)
{
	bool any = false;
	for (unsigned node = 0; node < topology_nodes(); node++)
		any |= pool_hurries(node);
	return any;
}

/* Until the purge delay has passed. */
static void wait_for_tick(void)
{
	uint32_t began = os_now_ms(), passed;
	while ((passed = os_now_ms() - began) < (uint32_t)load_rlx(&options.x_purge_delay_ms) &&
		load_rlx(&clock_now.x_state) == CLOCK_TICKING) {
		uint32_t left = (uint32_t)load_rlx(&options.x_purge_delay_ms) - passed;
		bool soon = hurries();
		os_wait(&clock_now.x_state, CLOCK_TICKING,
			soon ? (unsigned)min_size(left, PATIENCE_STEP_MS) : left);
		if (soon)
			guarded(hurry);
	}
}

/* own: pauses of this thread */
static _Thread_local uint32_t pauses;

void helper_pause(uint32_t most_ms)
{
	pauses++;
	add_sc(&x_paused, 1); /* [T2] */
	uint32_t began = os_now_ms();
	while (load_sc(&x_busy) && os_now_ms() - began < most_ms) /* [T2] */
		sched_yield();
}

void helper_resume(void)
{
	pauses--;
	add_sc(&x_paused, -1u); /* [T2+]: what the caller read comes first */
}

static void *run(void *unused)
{
	struct sched_param none = {0};
	int policy = sched_getscheduler(0);
	(void)unused;
	prctl(PR_SET_NAME, "hakmem");
	/* What comes from a thread of a real-time program must not go before its others. */
	if (policy == SCHED_FIFO || policy == SCHED_RR)
		sched_setscheduler(0, SCHED_OTHER, &none);
	while (load_rlx(&clock_now.x_state) != CLOCK_ENDED) {
		/* Not while it counts as busy: a thread that is stopped may hold this up. */
		share_reclaim();
		policy_file_tick();
		if (!guarded(tick))
			sleep_until_poked();
		wait_for_tick();
	}
	return NULL;
}

static int create_detached(thread_create *create)
{
	pthread_attr_t attributes;
	pthread_t thread;
	sigset_t all, before;
	size_t usual = 0;
	int r = pthread_attr_init(&attributes);
	if (r)
		return r;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_getstacksize(&attributes, &usual);
	pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = create(&thread, &attributes, run, NULL);
	if (r == EINVAL) {
		/* The program's thread-local variables lie on the stack, and leave no room. */
		pthread_attr_setstacksize(&attributes, usual);
		r = create(&thread, &attributes, run, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return r;
}

int helper_start(thread_create *create)
{
	bool started = false;
	uint32_t state = CLOCK_STOPPED, ticking = CLOCK_TICKING;
	if (load_rlx(&x_started) || !load_rlx(&options.x_helper) ||
		!cas_rlx(&x_started, &started, true) ||
		!cas_rlx(&clock_now.x_state, &state, CLOCK_TICKING))
		return 0;
	int saved = errno;
	int r = create_detached(create);
	if (r) {
		/* Everything works without it; the next thread's creation tries again. */
		cas_rlx(&clock_now.x_state, &ticking, CLOCK_STOPPED);
		store_rlx(&x_started, false);
	}
	errno = saved;
	return r;
}

void helper_forked(void)
{
	store_rlx(&x_busy, false);
	/* A handler of a signal may have forked in the middle of one. */
	store_rlx(&x_paused, pauses);
	store_rlx(&clock_now.x_state, CLOCK_STOPPED);
	store_rlx(&x_started, false);
	reap_forked();
}
