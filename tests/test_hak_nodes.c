/*
 * HAKMEM_NODES=synthetic:4: threads of four nodes hand blocks over; all nodes are used, nothing is
 * lost, and at the end nothing is live.
 */
#include "hakmem.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { NODES = 4, THREADS = 8, SLOTS = 64 };

static char text[1 << 20];
static _Atomic(char *) x_slot[SLOTS];

static size_t draw_size(uint64_t *seed)
{
	uint64_t draw = rng_next(seed);
	size_t bytes = draw % ((size_t)32 << (draw >> 56) % 13) + sizeof bytes;

	return draw % 2000 == 0 ? 3 * MIB : bytes;
}

static void check_free(char *block)
{
	size_t bytes;

	if (!block)
		return;
	memcpy(&bytes, block, sizeof bytes);
	CHECK(pattern_ok(block + sizeof bytes, bytes - sizeof bytes, bytes),
		"a block of %zu was overwritten", bytes);
	hak_free(block);
}

static void *hand_over(void *argument)
{
	uint64_t seed = (uintptr_t)argument;
	int steps = TEST_SANITIZED ? 3000 : 20000;

	for (int i = 0; i < steps; i++) {
		size_t bytes = draw_size(&seed);
		char *block = hak_malloc(bytes);

		CHECK(block, "hak_malloc(%zu)", bytes);
		memcpy(block, &bytes, sizeof bytes);
		pattern_fill(block + sizeof bytes, bytes - sizeof bytes, bytes);
		check_free(atomic_exchange(&x_slot[rng_next(&seed) % SLOTS], block));
	}
	return NULL;
}

static void run_threads(void)
{
	pthread_t thread[THREADS];

	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, hand_over, (void *)(i + 1)) == 0,
			"pthread_create");
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
}

static unsigned long value_after(const char *from, const char *name)
{
	unsigned long value = 0;
	const char *at = from ? strstr(from, name) : NULL;

	CHECK(at && sscanf(at + strlen(name), " %lu", &value) == 1, "no %s in %.300s", name, text);
	return value;
}

static void check_nodes(void)
{
	struct hak_stats stats;
	const char *node = text;

	hak_stats(&stats, sizeof stats);
	CHECK(stats.nodes == NODES, "%llu nodes", (unsigned long long)stats.nodes);
	CHECK(hak_stats_json(text, sizeof text) < (int)sizeof text, "room for the statistics");
	for (unsigned long i = 0; i < NODES; i++) {
		node = strstr(node, "{\"node\":");
		CHECK(node && value_after(node, "\"node\":") == i, "no node %lu in %.300s", i,
			text);
		CHECK(value_after(node, "\"mapped\":") > 0, "node %lu is not used", i);
		node++;
	}
	CHECK(!strstr(node, "{\"node\":"), "more than %d nodes in %.300s", NODES, text);
}

static void check_nothing_live(void)
{
	for (int i = 0; i < SLOTS; i++)
		check_free(atomic_exchange(&x_slot[i], NULL));
	hak_purge();
	CHECK(hak_stats_json(text, sizeof text) < (int)sizeof text, "room for the statistics");
	CHECK(value_after(text, "\"live\":") == 0 && value_after(text, "\"live_blocks\":") == 0,
		"%lu live bytes in %lu blocks: all were freed", value_after(text, "\"live\":"),
		value_after(text, "\"live_blocks\":"));
	CHECK(value_after(text, "\"whales\":") == 0, "whales, and none is live");
	hak_verify();
}

int main(int argc, char **argv)
{
	char program[] = "test_hak_nodes", word[] = "on", option[] = "HAKMEM_NODES=synthetic:4";
	struct child child;

	(void)argv;
	if (argc == 1) {
		child_exec(&child, (char *[]){program, word, NULL}, (char *[]){option, NULL});
		CHECK(child_exited(&child, 0), "%s", child_what(&child));
		return 0;
	}
	for (int round = 0; round < 3; round++) {
		run_threads();
		hak_verify();
		check_nodes();
		check_nothing_live();
	}
	return 0;
}
