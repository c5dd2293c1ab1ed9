/*
 * sites.c: where in the source an atomic access is, what the comment on its line cites,
 * and which orders are weakened for now. addr2line knows the lines;
 * the program is linked to run where the file says.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SITES_MAX 4096 /* a power of two */
#define LINES_MAX 1024
#define LOOKUP_MAX 512 /* addresses in one command */

static struct site {
	const void *address;
	enum op_kind kind;
	unsigned order, lacks; /* bits */
	uint16_t line;         /* plus 1 */
} sites[SITES_MAX];

static struct site_line lines[LINES_MAX];
static size_t lines_count;

static struct site *site_of(const void *address)
{
	size_t i = mix(0, (uintptr_t)address) % SITES_MAX;
	while (sites[i].address && sites[i].address != address)
		i = (i + 1) % SITES_MAX;
	sites[i].address = address;
	return &sites[i];
}

unsigned site_order(const void *address, enum op_kind kind, unsigned order)
{
	struct site *s = site_of(address);
	s->kind = kind;
	s->order |= order;
	if (s->lacks & order)
		lines[s->line - 1].weakened_was_used = true;
	return order & ~s->lacks;
}

void site_weaken(size_t line, unsigned bits)
{
	for (size_t i = 0; i < SITES_MAX; i++)
		if (sites[i].address)
			sites[i].lacks = sites[i].line == line + 1 ? bits : 0;
	lines[line].weakened_was_used = false;
}

struct site_line *site_line(size_t i)
{
	return &lines[i];
}

/* ---- From addresses to lines --------------------------------------------------- */

/* The citations in the comments of a line, and of the lines that continue it. */
static void read_cites(struct site_line *l)
{
	char text[400], tag[8];
	FILE *f = fopen(l->file, "r");
	if (!f)
		return;
	for (unsigned n = 1; fgets(text, sizeof text, f) && n < l->line + 3; n++) {
		if (n < l->line)
			continue;
		for (const char *at = text; (at = strchr(at, '[')); at++)
			if (sscanf(at, "[%1[A-Z]%1[0-9]]", tag, tag + 1) == 2 && at[3] == ']' &&
				strlen(l->cites) + 4 < sizeof l->cites)
				sprintf(l->cites + strlen(l->cites), "%s ", tag);
		if (l->cites[0] || strchr(text, ';') || strchr(text, '{'))
			break;
	}
	fclose(f);
}

static uint16_t line_of(const char *file, unsigned number, const char *function)
{
	const char *src = strstr(file, "src/");
	const char *model = strstr(file, "stress/model/");
	file = src ? src : model ? model : file;
	for (size_t i = 0; i < lines_count; i++)
		if (lines[i].line == number && strcmp(lines[i].file, file) == 0)
			return (uint16_t)(i + 1);
	if (lines_count == LINES_MAX) {
		fprintf(stderr, "more than %d lines of atomic accesses\n", LINES_MAX);
		exit(2);
	}
	struct site_line *l = &lines[lines_count++];
	snprintf(l->file, sizeof l->file, "%.99s", file);
	snprintf(l->function, sizeof l->function, "%.59s", function);
	l->line = number;
	read_cites(l);
	return (uint16_t)lines_count;
}

static void resolve(struct site **some, size_t count)
{
	static char command[LOOKUP_MAX * 20 + 200];
	char function[200], place[400];
	int n = snprintf(command, sizeof command, "addr2line -f -e /proc/%d/exe", (int)getpid());
	for (size_t i = 0; i < count; i++)
		n += snprintf(command + n, sizeof command - (size_t)n, " %#lx",
			(unsigned long)some[i]->address - 1);
	FILE *f = popen(command, "r");
	for (size_t i = 0; f && i < count && fgets(function, sizeof function, f) &&
			   fgets(place, sizeof place, f);
		i++) {
		char *colon = strrchr(place, ':');
		function[strcspn(function, "\n")] = '\0';
		if (!colon)
			continue;
		*colon = '\0';
		some[i]->line = line_of(place, (unsigned)atoi(colon + 1), function);
	}
	if (!f || pclose(f) != 0) {
		fprintf(stderr, "addr2line (binutils) does not work here\n");
		exit(2);
	}
}

size_t sites_resolve(void)
{
	struct site *some[LOOKUP_MAX];
	size_t count = 0;
	for (size_t i = 0; i < SITES_MAX; i++) {
		if (!sites[i].address || sites[i].line)
			continue;
		some[count++] = &sites[i];
		if (count == LOOKUP_MAX) {
			resolve(some, count);
			count = 0;
		}
	}
	if (count)
		resolve(some, count);
	for (size_t i = 0; i < SITES_MAX; i++)
		if (sites[i].line) {
			lines[sites[i].line - 1].order |= sites[i].order;
			lines[sites[i].line - 1].kind = sites[i].kind;
		}
	return lines_count;
}

const char *site_describe(const void *address)
{
	static char text[200];
	if (!address)
		return "";
	struct site *s = site_of(address);
	if (!s->line)
		resolve(&s, 1);
	if (!s->line)
		return "?";
	const struct site_line *l = &lines[s->line - 1];
	snprintf(text, sizeof text, "%s (%s:%u)", l->function, l->file, l->line);
	return text;
}
