/*
 * fuzz_threads: the same sequences by four threads that hand each other all
 * blocks: each record names the thread that runs it, so the input is the
 * schedule. Threads end and are made anew; and now and then all of them run at
 * the same time, each with a seed from its record, and exchange blocks.
 */
#include "script.h"

#include "api.h"
#include "control.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 4, PARCELS = 64, MAILBOXES = 8, BURST_STEPS_MAX = 255 };

/* The first op of these is the thread's end, the second a burst of all threads. */
enum { OP_EXIT = 0xf0, OP_BURST = 0xf8 };

static struct worker {
	pthread_t thread;
	bool alive;
	sem_t go;
	const struct record *work; /* NULL: end */
	uint64_t seed;
} workers[THREADS];

static sem_t done;
static struct script script;

/* Blocks on their way between threads in a burst: the mailbox holds worker and parcel, plus 1. */
static struct parcel {
	struct shadow block;
	_Atomic bool busy; /* its owner sets it, whoever takes the block clears it */
} parcels[THREADS][PARCELS];
static _Atomic unsigned mailbox[MAILBOXES];

static void parcel_open(unsigned number)
{
	struct parcel *parcel = &parcels[(number - 1) / PARCELS][(number - 1) % PARCELS];
	struct shadow b = parcel->block;

	atomic_store_explicit(&parcel->busy, false, memory_order_release);
	a_free(shadow_release(&b));
}

static void burst_alloc(struct worker *w, struct shadow *b)
{
	uint64_t draw = rng_next(&w->seed);
	size_t size = draw >> 32 & ((2u << (draw & 15)) - 1);
	bool zero = draw >> 16 & 1;
	void *p = zero ? a_calloc(1, size) : a_malloc(size);

	if (p)
		shadow_new(b, p, size, 0, zero ? size : 0, rng_next(&w->seed));
	else if (!script.limited)
		broken("no memory for %zu bytes", size);
}

/* Whose parcel comes back had to make room. */
static void burst_send(struct worker *w, struct shadow *b, uint64_t draw)
{
	unsigned me = (unsigned)(w - workers), i = (unsigned)(draw >> 8) % PARCELS, old;
	struct parcel *parcel = &parcels[me][i];

	if (atomic_load_explicit(&parcel->busy, memory_order_acquire))
		return;
	parcel->block = *b;
	*b = (struct shadow){0};
	atomic_store_explicit(&parcel->busy, true, memory_order_relaxed);
	old = atomic_exchange_explicit(
		&mailbox[draw % MAILBOXES], me * PARCELS + i + 1, memory_order_acq_rel);
	if (old)
		parcel_open(old);
}

static void burst(struct worker *w, unsigned steps)
{
	struct shadow mine[16] = {{0}};

	while (steps-- > 0) {
		uint64_t draw = rng_next(&w->seed);
		struct shadow *b = &mine[draw >> 20 & 15];
		unsigned got = atomic_exchange_explicit(
			&mailbox[draw >> 24 & (MAILBOXES - 1)], 0, memory_order_acquire);

		if (got)
			parcel_open(got);
		if (!b->p)
			burst_alloc(w, b);
		else if (draw >> 30 & 1)
			burst_send(w, b, draw >> 32);
		else
			a_free(shadow_release(b));
	}
	for (int i = 0; i < 16; i++)
		if (mine[i].p)
			a_free(shadow_release(&mine[i]));
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	for (;;) {
		while (sem_wait(&w->go) != 0)
			;
		if (!w->work)
			return NULL;
		if (w->work->op >= OP_BURST)
			burst(w, w->work->x % BURST_STEPS_MAX);
		else
			script_step(&script, w->work);
		sem_post(&done);
	}
}

static void start(struct worker *w, const struct record *r)
{
	w->work = r;
	if (!w->alive && pthread_create(&w->thread, NULL, worker_main, w) != 0)
		broken("pthread_create");
	w->alive = true;
	sem_post(&w->go);
}

static void wait_for(unsigned count)
{
	while (count > 0)
		if (sem_wait(&done) == 0)
			count--;
}

static void stop(struct worker *w)
{
	if (!w->alive)
		return;
	w->work = NULL;
	sem_post(&w->go);
	pthread_join(w->thread, NULL);
	w->alive = false;
}

static void burst_all(const struct record *r)
{
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].seed = r->slot + r->size[0] * 256u + i * 65536u;
		start(&workers[i], r);
	}
	wait_for(THREADS);
	for (unsigned i = 0; i < MAILBOXES; i++)
		if (mailbox[i]) {
			parcel_open(mailbox[i]);
			mailbox[i] = 0;
		}
}

static void step(const struct record *r)
{
	struct worker *w = &workers[r->who % THREADS];

	if (r->op >= OP_BURST) {
		burst_all(r);
	} else if (r->op >= OP_EXIT) {
		stop(w);
	} else {
		start(w, r);
		wait_for(1);
	}
}

static void begin_process(void)
{
	sem_init(&done, 0, 0);
	for (unsigned i = 0; i < THREADS; i++)
		sem_init(&workers[i].go, 0, 0);
	script_begin_process();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static bool begun;
	struct record r;

	if (!begun)
		begin_process();
	begun = true;
	memset(&script, 0, sizeof script);
	while (record_read(&r, &data, &bytes))
		step(&r);
	for (unsigned i = 0; i < THREADS; i++)
		if (script.serial % 2)
			stop(&workers[i]); /* before their blocks are freed, or after */
	script_end(&script);
	for (unsigned i = 0; i < THREADS; i++)
		stop(&workers[i]);
	script_check(&script);
	control_quiet();
	return 0;
}
