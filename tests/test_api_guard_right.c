/*
 * Guarded blocks (option guard_sample) are blocks as others are: contents, sizes, alignments and
 * counts are right; slots run out and come back; forked children keep theirs; about one allocation of
 * n is guarded, however soon blocks are used again; limits and missing memory stand before them.
 */
#include "api.h"

#include "hakmem.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { PAGE = 4096 };

static void (*stats)(struct hak_stats *, size_t);

static struct hak_stats now(void)
{
	struct hak_stats s;

	stats(&s, sizeof s);
	return s;
}

static void one_is_right(char *p, size_t bytes, size_t align)
{
	CHECK(p && (uintptr_t)p % align == 0, "%p of %zu bytes at multiples of %zu", (void *)p,
		bytes, align);
	CHECK(a_usable_size(p) >= bytes, "%zu bytes of %zu", a_usable_size(p), bytes);
	pattern_fill(p, bytes, (uintptr_t)p);
	CHECK(pattern_ok(p, bytes, (uintptr_t)p), "pattern");
}

static void blocks_are_right(void)
{
	uint64_t ever = now().guarded_ever, made = 0;

	for (size_t bytes = 0; bytes <= 3 * PAGE; bytes += bytes / 3 + 1) {
		char *p = a_malloc(bytes), *zeroed = a_calloc(1, bytes + 1);

		one_is_right(p, bytes, 16);
		CHECK(all_zero(zeroed, bytes + 1), "calloc of %zu", bytes + 1);
		one_is_right(zeroed, bytes + 1, 16);
		for (size_t align = 16; align <= 2 * PAGE; align *= 2) {
			char *q = a_aligned_alloc(align, bytes);

			one_is_right(q, bytes, align);
			errno = 77;
			a_free_aligned_sized(q, align, bytes);
			CHECK(errno == 77, "errno %d", errno);
			made += bytes <= PAGE && align <= PAGE;
		}
		made += (bytes <= PAGE) + (bytes + 1 <= PAGE);
		pattern_fill(p, bytes, 5);
		for (size_t to = 2 * bytes + 1; to > 0; to /= 3) {
			p = a_realloc(p, to);
			CHECK(pattern_ok(p, to < bytes ? to & ~(size_t)7 : bytes & ~(size_t)7, 5),
				"realloc from %zu to %zu", bytes, to);
			one_is_right(p, to, 16);
			pattern_fill(p, to < bytes ? to : bytes, 5);
		}
		a_free(p);
		a_free_sized(zeroed, bytes + 1);
	}
	CHECK(now().guarded == 0, "%lu blocks are guarded", now().guarded);
	CHECK(now().guarded_ever >= ever + made && now().guard_missed == 0,
		"%lu were guarded of %lu at least, %lu missed", now().guarded_ever - ever, made,
		now().guard_missed);
}

/* A freed block's address is not had again soon. */
static void quarantined(void)
{
	for (int round = 0; round < 20; round++) {
		char *first = a_malloc(100);

		a_free(first);
		for (int i = 0; i < 10; i++) {
			char *p = a_malloc(100);

			CHECK((uintptr_t)p / PAGE != (uintptr_t)first / PAGE, "used again after %d",
				i);
			a_free(p);
		}
	}
}

static void slots_run_out(void)
{
	enum { MANY = 1000 };
	static char *held[MANY];
	struct hak_stats s;

	for (int i = 0; i < MANY; i++) {
		held[i] = a_malloc(64);
		one_is_right(held[i], 64, 16);
	}
	s = now();
	CHECK(s.guarded > 10 && s.guarded < MANY && s.guard_missed > 0,
		"%lu of %d guarded, %lu missed", s.guarded, MANY, s.guard_missed);
	CHECK(s.live_blocks >= MANY && s.live >= MANY * 64, "%lu live blocks of %lu bytes",
		s.live_blocks, s.live);
	/* The only free slot waits. */
	a_free(held[0]);
	held[0] = a_malloc(64);
	pattern_fill(held[0], 64, (uintptr_t)held[0]);
	CHECK(now().guarded == s.guarded - 1, "%lu guarded, after one of %lu was freed",
		now().guarded, s.guarded);
	for (int i = 0; i < MANY; i++) {
		CHECK(pattern_ok(held[i], 64, (uintptr_t)held[i]), "block %d", i);
		a_free(held[i]);
	}
	held[0] = a_malloc(64);
	CHECK(now().guarded == 1, "%lu guarded after all were freed", now().guarded);
	a_free(held[0]);
}

static void child_keeps(void)
{
	char *p;
	int status;
	pid_t pid;

	p = a_malloc(200);
	pattern_fill(p, 200, 9);
	pid = fork();
	if (pid == 0) {
		struct rlimit none = {0, 0};

		CHECK(pattern_ok(p, 200, 9), "the child's block");
		a_free(p);
		a_free(a_malloc(100));
		setrlimit(RLIMIT_CORE, &none);
		close(2);
		(void)*(volatile char *)p;
		_exit(3);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid, "fork: %s", strerror(errno));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "the child: status %#x", status);
	CHECK(pattern_ok(p, 200, 9), "the parent's block");
	a_free(p);
}

/* About one of n, whether blocks are used again at once or not. */
static void one_of_hundred(void)
{
	enum { TRIES = 100000, BATCH = 50, ONE_OF = 100 };
	char *held[BATCH];
	uint64_t before = now().guarded_ever + now().guard_missed, pairs, batches;

	for (int i = 0; i < TRIES; i++)
		a_free(a_malloc(48));
	pairs = now().guarded_ever + now().guard_missed - before;
	for (int i = 0; i < TRIES / BATCH; i++) {
		for (int k = 0; k < BATCH; k++)
			held[k] = a_malloc(1500);
		for (int k = 0; k < BATCH; k++)
			a_free(held[k]);
	}
	batches = now().guarded_ever + now().guard_missed - before - pairs;
	/* Six times the deviation. */
	uint64_t wanted = TRIES / ONE_OF, slack = wanted / 5;
	CHECK(pairs + slack > wanted && pairs < wanted + slack, "%lu of %d pairs, not 1 of %d",
		pairs, TRIES, ONE_OF);
	CHECK(batches + slack > wanted && batches < wanted + slack,
		"%lu of %d in batches, not 1 of %d", batches, TRIES, ONE_OF);
}

static void *few_calls(void *unused)
{
	for (int i = 0; i < 10; i++)
		a_free(a_malloc(48));
	return unused;
}

/* The first calls of a thread are as likely. What pthread_create itself allocates comes on top. */
static void short_threads(void)
{
	enum { THREADS = 2000, CALLS = 10, ONE_OF = 100, WANTED = THREADS * CALLS / ONE_OF };
	uint64_t before = now().guarded_ever + now().guard_missed, seen;

	for (int i = 0; i < THREADS; i++) {
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, few_calls, NULL) == 0, "pthread_create");
		pthread_join(thread, NULL);
	}
	seen = now().guarded_ever + now().guard_missed - before;
	CHECK(seen > WANTED * 6 / 10 && seen < WANTED * 2, "%lu of %d, not 1 of %d", seen,
		THREADS * CALLS, ONE_OF);
}

/* Where there may be no more memory, blocks are had that are not guarded: every other one was not. */
static void within_limits(void)
{
	uint64_t missed, ever;

	for (int i = 0; i < 50; i++)
		one_is_right(a_malloc(64), 64, 16);
	for (size_t bytes = 30000; bytes > 4096; bytes /= 2)
		while (a_malloc(bytes))
			;
	missed = now().guard_missed;
	ever = now().guarded_ever;
	for (int i = 0; i < 200; i++)
		one_is_right(a_malloc(64), 64, 16);
	CHECK(ever > 0 && now().guarded_ever < ever + 20 && now().guard_missed > missed + 20,
		"%lu guarded, %lu more, %lu missed", ever, now().guarded_ever - ever,
		now().guard_missed - missed);
}

static const struct right {
	const char *name, *sample;
	void (*body)(void);
} rights[] = {
	{"blocks", "1", blocks_are_right},
	{"quarantine", "1", quarantined},
	{"slots", "1", slots_run_out},
	{"fork", "1", child_keeps},
	{"sampled", "100", one_of_hundred},
	{"threads", "100", short_threads},
	{"limit", "2", within_limits},
};

int main(int argc, char **argv)
{
	static struct child child;

	api_begin();
	*(void **)&stats = dlsym(RTLD_DEFAULT, "hak_stats");
#if TEST_FORM_HAK
	stats = hak_stats;
#endif
	for (size_t i = 0; i < sizeof rights / sizeof *rights; i++) {
		char *again[] = {argv[0], (char *)rights[i].name, NULL};
		bool limited = rights[i].body == within_limits;

		if (argc == 2 && !strcmp(argv[1], rights[i].name)) {
			rights[i].body();
			return 0;
		}
		if (argc == 2)
			continue;
		setenv("HAKMEM_GUARD_SAMPLE", rights[i].sample, 1);
		setenv("HAKMEM_LIMIT", limited ? "hard:4M" : "none", 1);
		child_exec(&child, again, environ);
		CHECK(child_exited(&child, 0), "%s: %s", rights[i].name, child_what(&child));
	}
	CHECK(argc == 1, "there is no %s", argv[1]);
	return 0;
}
