/*
 * stress_fork: all threads allocate and free while all of them fork. The child
 * finds its thread's blocks and those that a quiet thread left intact, frees
 * them, allocates, starts a thread of its own and exits with 0.
 */
#include "common.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LEGACY = 200, CHILD_SECONDS = 30 };

/* Made by main before the round; main waits, so each child owns a sound copy. */
static struct bag legacy;

static void churn(struct worker *w, size_t times)
{
	struct bag *bag = &w->bag;

	for (; times > 0; times--) {
		struct item it;
		size_t top = random_chance(w, 1) ? 3 * MIB : random_chance(w, 10) ? 128 * KIB : KIB;

		if (random_chance(w, 80) ? item_new(w, &it, random_size(w, 0, top))
					 : item_zeroed(w, &it, random_size(w, 0, top)))
			bag_put(bag, &it);
		while (bag->count > 200) {
			it = bag_pick(w, bag);
			item_free(&it);
		}
	}
}

static void *grandchild_main(void *arg)
{
	struct worker *w = arg;

	churn(w, 500);
	bag_drain(w, &w->bag);
	return NULL;
}

static void __attribute__((noreturn)) child_main(struct worker *w)
{
	struct bag *own = &w->bag;
	uint64_t made = w->serial;

	/* A default action: no handler can get stuck. */
	signal(SIGALRM, SIG_DFL);
	alarm(CHILD_SECONDS);
	/* The budget is a copy that counts other threads' blocks; give ourselves some. */
	budget_return(16 * MIB);
	churn(w, 100);
	bag_drain(w, &legacy);
	churn(w, 300);
	bag_drain(w, own);
	hak_purge();
	/* ThreadSanitizer ends a program that starts threads after such a fork. */
	if (!TSAN) {
		pthread_t thread = thread_start(grandchild_main, w);

		thread_join(thread);
	}
	churn(w, 100);
	bag_drain(w, own);
	if (w->serial < made + 400)
		fail("a child had no budget to allocate: an error of this program");
	_exit(0);
}

static void run_child(struct worker *w)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		fail("fork: %s", strerror(errno));
	if (child == 0)
		child_main(w);
	churn(w, 100);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			fail("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status))
		fail("a child was ended by signal %d%s", WTERMSIG(status),
			WTERMSIG(status) == SIGALRM ? ": it hung" : "");
	if (status != 0)
		fail("a child exited with %d", WEXITSTATUS(status));
}

static void work(struct worker *w)
{
	for (size_t n = effort(24); n > 0 && keep_going(w); n--) {
		churn(w, random_below(w, 2000));
		run_child(w);
	}
	bag_drain(w, &w->bag);
}

static void before(void)
{
	for (unsigned i = 0; i < LEGACY; i++) {
		struct item it;

		if (item_new(main_worker(), &it, random_size(main_worker(), 0, 32 * KIB)))
			bag_put(&legacy, &it);
	}
}

static void after(void)
{
	bag_drain(main_worker(), &legacy);
}

const struct program program = {
	.name = "stress_fork",
	.budget = 64 * MIB,
	.before = before,
	.work = work,
	.after = after,
};
