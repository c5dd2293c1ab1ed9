/*
 * fork from a signal handler that interrupted malloc or free: the child allocates in the handler
 * or goes on with what was interrupted; so does the parent.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 400, BLOCKS = 64 };

/* The archive is for handlers that allocate only when it is built with GUARD=1. */
#if TEST_FORM_HAK && !defined(HAK_GUARD)
enum { MAY_ALLOCATE = 0 };
#else
enum { MAY_ALLOCATE = 1 };
#endif

static volatile sig_atomic_t forks, in_child, child_left;
static atomic_bool x_stop;

static void on_signal(int signal_number)
{
	int saved = errno, status = -1;
	pid_t pid;

	(void)signal_number;
	if (in_child || forks >= FORKS)
		return;
	forks = forks + 1;
	pid = fork();
	CHECK(pid >= 0, "fork: %s", strerror(errno));
	if (pid == 0) {
		alarm(30);
		in_child = 1;
		child_left = 500;
		if (forks % 2 || !MAY_ALLOCATE)
			return;
		for (int i = 0; i < 50; i++) {
			char *block = a_malloc((size_t)i * 400 + 1);

			CHECK(block, "malloc in the child");
			memset(block, 1, (size_t)i * 400 + 1);
			a_free(block);
		}
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "child %d ended with status %#x%s",
		(int)forks, (unsigned)status,
		WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM ? " (it hung)" : "");
	errno = saved;
}

static void *busy(void *argument)
{
	uint64_t seed = (uintptr_t)argument;

	while (!atomic_load_explicit(&x_stop, memory_order_relaxed))
		a_free(a_malloc(rng_next(&seed) % 5000));
	return NULL;
}

static void start_timer(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct itimerval each = {{0, 900}, {0, 900}};

	sigaction(SIGVTALRM, &action, NULL);
	setitimer(ITIMER_VIRTUAL, &each, NULL);
}

int main(void)
{
	void *block[BLOCKS] = {0};
	uint64_t seed = 1;
	pthread_t thread;
	sigset_t set;

	if (TEST_SANITIZED)
		test_skip("the sanitizers' own allocators do not allow fork in a handler");
	api_begin();
	sigemptyset(&set);
	sigaddset(&set, SIGVTALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	CHECK(pthread_create(&thread, NULL, busy, (void *)1) == 0, "pthread_create");
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	start_timer();
	/* Nothing but malloc and free, so that nearly every signal falls into them. */
	while (forks < FORKS) {
		uint64_t draw = rng_next(&seed);
		size_t bytes = draw % ((size_t)32 << (draw >> 56) % 13);

		a_free(block[draw % BLOCKS]);
		block[draw % BLOCKS] = a_malloc(bytes);
		CHECK(block[draw % BLOCKS], "malloc(%zu)", bytes);
		if (in_child) {
			child_left = child_left - 1;
			if (child_left == 0)
				_exit(0);
		}
	}
	/* A child forked by the last signal ends here rather than in the loop. */
	if (in_child)
		_exit(0);
	atomic_store(&x_stop, true);
	pthread_join(thread, NULL);
	for (int i = 0; i < BLOCKS; i++)
		a_free(block[i]);
	return 0;
}
