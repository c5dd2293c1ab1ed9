/*
 * fuzz_sysfs: a tree as /sys/devices/system/node may be ("@online", "@has_memory", "@node3/cpulist",
 * "@node3/distance"), with the node that gets the first number ("@first") and those that the process
 * may use ("@allowed"); after "@then", the same tree later on. What the library makes of it is compared
 * with what these files say when they are read a second time here, and must be consistent in itself.
 */
#include "inside.h"

#include "numa/topology.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_BYTES = 20480, DISTANCE_DEFAULT = 20, NUMBER_MOST = 1000000 };

static char text[TEXT_BYTES];
static struct topology now, then, again;

/* What the files say, by numbers of the OS. */
static struct model {
	struct os_nodes online, memory, allowed;
	bool knows_allowed;
	unsigned first;
	unsigned cpu_os[CPUS_MAX]; /* OS_NODES_MAX: none */
	uint8_t distance[OS_NODES_MAX][OS_NODES_MAX];
} model;

/* What is no list ends it. */
static bool read_list(
	const char *name, void (*each)(unsigned n, unsigned os), unsigned os, unsigned most)
{
	const char *at = text;
	uint64_t from, to;

	if (!file_text(name, text, sizeof text - 1))
		return false;
	for (;;) {
		at += *at == ',';
		if (!number_at(&at, &from))
			return true;
		to = from;
		if (*at == '-') {
			at++;
			if (!number_at(&at, &to))
				return true;
		}
		for (; from <= to && from < most; from++)
			each((unsigned)from, os);
	}
}

static void add_online(unsigned n, unsigned os)
{
	(void)os;
	os_nodes_add(&model.online, n);
}

static void add_memory(unsigned n, unsigned os)
{
	(void)os;
	os_nodes_add(&model.memory, n);
}

static void add_allowed(unsigned n, unsigned os)
{
	(void)os;
	os_nodes_add(&model.allowed, n);
}

/* A processor is on the first node that names it. */
static void add_cpu(unsigned n, unsigned os)
{
	if (model.cpu_os[n] == OS_NODES_MAX)
		model.cpu_os[n] = os;
}

/* By numbers of the OS, what the file of the first says of the second. */
static unsigned distance_of(unsigned from, unsigned to)
{
	return model.distance[from][to];
}

static void read_distances(unsigned from)
{
	uint8_t *row = model.distance[from];
	char name[32];
	const char *at = text;
	bool good;

	snprintf(name, sizeof name, "node%u/distance", from);
	good = file_text(name, text, sizeof text - 1);
	for (unsigned to = 0; to < OS_NODES_MAX; to++) {
		uint64_t d = 0;

		row[to] = DISTANCE_FAR;
		if (!os_nodes_has(&model.online, to))
			continue;
		at += good ? strspn(at, " ") : 0;
		good = good && number_at(&at, &d);
		if (d < DISTANCE_LOCAL)
			row[to] = DISTANCE_DEFAULT;
		else if (d < DISTANCE_FAR)
			row[to] = (uint8_t)d;
	}
	row[from] = DISTANCE_LOCAL;
}

static void read_model(void)
{
	char name[32];
	const char *at = text;
	uint64_t first = 0;

	memset(&model, 0, offsetof(struct model, distance));
	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
		model.cpu_os[cpu] = OS_NODES_MAX;
	read_list("online", add_online, 0, OS_NODES_MAX);
	if (!read_list("has_memory", add_memory, 0, OS_NODES_MAX))
		model.memory = model.online;
	model.knows_allowed = read_list("allowed", add_allowed, 0, OS_NODES_MAX);
	if (file_text("first", text, sizeof text - 1))
		number_at(&at, &first);
	model.first = (unsigned)(first % (2 * OS_NODES_MAX));
	for (unsigned os = 0; os < OS_NODES_MAX; os++)
		if (os_nodes_has(&model.online, os)) {
			snprintf(name, sizeof name, "node%u/cpulist", os);
			read_list(name, add_cpu, os, CPUS_MAX);
			read_distances(os);
		}
}

/* Numbers are dense, kept for good, and go to the first node, then upwards. */
static void check_numbers(const struct topology *old)
{
	struct os_nodes numbered = {{0}};
	unsigned kept = old ? old->count : 0, all = 0;
	bool first_is_next = os_nodes_has(&model.online, model.first);

	for (unsigned n = 0; n < now.count; n++) {
		if (now.number[now.os[n]] != n || os_nodes_has(&numbered, now.os[n]))
			broken("number %u is of node %u, whose number is %u", n, now.os[n],
				now.number[now.os[n]]);
		if (n < kept && now.os[n] != old->os[n])
			broken("number %u was of node %u and is of %u", n, old->os[n], now.os[n]);
		first_is_next = first_is_next && !os_nodes_has(&numbered, model.first);
		if (n >= kept && first_is_next && now.os[n] != model.first)
			broken("number %u is of node %u, not of the first", n, now.os[n]);
		if (n > kept && !first_is_next && now.os[n] < now.os[n - 1] &&
			now.os[n - 1] != model.first)
			broken("node %u has a number before %u", now.os[n - 1], now.os[n]);
		os_nodes_add(&numbered, now.os[n]);
	}
	for (unsigned os = 0; os < OS_NODES_MAX; os++) {
		bool online = os_nodes_has(&model.online, os), own = os_nodes_has(&numbered, os);

		all += online || own;
		if (now.number[os] != NODE_NONE ? now.number[os] >= now.count || (!online && !own)
						: online)
			broken("node %u has the number %u", os, now.number[os]);
	}
	if (now.count < kept || now.count > NODES_REAL_MAX ||
		now.count != (all < NODES_REAL_MAX ? all : NODES_REAL_MAX))
		broken("%u numbers for %u nodes", now.count, all);
}

static void check_distances(void)
{
	for (unsigned a = 0; a < now.count; a++)
		for (unsigned b = 0; b < now.count; b++) {
			bool gone = !os_nodes_has(&model.online, now.os[a]);
			unsigned d = gone ? DISTANCE_FAR : distance_of(now.os[a], now.os[b]);

			if (now.distance[a][b] != d)
				broken("from node %u to %u it is %u, not %u", now.os[a], now.os[b],
					now.distance[a][b], d);
		}
	/* A node without a number of its own has that of one that is nearest to it. */
	for (unsigned os = 0; os < OS_NODES_MAX; os++) {
		unsigned n = now.number[os];

		if (n == NODE_NONE || now.os[n] == os)
			continue;
		for (unsigned m = 0; m < now.count; m++)
			if (distance_of(os, now.os[m]) < distance_of(os, now.os[n]))
				broken("node %u counts as %u, and %u is nearer", os, now.os[n],
					now.os[m]);
	}
}

static unsigned flags_of(unsigned n, uint64_t with_cpus)
{
	unsigned os = now.os[n], flags = with_cpus >> n & 1 ? NODE_CPUS : 0;

	if (os_nodes_has(&model.online, os) && os_nodes_has(&model.memory, os)) {
		flags |= NODE_MEMORY;
		if (!model.knows_allowed || os_nodes_has(&model.allowed, os))
			flags |= NODE_ALLOWED;
	}
	return flags;
}

static void check_nodes(void)
{
	struct os_nodes allowed = {{0}}, beside = {{0}};
	uint64_t deserted = 0, with_cpus = 0;

	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		unsigned os = model.cpu_os[cpu];

		if (now.cpu_node[cpu] != (os == OS_NODES_MAX ? NODE_NONE : now.number[os]))
			broken("processor %u of node %u is on number %u", cpu, os,
				now.cpu_node[cpu]);
		if (os != OS_NODES_MAX)
			with_cpus |= (uint64_t)1 << now.number[os];
	}
	for (unsigned n = 0; n < now.count; n++) {
		unsigned flags = flags_of(n, with_cpus);

		if (now.flags[n] != flags)
			broken("node %u has the flags %u, not %u", now.os[n], now.flags[n], flags);
		if (!(flags & NODE_CPUS))
			deserted |= (uint64_t)1 << n;
		if (flags & NODE_ALLOWED)
			os_nodes_add(&allowed, now.os[n]);
		if ((flags & NODE_ALLOWED) && (flags & NODE_CPUS))
			os_nodes_add(&beside, now.os[n]);
	}
	if (now.deserted != deserted || memcmp(&now.allowed, &allowed, sizeof allowed) != 0 ||
		memcmp(&now.cpu_nodes, &beside, sizeof beside) != 0 ||
		now.memory_only != (os_nodes_count(&allowed) > os_nodes_count(&beside)))
		broken("the sums of %u nodes are wrong", now.count);
}

/* 0: memory beside processors, 1: other memory, 2: none that may be used. */
static unsigned rank(unsigned n)
{
	unsigned flags = now.flags[n];

	return (flags & NODE_ALLOWED) ? (flags & NODE_CPUS ? 0 : 1) : 2;
}

static void check_homes(void)
{
	for (unsigned n = 0; n < now.count; n++) {
		unsigned home = now.home[n];

		if (home >= now.count)
			broken("node %u has the home %u", now.os[n], home);
		if (rank(home) == 2 && home != n)
			broken("node %u has a home without memory, %u", now.os[n], now.os[home]);
		for (unsigned m = 0; m < now.count; m++)
			if (rank(m) < rank(home) ||
				(m != home && home != n && rank(m) == rank(home) && rank(m) < 2 &&
					(m == n || now.distance[n][m] < now.distance[n][home])))
				broken("node %u has the home %u, and %u is better", now.os[n],
					now.os[home], now.os[m]);
	}
}

static bool read_tree(const struct topology *old)
{
	bool there;

	read_model();
	there = topology_read(
		&now, FILES_ROOT, old, model.knows_allowed ? &model.allowed : NULL, model.first);
	if (there != (os_nodes_count(&model.online) > 0))
		broken("a tree of %u nodes is %s", os_nodes_count(&model.online),
			there ? "read" : "refused");
	if (!there)
		return false;
	check_numbers(old);
	check_distances();
	check_nodes();
	check_homes();
	/* What has not changed is the same to each byte: so the library finds that out. */
	if (!topology_read(&again, FILES_ROOT, &now, model.knows_allowed ? &model.allowed : NULL,
		    model.first) ||
		memcmp(&again, &now, sizeof now) != 0)
		broken("the same tree of %u nodes is another", now.count);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	size_t used = files_set(data, bytes, "then");
	bool there = read_tree(NULL);

	if (!there || used == bytes)
		return 0;
	then = now;
	files_set(data + used, bytes - used, NULL);
	read_tree(&then);
	return 0;
}
