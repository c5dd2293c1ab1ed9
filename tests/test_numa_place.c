/*
 * Which shard a thread takes memory from, under the policies that this machine's kernel knows, with a
 * snapshot of two nodes, of which the second is made up: a range that cannot be bound is counted, and
 * nothing else happens.
 */
#include "numa/place.h"

#include "base/options.h"
#include "made_up_node.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

enum { STATIC_NODES = 0x8000, RANGE = 1 << 20 };

static bool set_policy(int mode, bool with_node)
{
	unsigned long mask = with_node;

	return syscall(SYS_set_mempolicy, mode, with_node ? &mask : NULL, with_node ? 64 : 0) == 0;
}

static int two_nodes(void **state)
{
	(void)state;
	return make_up_node() ? 0 : -1;
}

static unsigned shard_under(int mode, bool with_node)
{
	unsigned shard;

	assert_true(set_policy(mode, with_node));
	shard = place_shard_on(0);
	assert_int_equal(place_shard_on(0), shard);
	assert_true(set_policy(OS_POLICY_DEFAULT, false));
	return shard;
}

static void test_policies(void **state)
{
	unsigned bind, prefer, spread;

	(void)state;
	if (!os_policy_is_permitted())
		skip();
	assert_true(place_matters());
	assert_int_equal(place_shard_on(0), 0);
	assert_int_equal(place_shard_on(1), 1);
	bind = shard_under(OS_POLICY_BIND, true);
	prefer = shard_under(OS_POLICY_PREFERRED, true);
	spread = shard_under(OS_POLICY_INTERLEAVE, true);
	assert_true(place_is_policy(bind) && place_is_policy(prefer) && place_is_policy(spread));
	assert_true(bind != prefer && prefer != spread && bind != spread);
	assert_int_equal(shard_under(OS_POLICY_BIND, true), bind);
	assert_int_not_equal(shard_under(OS_POLICY_BIND | STATIC_NODES, true), bind);
	assert_false(place_same_policy(bind, prefer));
	assert_true(place_same_policy(bind, bind));
	assert_false(place_same_policy(bind, 0));
	assert_true(place_same_policy(0, 1));
	assert_true(topology_nodes() > bind && topology_nodes() > spread);
	/* Local is what the default placement does; it says no more. */
	assert_int_equal(shard_under(OS_POLICY_LOCAL, false), 0);
	assert_int_equal(place_shard_on(1), 1);
}

/* Another thread's policy is its own, and one that is set while it is ignored is not seen. */
static void *other_thread(void *shard)
{
	set_policy(OS_POLICY_BIND, true);
	*(unsigned *)shard = place_shard_on(1);
	place_ignore_policy(true);
	assert_int_equal(place_shard_on(1), 1);
	place_ignore_policy(false);
	assert_true(place_is_policy(place_shard_on(1)));
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t thread;
	unsigned theirs = 0;

	(void)state;
	if (!os_policy_is_permitted())
		skip();
	assert_int_equal(pthread_create(&thread, NULL, other_thread, &theirs), 0);
	pthread_join(thread, NULL);
	assert_true(place_is_policy(theirs));
	assert_int_equal(place_shard_on(1), 1);
}

static int policy_of(void *range)
{
	int mode = -1;

	assert_int_equal(
		syscall(SYS_get_mempolicy, &mode, NULL, 0, range, 2 /* of an address */), 0);
	return mode;
}

static void test_bind(void **state)
{
	char *range = mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)state;
	if (!os_policy_is_permitted())
		skip();
	assert_ptr_not_equal(range, MAP_FAILED);
	/* There is no such node. */
	errno = 7;
	place_bind(range, RANGE, 1);
	assert_int_equal(errno, 7);
	assert_int_equal(place_bind_failures(1), 1);
	assert_int_equal(policy_of(range), OS_POLICY_DEFAULT);
	/* A policy's shard is never bound. */
	place_bind(range, RANGE, shard_under(OS_POLICY_BIND, true));
	assert_int_equal(policy_of(range), OS_POLICY_DEFAULT);
	place_bind(range, RANGE, 0);
	assert_int_equal(place_bind_failures(0), 0);
	assert_int_equal(policy_of(range), OS_POLICY_PREFERRED);
	store_rlx(&options.x_numa, NUMA_STRICT);
	place_bind(range, RANGE, 0);
	assert_int_equal(policy_of(range), OS_POLICY_BIND);
	store_rlx(&options.x_numa, NUMA_PREFERRED);
	munmap(range, RANGE);
}

static void test_numbers(void **state)
{
	(void)state;
	assert_int_equal(topology_number(0), 0);
	assert_int_equal(topology_number(MADE_UP_NODE), 1);
	assert_int_equal(topology_number(1), NODE_NONE);
	assert_int_equal(topology_number(UINT32_MAX), NODE_NONE);
	assert_int_equal(topology_os(1), MADE_UP_NODE);
	assert_int_equal(topology_os(2), -1);
	assert_int_equal(topology_os(SHARD_INTERLEAVED), -1);
	assert_int_equal(place_interleaved(), SHARD_INTERLEAVED);
	assert_false(place_is_policy(SHARD_INTERLEAVED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_bind),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, two_nodes, NULL);
}
