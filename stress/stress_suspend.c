/*
 * stress_suspend: a thread is stopped at a random instruction, by a signal
 * whose handler waits, and while it stands every other one must go on: each has
 * to complete OPERATIONS more. The threads do nothing but allocate, resize,
 * free, pass blocks on, purge and end, so most stops meet them in the
 * allocator; the symbols of this program say in which function.
 *
 * The last stop of a round lasts until all others have freed and purged
 * everything: what is then resident beside the stopped thread's blocks is what
 * one stop strands.
 *
 * SUSPEND_PLANT=lock puts a mutex around every operation: must fail.
 */
#include "common.h"
#include "suspend.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
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
	STOPS = 500,      /* in a round */
};
#define STRANDED_MAX (48 * MIB)

/* The thread that is working for a worker, which changes where threads end. */
struct lane {
	_Alignas(64) _Atomic uint64_t done; /* operations */
	_Atomic int tid;                    /* 0: none that may be stopped */
	_Atomic bool inside;                /* between call and return of the allocator */
	_Atomic bool left;                  /* has freed and purged all, this round is over */
	_Atomic size_t held;                /* bytes in `blocks` */
	unsigned count;
	struct block *blocks[HOLD + 1];
};

/* What the one stop that is under way is at; each stop has values of its own. */
enum { IDLE, WANTED, STOPPED, STATES };

static struct lane lanes[THREADS_MAX + 1]; /* one is main's */
static struct block *_Atomic mailbox[SLOTS];
static _Atomic uint32_t stop_state; /* futex word */
static _Atomic int stop_tid;
static _Atomic uintptr_t stop_pc;
static _Atomic int stop_lane;              /* the one that is stopped, else -1 */
static _Atomic uint64_t goal[THREADS_MAX]; /* operations at which a lane may rest */
static _Atomic bool round_over;
static _Atomic uint64_t ends; /* threads that have ended */
static pthread_t stopper;
static pthread_key_t first_key, last_key;
static pthread_mutex_t planted = PTHREAD_MUTEX_INITIALIZER;
static bool plant;

static struct {
	uint64_t stops, inside, below, missed;
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

/* Async-signal-safe: atomics and system calls only. */
static void on_stop(int sig, siginfo_t *info, void *context)
{
	const ucontext_t *c = context;
	uint32_t state = atomic_load(&stop_state);
	int saved = errno;

	(void)sig;
	(void)info;
	/* A signal of an earlier stop may come late, and is not for this one. */
	if (state % STATES != WANTED || atomic_load(&stop_tid) != gettid())
		return;
	atomic_store(&stop_pc, (uintptr_t)c->uc_mcontext.gregs[REG_RIP]);
	if (atomic_compare_exchange_strong(&stop_state, &state, state + 1))
		while (atomic_load(&stop_state) == state + 1)
			syscall(SYS_futex, &stop_state, FUTEX_WAIT_PRIVATE, state + 1, NULL, NULL,
				0);
	errno = saved;
}

static void may_stop(bool may)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(may ? SIG_UNBLOCK : SIG_BLOCK, &set, NULL);
}

/* Around every call of the allocator, and nothing else. */
static void enter(struct worker *w)
{
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
	enter(w);
	hak_free(b);
	leave(w);
}

static void resize(struct worker *w)
{
	struct block *b = pick(w);
	size_t size = draw_size(w);
	uint64_t mark = b->mark;

	check(b, ~(uintptr_t)b);
	enter(w);
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

	enter(w);
	b = hak_alloc(size, align, 0);
	leave(w);
	keep(w, b, size);
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
		enter(w);
		hak_purge();
		leave(w);
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
	enter(worker);
}

static void ended(void *worker)
{
	struct worker *w = worker;

	leave(w);
	count_done(w);
	atomic_store(&lanes[w->id].tid, 0);
	may_stop(false);
}

static void *short_life(void *arg)
{
	struct worker *w = arg;

	pthread_setspecific(first_key, w);
	pthread_setspecific(last_key, w);
	atomic_store(&lanes[w->id].tid, gettid());
	may_stop(true);
	steps(w, 20 + random_size(w, 16, 8192));
	return NULL;
}

/* A lane is a thread after the other: libc's part of beginning and ending has locks, no stops. */
static void work(struct worker *w)
{
	may_stop(false);
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

static bool stop(unsigned lane)
{
	int tid = atomic_load(&lanes[lane].tid);
	double limit = now_ms() + 20;
	uint32_t wanted = atomic_load(&stop_state) + WANTED;

	if (tid == 0)
		return false;
	atomic_store(&stop_tid, tid);
	atomic_store(&stop_state, wanted);
	if (syscall(SYS_tgkill, getpid(), tid, SIGUSR1) == 0)
		while (atomic_load(&stop_state) == wanted && now_ms() < limit)
			nap(5000);
	return !atomic_compare_exchange_strong(&stop_state, &wanted, wanted - WANTED + STATES);
}

static void go_on(void)
{
	atomic_store_explicit(&stop_lane, -1, memory_order_release);
	atomic_fetch_add(&stop_state, STATES - STOPPED);
	syscall(SYS_futex, &stop_state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void record(unsigned lane)
{
	bool in = symbols_is_allocator(atomic_load(&stop_pc), true);

	seen.stops++;
	seen.inside += in;
	seen.below += !in && atomic_load(&lanes[lane].inside);
}

/* All but the stopped one must do so many operations more. */
static void require_progress(unsigned stopped)
{
	double begin = now_ms(), least = seen.stops % LONG_EVERY == 0 ? LONG_MS : 0;

	for (unsigned i = 0; i < threads; i++)
		atomic_store_explicit(
			&goal[i], atomic_load(&lanes[i].done) + OPERATIONS, memory_order_relaxed);
	atomic_store_explicit(&stop_lane, (int)stopped, memory_order_release);
	for (unsigned i = 0; i < threads; i++) {
		while (i != stopped && atomic_load(&lanes[i].done) < atomic_load(&goal[i])) {
			if (now_ms() > begin + STALL_MS)
				fail("thread %u did not go on while thread %u was stopped in %s "
				     "(stop %llu)",
					i, stopped, symbols_name(atomic_load(&stop_pc)),
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
static void strand(unsigned lane)
{
	size_t held = 0, before, after, stranded;
	bool stopped = stop(lane);

	if (stopped) {
		record(lane);
		held = atomic_load(&lanes[lane].held);
	}
	atomic_store(&round_over, true);
	if (stopped) {
		wait_left(lane);
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
		fail("a thread stopped in %s strands %zu KiB", symbols_name(atomic_load(&stop_pc)),
			stranded / KIB);
}

static void *stop_threads(void *unused)
{
	struct worker *w = main_worker();

	(void)unused;
	prctl(PR_SET_TIMERSLACK, 1);
	for (unsigned n = 0; n < STOPS && keep_going(w); n++) {
		unsigned lane = (unsigned)random_below(w, threads);

		w->asked_time = 63;
		nap((long)random_below(w, 200000));
		if (!stop(lane)) {
			seen.missed++;
			continue;
		}
		record(lane);
		require_progress(lane);
		go_on();
	}
	strand((unsigned)random_below(w, threads));
	return NULL;
}

static void prepare(void)
{
	struct sigaction action = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO | SA_RESTART};

	plant = getenv("SUSPEND_PLANT") != NULL;
	symbols_read();
	sigaction(SIGUSR1, &action, NULL);
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
}

__attribute__((destructor)) static void show(void)
{
	if (seen.stops == 0)
		return;
	printf("stress_suspend: %llu stops, %llu in the allocator, %llu in what it called, %llu "
	       "missed; %llu threads; stranded %zu KiB at most, %zu on average\n",
		(unsigned long long)seen.stops, (unsigned long long)seen.inside,
		(unsigned long long)seen.below, (unsigned long long)seen.missed,
		(unsigned long long)atomic_load(&ends), seen.stranded_most / KIB,
		seen.stranded_times ? seen.stranded_sum / seen.stranded_times / KIB : 0);
	symbols_print();
}

const struct program program = {
	.name = "stress_suspend",
	.budget = 128 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
