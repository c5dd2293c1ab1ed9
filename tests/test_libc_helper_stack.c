/*
 * A program with many thread-local variables, which the C library takes from each thread's stack,
 * gets a helper thread all the same.
 */
#include "api.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static __thread char many[300 << 10];

static void *use(void *unused)
{
	memset(many, 1, sizeof many);
	return unused;
}

int main(void)
{
	pthread_t thread;

	api_begin();
	CHECK(pthread_create(&thread, NULL, use, NULL) == 0, "pthread_create");
	pthread_join(thread, NULL);
	/* A thread that was joined may be seen for a moment. */
	usleep(100000);
	CHECK(count_tasks() == 2, "%d threads, not main and the helper", count_tasks());
	return 0;
}
