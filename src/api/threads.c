/*
 * threads.c: pthread_create and thrd_create, passed on to glibc. This is the one
 * place where a process is seen to get a second thread, outside malloc, so it
 * is where the helper thread is started, where machines with several nodes are
 * looked at more closely, and where threads are registered with RCU: their
 * start goes through a function of ours, once RCU is in use.
 */
#include "base/atomic.h"
#include "base/check.h"
#include "base/os.h"
#include "base/rcu.h"
#include "numa/topology.h"
#include "policy/choice.h"
#include "tls/alloc.h"
#include "tls/helper.h"

#include <dlfcn.h>
#include <errno.h>
#include <threads.h>

#define EXPORT __attribute__((visibility("default")))

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (!found)
		report("%s is not found behind this library", name);
	return found;
}

static thread_create *next_pthread_create(void)
{
	static thread_create *_Atomic x_next; /* any: relaxed, every writer stores the same */
	thread_create *create = load_rlx(&x_next);
	if (!create) {
		create = (thread_create *)next("pthread_create");
		store_rlx(&x_next, create);
	}
	return create;
}

/*
 * What a thread is to run. The records are few, because each is free again as
 * soon as its thread runs; not blocks, because the first malloc of a thread
 * decides about its node, and is the program's.
 */
struct begin {
	_Atomic(uint32_t) x_taken; /* any: cas acquire by who creates, release by the thread [B1] */
	void *(*posix)(void *);    /* own */
	thrd_start_t c11;          /* own */
	void *argument;            /* own */
};

#define BEGINS 128
static struct begin begins[BEGINS];

static struct begin *begin_take(void)
{
	for (unsigned i = 0; i < BEGINS; i++) {
		uint32_t free = 0;
		if (!load_rlx(&begins[i].x_taken) &&
			cas_acq(&begins[i].x_taken, &free, 1)) /* [B1] */
			return &begins[i];
	}
	return NULL;
}

static void begin_drop(struct begin *b)
{
	store_rel(&b->x_taken, 0); /* [B1] */
}

/*
 * liburcu, and glibc for its thread-local data, abort where they get no memory: a
 * thread that could have none just now stays out. The block is what such data take
 * from the thread's heap, where it stays.
 */
#define URCU_BLOCK 88
#define URCU_SPACE (256 * KIB)

static bool may_register(void)
{
	int saved = errno;
	void *block = block_alloc(URCU_BLOCK),
	     *space = block ? os_map_aligned(URCU_SPACE, 4096) : NULL;
	if (space)
		os_unmap(space, URCU_SPACE);
	block_free(block);
	errno = saved;
	return space;
}

static struct begin begin_registered(void *record)
{
	struct begin *b = record,
		     copy = {.posix = b->posix, .c11 = b->c11, .argument = b->argument};
	begin_drop(b);
	if (may_register())
		rcu_thread_start();
	return copy;
}

static void *begin_posix(void *record)
{
	struct begin b = begin_registered(record);
	return b.posix(b.argument);
}

static int begin_c11(void *record)
{
	struct begin b = begin_registered(record);
	return b.c11(b.argument);
}

/* NULL: the thread starts as it is, and RCU never hears of it. */
static struct begin *begin_of(void *(*posix)(void *), thrd_start_t c11, void *argument)
{
	topology_start();
	if (choice_has_learned() && may_register())
		rcu_start();
	struct begin *b = rcu_is_ready() ? begin_take() : NULL;
	if (!b)
		return NULL;
	b->posix = posix;
	b->c11 = c11;
	b->argument = argument;
	return b;
}

EXPORT int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	thread_create *create = next_pthread_create();
	if (!create)
		return EAGAIN;
	struct begin *b = begin_of(start, NULL, argument);
	int r = b ? create(thread, attributes, begin_posix, b)
		  : create(thread, attributes, start, argument);
	if (r == 0)
		helper_start(create);
	else if (b)
		begin_drop(b);
	return r;
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t start, void *argument)
{
	typedef int create_c11(thrd_t *, thrd_start_t, void *);
	static create_c11 *_Atomic x_next; /* any: relaxed, every writer stores the same */
	create_c11 *create = load_rlx(&x_next);
	if (!create) {
		create = (create_c11 *)next("thrd_create");
		store_rlx(&x_next, create);
	}
	if (!create)
		return thrd_error;
	struct begin *b = begin_of(NULL, start, argument);
	int r = b ? create(thread, begin_c11, b) : create(thread, start, argument);
	if (r != thrd_success && b)
		begin_drop(b);
	thread_create *posix = r == thrd_success ? next_pthread_create() : NULL;
	if (posix)
		helper_start(posix);
	return r;
}
