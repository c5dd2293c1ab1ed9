/*
 * Trees as /sys/devices/system/node may look, made in a directory: gaps in the numbers, nodes without
 * processors or without memory, more nodes than have a number, nodes that go, files that are missing
 * or say nothing.
 */
#include "numa/topology.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/test_numa_XXXXXX";
static struct topology now, then;

static void write_file(const char *name, const char *text)
{
	char path[300];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void node(unsigned os, const char *cpus, const char *distances)
{
	char path[300];

	snprintf(path, sizeof path, "%s/node%u", root, os);
	mkdir(path, 0700);
	snprintf(path, sizeof path, "node%u/cpulist", os);
	write_file(path, cpus);
	snprintf(path, sizeof path, "node%u/distance", os);
	write_file(path, distances);
}

static void head(const char *online, const char *memory)
{
	write_file("online", online);
	write_file("has_memory", memory);
}

static int make_root(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int drop_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", root);
	return system(command);
}

static void read_now(const struct topology *old, const struct os_nodes *allowed, unsigned first)
{
	assert_true(topology_read(&now, root, old, allowed, first));
}

static unsigned home_of_cpu(unsigned cpu)
{
	return now.os[now.home[now.cpu_node[cpu]]];
}

static void test_two(void **state)
{
	(void)state;
	head("0-1\n", "0-1\n");
	node(0, "0-1,4\n", "10 21\n");
	node(1, "2-3\n", "21 10\n");
	read_now(NULL, NULL, 0);
	assert_int_equal(now.count, 2);
	assert_int_equal(now.distance[0][1], 21);
	assert_int_equal(now.distance[1][1], DISTANCE_LOCAL);
	assert_int_equal(now.cpu_node[4], 0);
	assert_int_equal(now.cpu_node[3], 1);
	assert_int_equal(now.cpu_node[5], NODE_NONE);
	assert_int_equal(home_of_cpu(2), 1);
	assert_false(now.memory_only);
	/* The node that we run on gets number 0. */
	read_now(NULL, NULL, 1);
	assert_int_equal(now.os[0], 1);
	assert_int_equal(now.number[0], 1);
	assert_int_equal(home_of_cpu(2), 1);
	assert_int_equal(now.distance[0][1], 21);
}

static void test_gaps(void **state)
{
	(void)state;
	head("0,3,17,1000\n", "0,3,17,1000\n");
	node(0, "0\n", "10 20 30 40\n");
	node(3, "1\n", "20 10 25 35\n");
	node(17, "2\n", "30 25 10 15\n");
	node(1000, "3\n", "40 35 15 10\n");
	read_now(NULL, NULL, 17);
	assert_int_equal(now.count, 4);
	assert_int_equal(now.os[0], 17);
	assert_int_equal(now.number[1000], 3);
	assert_int_equal(now.number[1], NODE_NONE);
	assert_int_equal(now.distance[now.number[3]][now.number[17]], 25);
	assert_int_equal(now.distance[now.number[1000]][now.number[0]], 40);
	assert_int_equal(home_of_cpu(3), 1000);
}

static void test_memory_only(void **state)
{
	(void)state;
	/* 2 has memory only and is the nearest to 0; 3 has processors only. */
	head("0-3\n", "0-2\n");
	node(0, "0\n", "10 20 15 20\n");
	node(1, "1\n", "20 10 30 18\n");
	node(2, "\n", "15 30 10 12\n");
	node(3, "2-3\n", "20 18 12 10\n");
	read_now(NULL, NULL, 0);
	assert_true(now.memory_only);
	assert_int_equal(now.flags[2], NODE_MEMORY | NODE_ALLOWED);
	assert_int_equal(now.flags[3], NODE_CPUS);
	assert_int_equal(home_of_cpu(0), 0);
	assert_int_equal(home_of_cpu(3), 1);
	assert_int_equal(os_nodes_count(&now.cpu_nodes), 2);
	assert_int_equal(os_nodes_count(&now.allowed), 3);
}

static void test_allowed(void **state)
{
	struct os_nodes allowed = {{0}};

	(void)state;
	head("0-2\n", "0-2\n");
	node(0, "0\n", "10 20 15\n");
	node(1, "1\n", "20 10 30\n");
	node(2, "\n", "15 30 10\n");
	os_nodes_add(&allowed, 1);
	os_nodes_add(&allowed, 2);
	read_now(NULL, &allowed, 0);
	assert_int_equal(home_of_cpu(0), 1);
	assert_int_equal(home_of_cpu(1), 1);
	memset(&allowed, 0, sizeof allowed);
	os_nodes_add(&allowed, 2);
	read_now(NULL, &allowed, 0);
	assert_int_equal(home_of_cpu(0), 2);
	assert_int_equal(home_of_cpu(1), 2);
	assert_int_equal(os_nodes_count(&now.cpu_nodes), 0);
}

static void test_goes_and_comes(void **state)
{
	(void)state;
	head("0-2\n", "0-2\n");
	node(0, "0\n", "10 20 15\n");
	node(1, "1\n", "20 10 30\n");
	node(2, "2\n", "15 30 10\n");
	read_now(NULL, NULL, 2);
	then = now;
	head("1-2\n", "1-2\n");
	node(1, "1\n", "10 30\n");
	node(2, "2\n", "30 10\n");
	read_now(&then, NULL, 1);
	assert_int_equal(now.count, 3);
	assert_memory_equal(now.os, then.os, sizeof now.os);
	assert_int_equal(now.flags[now.number[0]], 0);
	assert_int_equal(now.distance[now.number[1]][now.number[2]], 30);
	assert_int_not_equal(now.home[now.number[0]], now.number[0]);
	assert_int_equal(now.deserted, 1u << now.number[0]);
	then = now;
	head("1-3\n", "1-3\n");
	node(3, "3\n", "20 20 10\n");
	read_now(&then, NULL, 1);
	assert_int_equal(now.count, 4);
	assert_int_equal(now.number[3], 3);
	assert_int_equal(home_of_cpu(3), 3);
}

/* Nodes beyond the last number share that of their neighbour. */
static void test_more_than_numbers(void **state)
{
	enum { MANY = 70 };
	char distances[MANY * 4 + 2], cpus[16];

	(void)state;
	head("0-69\n", "0-69\n");
	for (unsigned a = 0; a < MANY; a++) {
		distances[0] = '\0';
		for (unsigned b = 0; b < MANY; b++)
			strcat(distances, a == b ? "10 " : a % 10 == b % 10 ? "12 " : "40 ");
		snprintf(cpus, sizeof cpus, "%u\n", a);
		node(a, cpus, distances);
	}
	read_now(NULL, NULL, 0);
	assert_int_equal(now.count, NODES_REAL_MAX);
	for (unsigned a = 0; a < MANY; a++) {
		unsigned number = now.cpu_node[a];

		assert_in_range(number, 0, NODES_REAL_MAX - 1);
		assert_int_equal(now.os[number] % 10, a % 10);
		assert_int_equal(now.number[a], number);
	}
}

/* The longest list that there can be. */
static void test_every_other(void **state)
{
	static char cpus[2][5 * CPUS_MAX];
	size_t used[2] = {0, 0};

	(void)state;
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		used[cpu % 2] += (size_t)sprintf(cpus[cpu % 2] + used[cpu % 2], "%u,", cpu);
	head("0-1\n", "0-1\n");
	node(0, cpus[0], "10 20\n");
	node(1, cpus[1], "20 10\n");
	read_now(NULL, NULL, 0);
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		assert_int_equal(now.cpu_node[cpu], cpu % 2);
}

static void test_missing(void **state)
{
	(void)state;
	assert_false(topology_read(&now, root, NULL, NULL, 0));
	assert_false(topology_read(&now, "/nonexistent", NULL, NULL, 0));
	write_file("online", "\n");
	assert_false(topology_read(&now, root, NULL, NULL, 0));
	write_file("online", "none\n");
	assert_false(topology_read(&now, root, NULL, NULL, 0));
	write_file("online", "0-1\n");
	read_now(NULL, NULL, 0);
	assert_int_equal(now.count, 2);
	assert_int_equal(now.distance[0][1], 20);
	assert_int_equal(now.flags[1], NODE_MEMORY | NODE_ALLOWED);
	/* Numbers that are none, or too large, or fewer than nodes. */
	write_file("has_memory", "0-99999999999999999999\n");
	node(0, "0-4294967295,x\n", "10\n");
	node(1, "-,5\n", "abc 300 17\n");
	read_now(NULL, NULL, 0);
	assert_int_equal(now.count, 2);
	assert_int_equal(now.distance[0][1], 20);
	assert_int_equal(now.cpu_node[CPUS_MAX - 1], 0);
}

/* A number is one, however long; no node is nearer than one is to itself, or has another's processor. */
static void test_odd_numbers(void **state)
{
	(void)state;
	head("0-1,10000000001\n", "0-1\n");
	node(0, "0-1,2,2\n", "9 10000000020\n");
	node(1, "2,3\n", "5 10\n");
	read_now(NULL, NULL, 0);
	assert_int_equal(now.count, 2);
	assert_int_equal(now.distance[0][0], DISTANCE_LOCAL);
	assert_int_equal(now.distance[0][1], DISTANCE_FAR);
	assert_int_equal(now.distance[1][0], 20);
	assert_int_equal(now.cpu_node[2], 0);
	assert_int_equal(now.cpu_node[3], 1);
	node(1, "2\n", "20 10\n");
	read_now(NULL, NULL, 0);
	assert_int_equal(now.flags[1], NODE_MEMORY | NODE_ALLOWED);
}

/* A node that went is nobody's neighbour. */
static void test_gone_is_far(void **state)
{
	enum { MANY = 64 };
	char distances[MANY * 3 + 2] = "";

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		strcat(distances, i ? "30 " : "40 ");
	head("0-63\n", "0-63\n");
	read_now(NULL, NULL, 0);
	then = now;
	head("1-64\n", "1-64\n");
	node(64, "7\n", distances);
	read_now(&then, NULL, 1);
	assert_int_equal(now.count, NODES_REAL_MAX);
	assert_int_equal(now.distance[1][0], DISTANCE_FAR);
	assert_int_equal(now.os[now.cpu_node[7]], 2);
}

static void test_one(void **state)
{
	(void)state;
	head("0\n", "0\n");
	node(0, "0-7\n", "10\n");
	read_now(NULL, NULL, 0);
	assert_int_equal(now.count, 1);
	assert_int_equal(now.home[0], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, drop_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_two),
		TEST(test_gaps),
		TEST(test_memory_only),
		TEST(test_allowed),
		TEST(test_goes_and_comes),
		TEST(test_more_than_numbers),
		TEST(test_every_other),
		TEST(test_missing),
		TEST(test_odd_numbers),
		TEST(test_gone_is_far),
		TEST(test_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
