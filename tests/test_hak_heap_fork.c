/*
 * A program forks while other threads are inside hak_heap_alloc: the child can use the heap and
 * destroy it, many times over.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 2, CHILDREN = 200 };

static hak_heap *heap;
static atomic_bool x_stop;

static void *use(void *unused)
{
	(void)unused;
	while (!atomic_load_explicit(&x_stop, memory_order_relaxed)) {
		char *block = hak_heap_alloc(heap, MIB, 0, 0);

		CHECK(block, "hak_heap_alloc(1 MiB): %s", strerror(errno));
		for (size_t at = 0; at < MIB; at += 4096)
			block[at] = 1;
		hak_free(block);
		block = hak_heap_alloc(heap, 5000, 0, HAK_ZERO);
		CHECK(block && all_zero(block, 5000), "HAK_ZERO is not zero");
		hak_free(block);
	}
	return NULL;
}

static void use_alone(hak_heap *own)
{
	for (int i = 0; i < 100; i++) {
		size_t bytes = (size_t)8 << i % 16;
		char *block = hak_heap_alloc(own, bytes, 0, 0);

		CHECK(block, "hak_heap_alloc(%zu) in the child: %s", bytes, strerror(errno));
		memset(block, 1, bytes);
		if (i % 2)
			hak_free(block);
	}
}

static void child(void *unused)
{
	(void)unused;
	use_alone(heap);
	hak_heap_destroy(heap);
	for (int i = 0; i < 3; i++) {
		hak_heap *own = hak_heap_create();

		CHECK(own, "hak_heap_create in the child: %s", strerror(errno));
		use_alone(own);
		hak_heap_destroy(own);
	}
}

int main(void)
{
	int children = TEST_SANITIZED ? CHILDREN / 4 : CHILDREN;
	pthread_t thread[THREADS];

	heap = hak_heap_create();
	CHECK(heap, "hak_heap_create: %s", strerror(errno));
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, use, NULL) == 0, "pthread_create");
	for (int i = 0; i < children; i++) {
		struct child seen;

		child_run(&seen, child, NULL);
		CHECK(child_exited(&seen, 0), "child %d: %s", i, child_what(&seen));
	}
	atomic_store(&x_stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	hak_heap_destroy(heap);
	hak_verify();
	return 0;
}
