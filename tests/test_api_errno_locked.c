/*
 * A program that may lock only a little memory and locks all of it runs into that limit: every
 * size fails with ENOMEM, whatever the kernel calls it.
 */
#include "api.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* What was mapped before may hold as much without a failure. */
#define BYTES_MOST (64 * MIB)

static void free_list(void *list)
{
	while (list) {
		void *block = list;

		memcpy(&list, block, sizeof list);
		a_free(block);
	}
}

/* Returns whether the limit was met. */
static bool check_size(size_t size)
{
	void *block = NULL, *list = NULL;

	for (size_t bytes = 0; bytes < BYTES_MOST; bytes += size) {
		errno = 0;
		block = a_malloc(size);
		if (!block)
			break;
		memcpy(block, &list, sizeof list);
		list = block;
	}
	CHECK(block || errno == ENOMEM, "malloc(%zu) failed with errno %d (%s)", size, errno,
		strerror(errno));
	if (list) {
		errno = 0;
		CHECK(!a_realloc(list, 300 * MIB) && errno == ENOMEM,
			"realloc from %zu to 300 MiB: errno %d", size, errno);
	}
	free_list(list);
	return !block;
}

static void locked(void *unused)
{
	static const size_t sizes[] = {300 * MIB, 3 * MIB, 100000, 3000, 100};
	struct rlimit limit = {8 * MIB, 8 * MIB};

	(void)unused;
	CHECK(setrlimit(RLIMIT_MEMLOCK, &limit) == 0, "setrlimit: %s", strerror(errno));
	/* The limit is not for root. */
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		_exit(77);
	a_free(a_malloc(1));
	if (mlockall(MCL_FUTURE) != 0)
		_exit(77);
	CHECK(check_size(sizes[0]), "300 MiB could be had under a lock limit of 8 MiB");
	for (size_t i = 1; i < sizeof sizes / sizeof *sizes; i++)
		check_size(sizes[i]);
}

int main(void)
{
	struct child child;

	if (TEST_SANITIZED)
		test_skip("the sanitizers ignore mlockall");
	api_begin();
	child_run(&child, locked, NULL);
	if (child_exited(&child, 77))
		test_skip("this system does not let an ordinary user lock memory");
	CHECK(child_exited(&child, 0), "%s", child_what(&child));
	return 0;
}
