/*
 * common.c: main() of every stress program: arguments, the threads and their
 * rounds, and what must hold between rounds (hak_verify, no live block left)
 * and at the end (no thread's heap left, bounded resident memory).
 */
#include "common.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

unsigned threads = 4;
struct worker *workers;
struct hak_stats baseline;

static uint64_t seed;
static double seconds = 5;
static double deadline;
static pthread_barrier_t barrier;
static bool finished; /* written and read on either side of the barrier */
static unsigned current_round;

void fail(const char *format, ...)
{
	char line[512];
	va_list args;
	int n;

	n = snprintf(line, sizeof line, "%s: FAIL (seed %llu): ", program.name,
		(unsigned long long)seed);
	va_start(args, format);
	n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
	va_end(args);
	if (n > (int)sizeof line - 2)
		n = sizeof line - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) != n)
		_exit(2);
	_exit(1);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

bool keep_going(struct worker *w)
{
	if (!w->time_is_up && ++w->asked_time % 64 == 0)
		w->time_is_up = now() > deadline;
	return !w->time_is_up;
}

size_t effort(size_t times)
{
	size_t n = TSAN ? times / 8 : SANITIZED ? times / 2 : times;

	return n > 0 ? n : 1;
}

struct worker *main_worker(void)
{
	return &workers[threads];
}

pthread_t thread_start(void *(*body)(void *), void *arg)
{
	pthread_t thread;
	int error = pthread_create(&thread, NULL, body, arg);

	if (error != 0)
		fail("pthread_create: %s", strerror(error));
	return thread;
}

void thread_join(pthread_t thread)
{
	int error = pthread_join(thread, NULL);

	if (error != 0)
		fail("pthread_join: %s", strerror(error));
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

uint64_t random_word(struct worker *w)
{
	w->rng += 0x9e3779b97f4a7c15u;
	return mix(w->rng);
}

size_t random_below(struct worker *w, size_t limit)
{
	return (size_t)(random_word(w) >> 11) % limit;
}

bool random_chance(struct worker *w, unsigned percent)
{
	return random_below(w, 100) < percent;
}

size_t random_size(struct worker *w, size_t low, size_t high)
{
	unsigned first = 63u - (unsigned)__builtin_clzll(low | 1);
	unsigned last = 63u - (unsigned)__builtin_clzll(high | 1);
	size_t base = (size_t)1 << (first + random_below(w, last - first + 1));
	size_t size = random_chance(w, 12) ? base - 8 + random_below(w, 17)
					   : base + random_below(w, base);

	/* base - 8 wraps for the smallest sizes, and is then above `high`. */
	if (size < low || base < 8)
		return low;
	return size > high ? high : size;
}

static void worker_begin(struct worker *w)
{
	w->round = current_round;
	w->rng = mix(seed ^ mix((uint64_t)w->id << 32 | current_round));
	w->posted = 0;
	w->bag.count = 0;
	atomic_store_explicit(&w->sent, 0, memory_order_relaxed);
	atomic_store_explicit(&w->claimed, 0, memory_order_relaxed);
	atomic_store_explicit(&w->closed, false, memory_order_relaxed);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		pthread_barrier_wait(&barrier);
		if (finished)
			return NULL;
		program.work(w);
		pthread_barrier_wait(&barrier);
	}
}

static void stats_read(struct hak_stats *s)
{
	memset(s, 0, sizeof *s);
	hak_stats(s, sizeof *s);
}

static void check_empty(const char *when)
{
	struct hak_stats s;

	stats_read(&s);
	if (s.live != baseline.live || s.live_blocks != baseline.live_blocks)
		fail("%s %u: %lld bytes in %lld blocks are live, all were freed", when,
			current_round, (long long)(s.live - baseline.live),
			(long long)(s.live_blocks - baseline.live_blocks));
	if (s.whales != baseline.whales || s.whale_bytes != baseline.whale_bytes)
		fail("%s %u: %lld whales with %lld bytes are live, all were freed", when,
			current_round, (long long)(s.whales - baseline.whales),
			(long long)(s.whale_bytes - baseline.whale_bytes));
}

/* A heap for main and one for a helper thread of the library may have come to stay. */
static void check_heaps(void)
{
	struct hak_stats s;

	stats_read(&s);
	if (s.heaps_live > baseline.heaps_live + 2)
		fail("%llu heaps are in use, all threads have ended and %llu were at the start",
			(unsigned long long)s.heaps_live, (unsigned long long)baseline.heaps_live);
}

/*
 * Catches memory that is freed but never used again. Not for sanitizers, whose
 * shadow counts too.
 */
static void check_resident(void)
{
	size_t limit = 2 * program.budget + 96 * MIB;
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	if (!SANITIZED && (size_t)usage.ru_maxrss * KIB > limit)
		fail("%ld KiB were resident, %zu MiB suffice for %zu MiB of blocks",
			usage.ru_maxrss, limit / MIB, program.budget / MIB);
}

static void run_rounds(void)
{
	pthread_t ids[THREADS_MAX];

	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (unsigned i = 0; i < threads; i++)
		ids[i] = thread_start(worker_main, &workers[i]);
	do {
		current_round++;
		for (unsigned i = 0; i <= threads; i++)
			worker_begin(&workers[i]);
		if (program.before != NULL)
			program.before();
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		hak_verify();
		if (program.after != NULL)
			program.after();
		check_empty("after round");
		hak_verify();
	} while (now() < deadline && !(program.enough != NULL && program.enough()));
	finished = true;
	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < threads; i++)
		thread_join(ids[i]);
	pthread_barrier_destroy(&barrier);
}

static void __attribute__((noreturn)) usage_error(const char *what, const char *value)
{
	fprintf(stderr, "%s: %s: %s (usage: [--seconds S] [--threads 1-%d] [--seed N])\n",
		program.name, what, value, THREADS_MAX);
	exit(2);
}

static void read_args(int argc, char **argv)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	seed = mix((uint64_t)t.tv_nsec ^ (uint64_t)t.tv_sec << 30 ^ (uint64_t)getpid() << 50) >> 32;
	for (int i = 1; i < argc; i += 2) {
		char *end;

		if (strcmp(argv[i], "--seed") != 0 && strcmp(argv[i], "--seconds") != 0 &&
			strcmp(argv[i], "--threads") != 0)
			usage_error("unknown option", argv[i]);
		if (i + 1 == argc)
			usage_error("the value is missing", argv[i]);
		errno = 0;
		if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], &end, 0);
		else if (strcmp(argv[i], "--seconds") == 0)
			seconds = strtod(argv[i + 1], &end);
		else
			threads = (unsigned)strtoul(argv[i + 1], &end, 10);
		if (errno != 0 || end == argv[i + 1] || *end != 0)
			usage_error("not a number", argv[i + 1]);
		if (threads < 1 || threads > THREADS_MAX)
			usage_error("not a number of threads", argv[i + 1]);
		if (!(seconds > 0 && seconds <= 86400))
			usage_error("not a number of seconds", argv[i + 1]);
	}
}

static void on_alarm(int signal)
{
	(void)signal;
	fail("did not end in time: a thread waits or spins for ever");
}

/* Its delay as short as can be, so that it meets the workers all the time; huge pages at once. */
static void start_helper(void)
{
	if (program.alone)
		return;
	if (hak_option_set("purge_delay_ms", "10") != 0 || hak_option_set("huge_from", "0") != 0 ||
		hak_helper_start() != 0)
		fail("the helper thread does not start: %s", strerror(errno));
}

int main(int argc, char **argv)
{
	double begin = now();
	uint64_t items = 0;

	read_args(argc, argv);
	printf("%s: seed %llu, %u threads, %g s\n", program.name, (unsigned long long)seed, threads,
		seconds);
	fflush(stdout);
	signal(SIGALRM, on_alarm);
	alarm((unsigned)seconds * 2 + 60);
	deadline = begin + seconds;
	/* From libc: its memory is not what is tested. */
	workers = aligned_alloc(64, (threads + 1) * sizeof *workers);
	if (workers == NULL)
		fail("no memory for %u workers", threads);
	memset(workers, 0, (threads + 1) * sizeof *workers);
	for (unsigned i = 0; i <= threads; i++)
		workers[i].id = i;
	start_helper();
	stats_read(&baseline);
	run_rounds();
	hak_verify();
	check_empty("at the end, round");
	check_heaps();
	check_resident();
	for (unsigned i = 0; i <= threads; i++)
		items += workers[i].serial;
	if (items == 0)
		fail("no block was made");
	free(workers);
	printf("%s: ok, %u rounds, %llu blocks, %.1f s\n", program.name, current_round,
		(unsigned long long)items, now() - begin);
	return 0;
}
