/*
 * The child of a multithreaded parent allocates and frees at once, blocks of the parent's other
 * threads too, starts threads and forks again.
 */
#include "api.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 256 };

struct note {
	size_t bytes;
	unsigned char payload[];
};

static _Atomic(struct note *) x_slot[SLOTS];
static atomic_bool x_stop;
static atomic_int x_running;

static struct note *note_make(uint64_t draw)
{
	size_t bytes = draw % ((size_t)32 << (draw >> 56) % 13);
	struct note *note = a_malloc(sizeof *note + bytes);

	CHECK(note, "malloc(%zu)", sizeof *note + bytes);
	note->bytes = bytes;
	pattern_fill(note->payload, bytes, bytes);
	return note;
}

static void note_free(struct note *note)
{
	if (!note)
		return;
	CHECK(pattern_ok(note->payload, note->bytes, note->bytes), "a block of %zu was overwritten",
		note->bytes);
	a_free(note);
}

/* Every block goes through a slot, so most are freed by another thread. */
static void *busy(void *argument)
{
	uint64_t seed = (uintptr_t)argument;

	atomic_fetch_add(&x_running, 1);
	while (!atomic_load_explicit(&x_stop, memory_order_relaxed)) {
		uint64_t draw = rng_next(&seed);

		note_free(atomic_exchange(&x_slot[draw % SLOTS], note_make(draw)));
	}
	return NULL;
}

static void *child_thread(void *argument)
{
	uint64_t seed = (uintptr_t)argument;

	for (int i = 0; i < 200; i++)
		note_free(note_make(rng_next(&seed)));
	return NULL;
}

static void child_work(unsigned round, int depth)
{
	uint64_t seed = round;
	pthread_t thread[2];

	for (int i = 0; i < 200; i++)
		note_free(atomic_exchange(&x_slot[i % SLOTS], note_make(rng_next(&seed))));
	char *zero = a_calloc(1, 300000);

	CHECK(zero && all_zero(zero, 300000), "calloc in the child");
	a_free(a_realloc(zero, 5 * MIB));
	if (depth == 0 && round % 4 == 0) {
		pid_t pid = fork();
		int status = -1;

		if (pid == 0) {
			child_work(round + 1, 1);
			_exit(0);
		}
		CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0,
			"the grandchild ended with status %#x", (unsigned)status);
	}
	if (TEST_TSAN)
		return;
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&thread[i], NULL, child_thread, (void *)(uintptr_t)round) == 0,
			"pthread_create in the child");
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
}

int main(void)
{
	int rounds = TEST_SANITIZED ? 30 : 150;
	pthread_t thread[THREADS];

	api_begin();
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, busy, (void *)(i + 1)) == 0,
			"pthread_create");
	/*
	 * A thread takes locks of AddressSanitizer's own malloc until its function is called, and
	 * those have no fork handlers: a child of that moment would never start a thread.
	 */
	while (TEST_SANITIZED && atomic_load(&x_running) < THREADS)
		sched_yield();
	for (int round = 0; round < rounds; round++) {
		pid_t pid = fork();
		int status = -1;

		CHECK(pid >= 0, "fork: %s", strerror(errno));
		if (pid == 0) {
			alarm(30);
			child_work((unsigned)round, 0);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && status == 0,
			"the child of round %d ended with status %#x%s", round, (unsigned)status,
			WIFSIGNALED(status) && WTERMSIG(status) == 14 ? " (it hung)" : "");
	}
	atomic_store(&x_stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	for (int i = 0; i < SLOTS; i++)
		note_free(atomic_exchange(&x_slot[i], NULL));
	return 0;
}
