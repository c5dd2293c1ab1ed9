/*
 * Blocks on their way to a thread that ends meanwhile stay blocks of the default heap, whatever
 * heaps are made and destroyed before they arrive: their neighbours keep their contents.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { BLOCKS = 6, LATER = 400 };

static pthread_barrier_t barrier;
static size_t block_bytes;
static char *block[BLOCKS];

static void *owner(void *unused)
{
	(void)unused;
	for (int i = 0; i < BLOCKS; i++) {
		block[i] = hak_malloc(block_bytes);
		CHECK(block[i], "hak_malloc(%zu)", block_bytes);
		pattern_fill(block[i], block_bytes, (uint64_t)i);
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

/* A heap that is made, used and destroyed while a block is on its way. */
static void use_heap(void (*arrive)(void))
{
	hak_heap *heap = hak_heap_create();

	CHECK(heap, "hak_heap_create: %s", strerror(errno));
	arrive();
	for (int i = 0; i < 20; i++) {
		char *own = hak_heap_alloc(heap, block_bytes, 0, 0);

		CHECK(own, "hak_heap_alloc(%zu)", block_bytes);
		memset(own, 'h', block_bytes);
	}
	hak_heap_destroy(heap);
}

static void purge(void)
{
	hak_purge();
}

/* Fills the stash with other blocks for the same heap, until it is sent. */
static void send_more(void)
{
	for (int i = 1; i < BLOCKS / 2; i++)
		hak_free(block[i]);
	hak_purge();
}

static void check_kept(void)
{
	static char *later[LATER];

	for (int i = 0; i < LATER; i++) {
		later[i] = hak_malloc(block_bytes);
		CHECK(later[i], "hak_malloc(%zu)", block_bytes);
		memset(later[i], 'l', block_bytes);
	}
	for (int i = BLOCKS / 2; i < BLOCKS; i++)
		CHECK(pattern_ok(block[i], block_bytes, (uint64_t)i),
			"block %d of %zu bytes was overwritten", i, block_bytes);
	for (int i = 0; i < LATER; i++)
		hak_free(later[i]);
}

static void check(size_t size, void (*arrive)(void))
{
	struct hak_stats before, after;
	pthread_t thread;
	/* A thread that allocates may keep blocks of others for a while. */
	void *keep = hak_malloc(2000);

	block_bytes = size;
	hak_stats(&before, sizeof before);
	CHECK(pthread_create(&thread, NULL, owner, NULL) == 0, "pthread_create");
	pthread_barrier_wait(&barrier);
	hak_free(block[0]);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	use_heap(arrive);
	if (arrive == purge) {
		for (int i = 1; i < BLOCKS / 2; i++)
			hak_free(block[i]);
	}
	check_kept();
	for (int i = BLOCKS / 2; i < BLOCKS; i++)
		hak_free(block[i]);
	hak_purge();
	hak_stats(&after, sizeof after);
	CHECK(after.live_blocks == before.live_blocks && after.live == before.live,
		"blocks of %zu: %lld live blocks with %lld bytes more than before", size,
		(long long)(after.live_blocks - before.live_blocks),
		(long long)(after.live - before.live));
	hak_verify();
	hak_free(keep);
}

int main(void)
{
	hak_free(hak_malloc(16));
	CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0, "pthread_barrier_init");
	for (size_t size = 16; size < 6000; size = size * 2 + 8) {
		check(size, purge);
		check(size, send_more);
	}
	return 0;
}
