/*
 * The allocator's functions are no cancellation points: a thread that is to be cancelled comes
 * through any number of them, those that ask the system about limits and huge pages included.
 */
#include "api.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 2000, BLOCK_BYTES = 100000 };

static pthread_barrier_t barrier;
static bool came_through;

static void *run(void *unused)
{
	static char *block[BLOCKS];
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &state);
	for (int i = 0; i < BLOCKS; i++) {
		block[i] = malloc(BLOCK_BYTES);
		memset(block[i], 1, BLOCK_BYTES);
	}
	for (int i = 0; i < BLOCKS; i++)
		free(block[i]);
	came_through = true;
	pthread_testcancel();
	return unused;
}

int main(void)
{
	pthread_t thread;
	void *result;

	api_begin();
	CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0, "pthread_barrier_init");
	CHECK(pthread_create(&thread, NULL, run, NULL) == 0, "pthread_create");
	pthread_barrier_wait(&barrier);
	CHECK(pthread_cancel(thread) == 0, "pthread_cancel");
	pthread_barrier_wait(&barrier);
	CHECK(pthread_join(thread, &result) == 0, "pthread_join");
	CHECK(result == PTHREAD_CANCELED, "the thread was not cancelled");
	CHECK(came_through, "the thread was cancelled inside malloc or free");
	return 0;
}
