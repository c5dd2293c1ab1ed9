/*
 * sysfs.c: reads the kernel's description of nodes with open and read alone.
 * A file that is missing or unreadable leaves the plain assumption: distance
 * 20, memory everywhere. Numbers may have gaps; nodes beyond NODES_REAL_MAX
 * share the number of the nearest that has one.
 */
#include "numa/topology.h"

#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 20480 /* for every other one of CPUS_MAX processors */
#define PATH_BYTES 256
#define DISTANCE_DEFAULT 20
#define NUMBER_MOST 1000000 /* larger ones are taken for this */

static const char *parse_number(const char *text, unsigned *value)
{
	size_t n = 0;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; at++)
		n = min_size(n * 10 + (size_t)(*at - '0'), NUMBER_MOST);
	*value = (unsigned)n;
	return at > text ? at : NULL;
}

/* One "3" or "3-5" of a list; NULL at the end or at what is no list. */
static const char *parse_range(const char *text, unsigned *from, unsigned *to)
{
	if (*text == ',')
		text++;
	text = parse_number(text, from);
	*to = *from;
	return text && *text == '-' ? parse_number(text + 1, to) : text;
}

static bool read_text(const char *root, const char *name, char *text)
{
	char path[PATH_BYTES];
	int n = snprintf(path, sizeof path, "%s/%s", root, name);
	return n > 0 && (size_t)n < sizeof path && os_read_file(path, text, TEXT_BYTES);
}

static bool read_nodes(const char *root, const char *name, char *text, struct os_nodes *nodes)
{
	unsigned from, to;
	memset(nodes, 0, sizeof *nodes);
	if (!read_text(root, name, text))
		return false;
	for (const char *at = text; (at = parse_range(at, &from, &to));)
		for (; from <= to && from < OS_NODES_MAX; from++)
			os_nodes_add(nodes, from);
	return true;
}

static void give_number(struct topology *t, unsigned os)
{
	if (t->count >= NODES_REAL_MAX || t->number[os] != NODE_NONE)
		return;
	t->number[os] = (uint8_t)t->count;
	t->os[t->count++] = (uint16_t)os;
}

/* What had a number keeps it. */
static void give_numbers(struct topology *t, const struct topology *old,
	const struct os_nodes *online, unsigned first)
{
	memset(t, 0, sizeof *t);
	memset(t->number, (int)NODE_NONE, sizeof t->number);
	memset(t->cpu_node, (int)NODE_NONE, sizeof t->cpu_node);
	for (unsigned n = 0; old && n < old->count; n++)
		give_number(t, old->os[n]);
	if (os_nodes_has(online, first))
		give_number(t, first);
	for (unsigned os = 0; os < OS_NODES_MAX; os++)
		if (os_nodes_has(online, os))
			give_number(t, os);
}

static void set_cpus(struct topology *t, const char *text, unsigned number)
{
	unsigned from, to;
	while ((text = parse_range(text, &from, &to)))
		for (; from <= to && from < CPUS_MAX; from++) {
			if (t->cpu_node[from] != NODE_NONE)
				continue;
			t->cpu_node[from] = (uint8_t)number;
			t->flags[number] |= NODE_CPUS;
		}
}

/* The file has one number for each online node, in their order. */
static void set_distances(
	struct topology *t, const char *text, const struct os_nodes *online, uint8_t *row)
{
	for (unsigned os = 0; text && os < OS_NODES_MAX; os++) {
		unsigned d;
		if (!os_nodes_has(online, os))
			continue;
		while (*text == ' ')
			text++;
		text = parse_number(text, &d);
		if (text && d >= DISTANCE_LOCAL && t->number[os] != NODE_NONE &&
			t->os[t->number[os]] == os)
			row[t->number[os]] = (uint8_t)min_size(d, DISTANCE_FAR);
	}
}

static unsigned nearest(const struct topology *t, const uint8_t *row)
{
	unsigned best = 0;
	for (unsigned n = 1; n < t->count; n++)
		if (row[n] < row[best])
			best = n;
	return best;
}

static void read_node(struct topology *t, const char *root, const struct os_nodes *online,
	unsigned os, char *text)
{
	char name[32];
	uint8_t row[NODES_REAL_MAX];
	memset(row, DISTANCE_FAR, sizeof row);
	for (unsigned n = 0; n < t->count; n++)
		if (os_nodes_has(online, t->os[n]))
			row[n] = DISTANCE_DEFAULT;
	snprintf(name, sizeof name, "node%u/distance", os);
	if (read_text(root, name, text))
		set_distances(t, text, online, row);
	/* One more than we have numbers for: its threads count as its neighbour's. */
	bool own = t->number[os] != NODE_NONE;
	unsigned number = own ? t->number[os] : nearest(t, row);
	t->number[os] = (uint8_t)number;
	if (own) {
		row[number] = DISTANCE_LOCAL;
		memcpy(t->distance[number], row, sizeof row);
	}
	snprintf(name, sizeof name, "node%u/cpulist", os);
	if (read_text(root, name, text))
		set_cpus(t, text, number);
}

bool topology_read(struct topology *t, const char *root, const struct topology *old,
	const struct os_nodes *allowed, unsigned first)
{
	char text[TEXT_BYTES];
	struct os_nodes online, memory;
	if (!read_nodes(root, "online", text, &online) || !os_nodes_count(&online))
		return false;
	if (!read_nodes(root, "has_memory", text, &memory))
		memory = online;
	give_numbers(t, old, &online, first);
	memset(t->distance, DISTANCE_FAR, sizeof t->distance);
	for (unsigned os = 0; os < OS_NODES_MAX; os++)
		if (os_nodes_has(&online, os))
			read_node(t, root, &online, os, text);
	for (unsigned n = 0; n < t->count; n++) {
		unsigned os = t->os[n];
		if (!os_nodes_has(&online, os) || !os_nodes_has(&memory, os))
			continue;
		t->flags[n] |= NODE_MEMORY;
		if (!allowed || os_nodes_has(allowed, os))
			t->flags[n] |= NODE_ALLOWED;
	}
	topology_derive(t);
	return true;
}

/* Memory beside processors is better than any without, then the nearer one. */
static unsigned home_of(const struct topology *t, unsigned n)
{
	unsigned best = n, best_cost = UINT32_MAX;
	for (unsigned m = 0; m < t->count; m++) {
		if ((t->flags[m] & (NODE_MEMORY | NODE_ALLOWED)) != (NODE_MEMORY | NODE_ALLOWED))
			continue;
		unsigned cost =
			t->distance[n][m] + (t->flags[m] & NODE_CPUS ? 0 : 2 * DISTANCE_FAR);
		if (m == n)
			cost = t->flags[n] & NODE_CPUS ? 0 : 2 * DISTANCE_FAR;
		if (cost < best_cost) {
			best = m;
			best_cost = cost;
		}
	}
	return best;
}

void topology_derive(struct topology *t)
{
	memset(&t->allowed, 0, sizeof t->allowed);
	memset(&t->cpu_nodes, 0, sizeof t->cpu_nodes);
	t->memory_only = false;
	t->deserted = 0;
	for (unsigned n = 0; n < t->count; n++) {
		if (!(t->flags[n] & NODE_CPUS))
			t->deserted |= (uint64_t)1 << n;
		t->home[n] = (uint8_t)home_of(t, n);
		if (!(t->flags[n] & NODE_ALLOWED))
			continue;
		os_nodes_add(&t->allowed, t->os[n]);
		if (t->flags[n] & NODE_CPUS)
			os_nodes_add(&t->cpu_nodes, t->os[n]);
		else
			t->memory_only = true;
	}
}
