/*
 * threads.c: pthread_create and thrd_create, passed on to glibc. This is the one
 * place where a process is seen to get a second thread, outside malloc, so it
 * is where the helper thread is started.
 */
#include "base/atomic.h"
#include "base/check.h"
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

EXPORT int pthread_create(
	pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument)
{
	thread_create *create = next_pthread_create();
	if (!create)
		return EAGAIN;
	int r = create(thread, attributes, start, argument);
	if (r == 0)
		helper_start(create);
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
	int r = create ? create(thread, start, argument) : thrd_error;
	thread_create *posix = r == thrd_success ? next_pthread_create() : NULL;
	if (posix)
		helper_start(posix);
	return r;
}
