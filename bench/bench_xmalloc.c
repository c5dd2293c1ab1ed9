/*
 * bench_xmalloc: half of the threads allocate batches of blocks, the other
 * half free them: every free is remote. One thread alone does both in turn.
 * The number of batches under way is bounded, so live memory is too.
 */
#include "common.h"

#include <pthread.h>

#define BATCH_BLOCKS 128u
#define BATCHES 64u /* under way */

struct batch {
	void *blocks[BATCH_BLOCKS];
};

/* A first-in first-out queue; NULL is a message like any other. */
struct queue {
	pthread_mutex_t lock;
	pthread_cond_t filled;
	struct batch *ring[BATCHES * 2 + 1024];
	unsigned head;
	unsigned count;
};

static uint64_t blocks = 4000000;
static struct batch pool[BATCHES];
static struct queue empty = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};
static struct queue full = {.lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER};
static unsigned producers;
static unsigned producers_left;

static void queue_put(struct queue *queue, struct batch *batch)
{
	pthread_mutex_lock(&queue->lock);
	queue->ring[(queue->head + queue->count) % COUNT_OF(queue->ring)] = batch;
	queue->count++;
	pthread_cond_signal(&queue->filled);
	pthread_mutex_unlock(&queue->lock);
}

static struct batch *queue_take(struct queue *queue)
{
	struct batch *batch;

	pthread_mutex_lock(&queue->lock);
	while (!queue->count)
		pthread_cond_wait(&queue->filled, &queue->lock);
	batch = queue->ring[queue->head];
	queue->head = (queue->head + 1) % COUNT_OF(queue->ring);
	queue->count--;
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

static void fill_batch(struct batch *batch, struct rng *rng)
{
	for (unsigned i = 0; i < BATCH_BLOCKS; i++) {
		size_t size = rng_log(rng, 16, 1024);

		batch->blocks[i] = bench_alloc(size);
		bench_touch(batch->blocks[i], size);
	}
}

static void free_batch(struct batch *batch)
{
	for (unsigned i = 0; i < BATCH_BLOCKS; i++)
		free(batch->blocks[i]);
}

static void produce(unsigned index, uint64_t batches)
{
	struct rng rng = rng_stream(index);

	while (batches--) {
		struct batch *batch = queue_take(&empty);

		fill_batch(batch, &rng);
		queue_put(&full, batch);
	}
	/* The last producer ends the consumers, of which there are as many. */
	if (!__atomic_sub_fetch(&producers_left, 1, __ATOMIC_ACQ_REL))
		for (unsigned i = 0; i < producers; i++)
			queue_put(&full, NULL);
}

static void consume(void)
{
	struct batch *batch;

	while ((batch = queue_take(&full))) {
		free_batch(batch);
		queue_put(&empty, batch);
	}
}

static void both_in_turn(uint64_t batches)
{
	struct rng rng = rng_stream(0);

	while (batches) {
		unsigned count = batches < BATCHES ? (unsigned)batches : BATCHES;

		for (unsigned i = 0; i < count; i++)
			fill_batch(&pool[i], &rng);
		for (unsigned i = 0; i < count; i++)
			free_batch(&pool[i]);
		batches -= count;
	}
}

static void worker(unsigned index)
{
	uint64_t batches = blocks / BATCH_BLOCKS;

	if (bench_threads == 1)
		both_in_turn(batches);
	else if (index % 2)
		consume();
	else
		produce(index, bench_share(batches, index / 2, producers));
}

int main(int argc, char **argv)
{
	const struct param params[] = {
	        {"ops", &blocks, "blocks in all threads together"},
	};
	struct measure measure;

	bench_args(argc, argv, params, COUNT_OF(params));
	if (bench_threads > 1 && bench_threads % 2)
		bench_die("threads must be 1 or even: half of them only allocate");
	producers = producers_left = (unsigned)bench_threads / 2;
	for (unsigned i = 0; i < BATCHES; i++)
		queue_put(&empty, &pool[i]);
	measure_begin(&measure);
	bench_workers((unsigned)bench_threads, worker);
	measure_end(&measure);
	measure_print("xmalloc", blocks, &measure, NULL);
	return 0;
}
