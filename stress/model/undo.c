/*
 * undo.c: what memory held before it was written, so that each execution begins
 * with the same memory. The newest entry is undone first.
 */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uintptr_t address;
	uint64_t before;
	unsigned bytes;
};

static struct entry *entries;
static size_t count, room;

static void add(uintptr_t address, unsigned bytes)
{
	if (count == room) {
		room = room ? 2 * room : 4096;
		entries = realloc(entries, room * sizeof *entries);
		if (!entries) {
			perror("realloc");
			exit(2);
		}
	}
	struct entry *e = &entries[count++];
	e->address = address;
	e->bytes = bytes;
	memcpy(&e->before, (void *)address, bytes);
}

void undo_log(uintptr_t address, size_t bytes)
{
	for (; bytes >= 8; bytes -= 8, address += 8)
		add(address, 8);
	if (bytes)
		add(address, (unsigned)bytes);
}

size_t undo_mark(void)
{
	return count;
}

void undo_to(size_t mark)
{
	while (count > mark) {
		const struct entry *e = &entries[--count];
		memcpy((void *)e->address, &e->before, e->bytes);
	}
}
