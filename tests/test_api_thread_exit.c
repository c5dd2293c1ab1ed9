/*
 * The end of a thread: key destructors in all four rounds find their blocks intact, free them and
 * allocate new ones; what the last round allocates is freed by others. Key numbers of 32 and more
 * make glibc allocate and free behind the destructors.
 */
#include "api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* ThreadSanitizer takes its state of a thread down in the fourth round: no test in that one. */
enum { KEYS = 48, ROUNDS = TEST_TSAN ? 3 : 4, SIZE_KINDS = 6 };

struct late {
	struct late *next;
	unsigned round, key;
	size_t bytes; /* of payload */
	unsigned char payload[];
};

static const size_t payloads[SIZE_KINDS] = {1, 40, 300, 1000, 9000, 70000};
static pthread_key_t key[KEYS];
static _Atomic(struct late *) x_last; /* blocks of the last round, for the main thread */
static atomic_uint x_destructor_calls;

static struct late *late_make(unsigned at, unsigned round)
{
	size_t bytes = payloads[(at + round) % SIZE_KINDS];
	struct late *late = a_malloc(sizeof *late + bytes);

	CHECK(late, "malloc in round %u", round);
	late->round = round;
	late->key = at;
	late->bytes = bytes;
	pattern_fill(late->payload, bytes, at * 8 + round);
	return late;
}

static void late_check(struct late *late)
{
	CHECK(pattern_ok(late->payload, late->bytes, late->key * 8 + late->round),
		"the block of key %u, round %u was overwritten", late->key, late->round);
}

static void destructor(void *value)
{
	struct late *late = value, *fresh;
	unsigned at = late->key, round = late->round + 1;

	atomic_fetch_add(&x_destructor_calls, 1);
	late_check(late);
	a_free(late);
	if (at % 3 == 0)
		a_free(a_calloc(3, 1000));
	fresh = late_make(at, round);
	if (round < ROUNDS) {
		pthread_setspecific(key[at], fresh);
		return;
	}
	fresh->next = atomic_load(&x_last);
	while (!atomic_compare_exchange_weak(&x_last, &fresh->next, fresh))
		;
}

static void *body(void *shape)
{
	unsigned first = (unsigned)(uintptr_t)shape % 5;

	for (unsigned i = first; i < KEYS; i += 1 + first)
		pthread_setspecific(key[i], late_make(i, 0));
	/* Buffers that glibc frees after the last destructor. */
	strerror(100000 + (int)first);
	if (!dlsym(RTLD_DEFAULT, "no_such_symbol"))
		dlerror();
	return NULL;
}

static void run_threads(unsigned threads)
{
	enum { TOGETHER = 4 };
	pthread_t thread[TOGETHER];
	struct late *late, *next;

	for (unsigned i = 0; i < threads; i += TOGETHER) {
		for (unsigned k = 0; k < TOGETHER; k++)
			CHECK(pthread_create(&thread[k], NULL, body, (void *)(uintptr_t)(i + k)) ==
					0,
				"pthread_create");
		for (unsigned k = 0; k < TOGETHER; k++)
			pthread_join(thread[k], NULL);
		for (late = atomic_exchange(&x_last, NULL); late; late = next) {
			next = late->next;
			late_check(late);
			a_free(late);
		}
	}
}

int main(void)
{
	/* The first malloc comes between the keys: the allocator's own key is in their midst. */
	unsigned threads = TEST_SANITIZED ? 100 : 1200;
	size_t before;

	for (unsigned i = 0; i < KEYS; i++) {
		CHECK(pthread_key_create(&key[i], destructor) == 0, "pthread_key_create");
		if (i == KEYS / 2)
			a_free(a_malloc(10));
	}
	api_begin();
	run_threads(threads / 4);
	before = resident_bytes();
	run_threads(threads);
	CHECK(TEST_SANITIZED || resident_bytes() < before + 4 * MIB,
		"%u threads with late destructors leave %zu KiB more", threads,
		(resident_bytes() - before) / KIB);
	CHECK(atomic_load(&x_destructor_calls) >= threads * ROUNDS, "only %u destructor calls",
		atomic_load(&x_destructor_calls));
	return 0;
}
