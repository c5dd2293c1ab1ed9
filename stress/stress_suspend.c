/*
 * stress_suspend: a thread is stopped at a random instruction, by a signal
 * whose handler waits, and while it stands every other one must go on: each has
 * to complete OPERATIONS more. The threads do nothing but allocate, resize,
 * free, pass blocks on, use and destroy heaps, purge and end. A signal that does
 * not meet a call of the allocator is sent again; the symbols of this program say
 * in which function it was, and only what is in the allocator counts as a stop.
 *
 * The last stop of a round lasts until all others have freed and purged
 * everything: what is then resident beside the stopped thread's blocks is what
 * one stop strands.
 *
 * SUSPEND_PLANT=lock, a mutex around every operation, must fail; SUSPEND_STOPS=n: so many.
 */
#include "common.h"
#include "suspend.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* The first words of a block; its last word is `mark` again. */
struct block {
	size_t size;
	uint64_t mark;
};

enum {
	SLOTS = 64,
	HOLD = 48,       /* blocks that a thread has at one time */
	OPERATIONS = 32, /* of each other thread during a stop */
	LONG_EVERY = 32, /* one stop in so many lasts for LONG_MS at least */
	LONG_MS = 5,
	STALL_MS = 10000, /* without those operations: somebody waits for the stopped thread */
	PLANTED_MS = 2000,
	STOPS = 500, /* in a round */
};

/* Of one heap: 4 MiB of partly free pages, 1 MiB of cached blocks, about 1 MiB of pages in use and
 * stashes; a batch of 4 MiB to purge; and that once more in part, of a heap that was leased. */
#define STRANDED_MAX (12 * MIB)

/* The thread that is working for a worker, which changes where threads end. */
struct lane {
	_Alignas(64) _Atomic uint64_t done; /* operations */
	_Atomic int tid;                    /* 0: none that may be stopped */
	_Atomic bool inside;                /* between call and return of the allocator */
	_Atomic bool left;                  /* has freed and purged all, this round is over */
	_Atomic size_t held;                /* bytes in `blocks` */
	_Atomic size_t in_hand;             /* bytes that the call is about */
	unsigned count;
	struct block *blocks[HOLD + 1];
};

static struct lane lanes[THREADS_MAX + 1]; /* one is main's */
static struct block *_Atomic mailbox[SLOTS];
static _Atomic int stop_lane;              /* the one that is stopped, else -1 */
static _Atomic uint64_t goal[THREADS_MAX]; /* operations at which a lane may rest */
static _Atomic bool round_over;
static _Atomic uint64_t ends; /* threads that have ended */
static pthread_t stopper;
static pthread_key_t first_key, last_key;
static pthread_mutex_t planted = PTHREAD_MUTEX_INITIALIZER;
static bool plant;
static uint64_t wanted_stops;
static hak_heap *shared; /* of all lanes in a round */

static struct {
	uint64_t stops, below;
	size_t stranded_most, stranded_sum;
	uint64_t stranded_times;
} seen;

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void nap(long ns)
{
	nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

/* ---- The threads that are stopped ----------------------------------------------------------- */

/* Around every call of the allocator, and nothing else. */
static void enter(struct worker *w, size_t bytes)
{
	atomic_store_explicit(&lanes[w->id].in_hand, bytes, memory_order_relaxed);
	atomic_store_explicit(&lanes[w->id].inside, true, memory_order_relaxed);
	if (plant)
		pthread_mutex_lock(&planted);
}

static void leave(struct worker *w)
{
	if (plant)
		pthread_mutex_unlock(&planted);
	atomic_store_explicit(&lanes[w->id].inside, false, memory_order_relaxed);
}

/* One operation is done. Those that have done enough leave the processor to the others. */
static void count_done(struct worker *w)
{
	struct lane *l = &lanes[w->id];
	uint64_t done = atomic_load_explicit(&l->done, memory_order_relaxed) + 1;
	int stopped = atomic_load_explicit(&stop_lane, memory_order_acquire);

	atomic_store_explicit(&l->done, done, memory_order_relaxed);
	if (stopped >= 0 && stopped != (int)w->id &&
		done >= atomic_load_explicit(&goal[w->id], memory_order_relaxed))
		nap(20000);
}

static size_t draw_size(struct worker *w)
{
	size_t kind = random_below(w, 1000);

	return random_size(w, 24, kind < 2 ? 6 * MIB : kind < 40 ? 1 * MIB : 4 * KIB);
}

static uint64_t *last_word(struct block *b)
{
	return (uint64_t *)((char *)b + ((b->size & ~(size_t)7) - 8));
}

static void check(struct block *b, uint64_t mark)
{
	if (b->mark != mark || *last_word(b) != mark)
		fail("block %p of %zu bytes was written to", (void *)b, b->size);
}

static void keep(struct worker *w, struct block *b, size_t size)
{
	struct lane *l = &lanes[w->id];

	if (b == NULL)
		fail("no memory for %zu bytes", size);
	b->size = size;
	b->mark = ~(uintptr_t)b;
	*last_word(b) = b->mark;
	w->serial++;
	l->blocks[l->count++] = b;
	atomic_store_explicit(&l->held, l->held + size, memory_order_relaxed);
}

static struct block *pick(struct worker *w)
{
	struct lane *l = &lanes[w->id];
	size_t i = random_below(w, l->count);
	struct block *b = l->blocks[i];

	l->blocks[i] = l->blocks[--l->count];
	atomic_store_explicit(&l->held, l->held - b->size, memory_order_relaxed);
	return b;
}

static void release(struct worker *w, struct block *b)
{
	if (b == NULL)
		return;
	check(b, ~(uintptr_t)b);
	b->mark = 0;
	enter(w, b->size);
	hak_free(b);
	leave(w);
}

static void resize(struct worker *w)
{
	struct block *b = pick(w);
	size_t size = draw_size(w);
	uint64_t mark = b->mark;

	check(b, ~(uintptr_t)b);
	enter(w, b->size + size);
	b = hak_realloc(b, size);
	leave(w);
	if (b != NULL && b->mark != mark)
		fail("realloc to %zu bytes lost the contents", size);
	keep(w, b, size);
}

static void allocate(struct worker *w)
{
	size_t size = draw_size(w), align = random_chance(w, 5) ? 4096 : 0;
	struct block *b;

	enter(w, size);
	b = random_chance(w, 15) ? hak_heap_alloc(shared, size, align, 0)
				 : hak_alloc(size, align, 0);
	leave(w);
	keep(w, b, size);
}

/* A heap that ends with a block of its own in it. */
static void short_heap(struct worker *w)
{
	size_t size = random_size(w, 24, 256 * KIB);
	hak_heap *heap;
	void *block;

	enter(w, 0);
	heap = hak_heap_create();
	leave(w);
	if (heap == NULL)
		fail("no memory for a heap");
	enter(w, size);
	block = hak_heap_alloc(heap, size, 0, 0);
	leave(w);
	enter(w, size);
	if (random_chance(w, 50))
		hak_free(block);
	hak_heap_destroy(heap);
	leave(w);
}

/* To whoever comes by; what lay there before is freed here. */
static void give_away(struct worker *w)
{
	release(w, atomic_exchange(&mailbox[random_below(w, SLOTS)], pick(w)));
}

static void operate(struct worker *w)
{
	struct lane *l = &lanes[w->id];
	size_t kind = random_below(w, 1000);

	if (kind < 1 && random_chance(w, 20)) {
		enter(w, 0);
		hak_purge();
		leave(w);
	} else if (kind < 5) {
		short_heap(w);
	} else if (kind < 50 && l->count > 0) {
		resize(w);
	} else if (kind < 200) {
		release(w, atomic_exchange(&mailbox[random_below(w, SLOTS)], NULL));
	} else if (l->count < HOLD && (l->count == 0 || random_chance(w, 55))) {
		allocate(w);
	} else if (kind % 2) {
		give_away(w);
	} else {
		release(w, pick(w));
	}
	count_done(w);
}

static void steps(struct worker *w, size_t count)
{
	for (size_t n = 0; n < count && !atomic_load(&round_over); n++)
		operate(w);
}

/*
 * Destructors of keys run in the order in which the keys were made: the heap's is
 * after the first of these two and before the last, and may be stopped too.
 */
static void ending(void *worker)
{
	enter(worker, 0);
}

static void ended(void *worker)
{
	struct worker *w = worker;

	leave(w);
	count_done(w);
	atomic_store(&lanes[w->id].tid, 0);
	stop_allow(NULL, 0);
}

static void *short_life(void *arg)
{
	struct worker *w = arg;

	pthread_setspecific(first_key, w);
	pthread_setspecific(last_key, w);
	atomic_store(&lanes[w->id].tid, gettid());
	stop_allow(&lanes[w->id].inside, w->id);
	steps(w, 20 + random_size(w, 16, 8192));
	return NULL;
}

/* A lane is a thread after the other: libc's part of beginning and ending has locks, no stops. */
static void work(struct worker *w)
{
	while (!atomic_load(&round_over)) {
		thread_join(thread_start(short_life, w));
		atomic_fetch_add_explicit(&ends, 1, memory_order_relaxed);
	}
	while (lanes[w->id].count > 0)
		release(w, pick(w));
	hak_purge();
	atomic_store(&lanes[w->id].left, true);
}

/* ---- The one that stops them ---------------------------------------------------------------- */

static void record(void)
{
	bool in = symbols_is_allocator(stop_address(), true);

	seen.stops += in;
	seen.below += !in;
}

/* The lane of the thread that was stopped, or -1. */
static int stop(void)
{
	const _Atomic int *tids[THREADS_MAX];
	int lane;

	for (unsigned i = 0; i < threads; i++)
		tids[i] = &lanes[i].tid;
	lane = stop_any(tids, threads);
	if (lane >= 0)
		record();
	return lane;
}

static void go_on(void)
{
	atomic_store_explicit(&stop_lane, -1, memory_order_release);
	stop_end();
}

/* All but the stopped one must do so many operations more. */
static void require_progress(unsigned stopped)
{
	double begin = now_ms(), least = seen.stops % LONG_EVERY == 0 ? LONG_MS : 0;
	double stall = plant ? PLANTED_MS : STALL_MS;

	for (unsigned i = 0; i < threads; i++)
		atomic_store_explicit(
			&goal[i], atomic_load(&lanes[i].done) + OPERATIONS, memory_order_relaxed);
	atomic_store_explicit(&stop_lane, (int)stopped, memory_order_release);
	for (unsigned i = 0; i < threads; i++) {
		while (i != stopped && atomic_load(&lanes[i].done) < atomic_load(&goal[i])) {
			if (now_ms() > begin + stall)
				fail("thread %u did not go on while thread %u was stopped in %s "
				     "(stop %llu)",
					i, stopped, symbols_name(stop_address()),
					(unsigned long long)seen.stops);
			nap(20000);
		}
	}
	while (now_ms() < begin + least)
		nap(500000);
}

static size_t resident(void)
{
	unsigned long pages = 0, unused;
	FILE *file = fopen("/proc/self/statm", "r");

	if (file == NULL || fscanf(file, "%lu %lu", &unused, &pages) != 2)
		fail("/proc/self/statm cannot be read");
	fclose(file);
	return pages * 4 * KIB;
}

static void wait_left(unsigned except)
{
	double begin = now_ms();

	for (unsigned i = 0; i < threads; i++)
		while (i != except && !atomic_load(&lanes[i].left)) {
			if (now_ms() > begin + STALL_MS)
				fail("thread %u did not end while another was stopped", i);
			nap(100000);
		}
}

/* Ends the round with a stop; without one if the thread cannot be met. */
static void strand(void)
{
	size_t held = 0, before, after, stranded;
	int lane = stop();
	bool stopped = lane >= 0;
	if (stopped)
		held = atomic_load(&lanes[lane].held) + atomic_load(&lanes[lane].in_hand);
	atomic_store(&round_over, true);
	if (stopped) {
		wait_left((unsigned)lane);
		hak_purge();
		before = resident();
		go_on();
	}
	wait_left(UINT_MAX);
	if (!stopped || SANITIZED)
		return;
	hak_purge();
	after = resident();
	stranded = before > after + held ? before - after - held : 0;
	seen.stranded_sum += stranded;
	seen.stranded_times++;
	if (stranded > seen.stranded_most)
		seen.stranded_most = stranded;
	if (stranded > STRANDED_MAX)
		fail("a thread stopped in %s strands %zu KiB", symbols_name(stop_address()),
			stranded / KIB);
}

static void *stop_threads(void *unused)
{
	struct worker *w = main_worker();

	(void)unused;
	prctl(PR_SET_TIMERSLACK, 1);
	for (uint64_t until = seen.stops + STOPS; seen.stops < until && keep_going(w);) {
		int lane;

		w->asked_time = 63;
		nap((long)random_below(w, 50000));
		lane = stop();
		if (lane < 0)
			continue;
		require_progress((unsigned)lane);
		go_on();
	}
	strand();
	return NULL;
}

static void prepare(void)
{
	plant = getenv("SUSPEND_PLANT") != NULL;
	if (getenv("SUSPEND_STOPS") != NULL)
		wanted_stops = strtoull(getenv("SUSPEND_STOPS"), NULL, 10);
	symbols_read();
	stop_begin();
	pthread_key_create(&last_key, ended);
}

/* Keys are taken from the lowest number on: this one was made before any heap was. */
__attribute__((constructor)) static void make_first_key(void)
{
	pthread_key_create(&first_key, ending);
}

static void before(void)
{
	if (main_worker()->round == 1)
		prepare();
	shared = hak_heap_create();
	if (shared == NULL)
		fail("no memory for a heap");
	atomic_store(&round_over, false);
	atomic_store(&stop_lane, -1);
	for (unsigned i = 0; i < threads; i++)
		atomic_store(&lanes[i].left, false);
	stopper = thread_start(stop_threads, NULL);
}

static void after(void)
{
	thread_join(stopper);
	for (unsigned i = 0; i < SLOTS; i++)
		release(main_worker(), atomic_exchange(&mailbox[i], NULL));
	hak_heap_destroy(shared);
}

static bool enough(void)
{
	return wanted_stops != 0 && seen.stops >= wanted_stops;
}

__attribute__((destructor)) static void show(void)
{
	if (seen.stops == 0)
		return;
	printf("stress_suspend: %llu stops in the allocator, %llu in what it called, no stall; "
	       "%llu "
	       "signals; %llu threads; stranded %zu KiB at most, %zu on average\n",
		(unsigned long long)seen.stops, (unsigned long long)seen.below,
		(unsigned long long)stop_signals(), (unsigned long long)atomic_load(&ends),
		seen.stranded_most / KIB,
		seen.stranded_times ? seen.stranded_sum / seen.stranded_times / KIB : 0);
	symbols_print();
	if (seen.stops < wanted_stops)
		fail("%llu stops were wanted, there was no time for more than %llu",
			(unsigned long long)wanted_stops, (unsigned long long)seen.stops);
}

const struct program program = {
	.name = "stress_suspend",
	.budget = 128 * MIB,
	.before = before,
	.work = work,
	.after = after,
	.enough = enough,
};
