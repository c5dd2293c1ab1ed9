/*
 * Heaps on a chosen node, the node of a block, and the statistics of each node; once as the machine
 * is, once with HAKMEM_NODES=synthetic:3. Placement itself is tested on machines with several nodes.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { BLOCKS = 200, BYTES = 50000 };

static struct hak_node_stats stats_of(unsigned index)
{
	struct hak_node_stats s;

	CHECK(hak_node_stats(index, &s, sizeof s) == 0, "node %u: errno %d", index, errno);
	return s;
}

static unsigned count_nodes(void)
{
	struct hak_node_stats s;
	unsigned count = 0;

	while (hak_node_stats(count, &s, sizeof s) == 0)
		count++;
	CHECK(errno == EINVAL, "errno %d after the last node", errno);
	return count;
}

static void check_bad_nodes(void)
{
	static const int bad[] = {-1, 63, 64, 1023, 1024, 100000};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		CHECK(!hak_heap_create_on(bad[i]) && errno == EINVAL, "node %d: errno %d", bad[i],
			errno);
	}
	errno = 0;
	CHECK(hak_node_of(NULL) == -1 && errno == EINVAL, "NULL is on a node, errno %d", errno);
	CHECK(hak_node_of(bad) == -1, "static memory is on a node of ours");
	for (size_t i = 1; i < 16; i++) {
		errno = 0;
		CHECK(hak_node_of((char *)opaque(4096 + i)) == -1 && errno == EINVAL,
			"a misaligned address is on a node, errno %d", errno);
	}
}

/* A heap's blocks count as its node's; they are resident once they are touched, and then freed. */
static void check_heap(unsigned node)
{
	struct hak_node_stats before = stats_of(node), after;
	hak_heap *heap = hak_heap_create_on((int)before.node);

	CHECK(heap, "no heap on node %u: errno %d", node, errno);
	for (int i = 0; i < BLOCKS; i++) {
		void *block = hak_heap_alloc(heap, BYTES, 0, 0);

		CHECK(block, "no block on node %u", node);
		memset(block, 1, BYTES);
		CHECK(hak_node_of(block) == (int)before.node, "a block of node %u is on %d", node,
			hak_node_of(block));
	}
	after = stats_of(node);
	CHECK(after.node == before.node && !after.policy, "node %u became another", node);
	CHECK(after.live - before.live >= (uint64_t)BLOCKS * BYTES, "live grew by %llu only",
		(unsigned long long)(after.live - before.live));
	CHECK(after.resident - before.resident >= (uint64_t)BLOCKS * BYTES * 9 / 10,
		"resident grew by %llu only",
		(unsigned long long)(after.resident - before.resident));
	CHECK(after.fallback == 0 && after.bind_failures == 0, "%llu bytes elsewhere, %llu unbound",
		(unsigned long long)after.fallback, (unsigned long long)after.bind_failures);
	hak_heap_destroy(heap);
	after = stats_of(node);
	CHECK(after.live == before.live, "live %llu before, %llu after",
		(unsigned long long)before.live, (unsigned long long)after.live);
	hak_purge();
	after = stats_of(node);
	CHECK(after.pooled == 0 && after.resident < (uint64_t)BLOCKS * BYTES / 2,
		"%llu pooled and %llu resident after a purge", (unsigned long long)after.pooled,
		(unsigned long long)after.resident);
}

static void check_interleaved(void)
{
	hak_heap *heap = hak_heap_create_interleaved();
	void *block;

	CHECK(heap, "no interleaved heap");
	block = hak_heap_alloc(heap, BYTES, 0, HAK_ZERO);
	CHECK(block && all_zero(block, BYTES), "no zeroed block");
	hak_heap_destroy(heap);
}

static void *free_it(void *block)
{
	hak_free(block);
	return NULL;
}

/* What other threads free is sent, and received when its owner looks. */
static void check_remote(void)
{
	uint64_t sent = 0, received = 0;
	unsigned count = count_nodes();

	for (int i = 0; i < BLOCKS; i++) {
		void *block = hak_malloc(100);
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, free_it, block) == 0, "pthread_create");
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < 10 * BLOCKS; i++)
		CHECK(hak_malloc(100), "hak_malloc");
	for (unsigned i = 0; i < count; i++) {
		sent += stats_of(i).remote_sent;
		received += stats_of(i).remote_received;
	}
	CHECK(sent >= (uint64_t)BLOCKS * 100 && received > 0, "%llu bytes sent, %llu received",
		(unsigned long long)sent, (unsigned long long)received);
}

int main(int argc, char **argv)
{
	char program[] = "test_hak_node_stats", word[] = "on",
	     option[] = "HAKMEM_NODES=synthetic:3";
	unsigned wanted = argc == 1 ? 0 : 3, count;
	struct child child;

	(void)argv;
	free_it(hak_malloc(1));
	count = count_nodes();
	CHECK(wanted ? count == wanted : count > 0, "%u nodes", count);
	check_bad_nodes();
	for (unsigned i = 0; i < count; i++)
		check_heap(i);
	check_interleaved();
	check_remote();
	CHECK(hak_numa_refresh() == 0 && count_nodes() >= count, "refresh: errno %d", errno);
	if (wanted)
		return 0;
	child_exec(&child, (char *[]){program, word, NULL}, (char *[]){option, NULL});
	CHECK(child_exited(&child, 0), "%s", child_what(&child));
	return 0;
}
