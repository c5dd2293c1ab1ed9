/*
 * races.c: two accesses race when they are of different threads, one of them writes,
 * one of them is plain, and neither comes before the other. Of each byte the last
 * access of each kind by each thread is kept: whatever came before that, of the same
 * thread, came before what it came before.
 */
#include "internal.h"

#include <string.h>

#define WORDS 32768 /* a power of two */
#define RANGES 64

struct word {
	uintptr_t address; /* of 8 bytes */
	uint32_t execution;
	uint8_t threads; /* bits of those that were here */
	uint16_t clock[ACCESSES][MODEL_THREADS][8];
};

struct range {
	uintptr_t start, end;
	unsigned thread;
	uint16_t clock;
};

static struct word words[WORDS];
static uint32_t used[WORDS];
static size_t used_count;
static uint32_t execution;
static struct range ranges[RANGES];
static size_t ranges_count;

void races_begin(void)
{
	execution++;
	used_count = ranges_count = 0;
}

static struct word *word_of(uintptr_t address)
{
	size_t i = mix(0, address) % WORDS;
	while (words[i].execution == execution && words[i].address != address)
		i = (i + 1) % WORDS;
	struct word *w = &words[i];
	if (w->execution != execution) {
		if (used_count == WORDS / 2)
			model_fail("more than %d words are accessed", WORDS / 2);
		memset(w, 0, sizeof *w);
		w->address = address;
		w->execution = execution;
		used[used_count++] = (uint32_t)i;
	}
	return w;
}

static bool is_write(enum access a)
{
	return a == PLAIN_WRITE || a == ATOMIC_WRITE;
}

static bool is_plain(enum access a)
{
	return a == PLAIN_READ || a == PLAIN_WRITE;
}

static _Noreturn void fail_race(
	unsigned thread, unsigned other, uintptr_t address, enum access a, enum access b)
{
	static const char *const names[] = {
		"reads", "writes", "atomically reads", "atomically writes"};
	model_fail("data race: thread %u %s %p, which thread %u %s", thread, names[a],
		(void *)address, other, names[b]);
}

static void check_byte(const struct word *w, unsigned byte, unsigned thread, enum access access)
{
	const uint16_t *clock = memory_clock(thread);
	for (unsigned other = 1; other < MODEL_THREADS; other++)
		for (enum access a = 0; other != thread && a < ACCESSES; a++)
			if ((is_write(a) || is_write(access)) &&
				(is_plain(a) || is_plain(access)) &&
				w->clock[a][other][byte] > clock[other])
				fail_race(thread, other, w->address + byte, access, a);
}

static void check_ranges(unsigned thread, uintptr_t address, size_t bytes, enum access access)
{
	const uint16_t *clock = memory_clock(thread);
	for (size_t i = 0; i < ranges_count; i++)
		if (ranges[i].thread != thread && ranges[i].start < address + bytes &&
			address < ranges[i].end && ranges[i].clock > clock[ranges[i].thread])
			fail_race(thread, ranges[i].thread, address, access, PLAIN_WRITE);
}

void races_access(unsigned thread, uintptr_t address, size_t bytes, enum access access)
{
	uint16_t now = memory_clock(thread)[thread];
	check_ranges(thread, address, bytes, access);
	struct word *w = NULL;
	for (uintptr_t at = address; at < address + bytes; at++) {
		unsigned byte = at & 7;
		if (!w || byte == 0)
			w = word_of(at & ~(uintptr_t)7);
		if (w->clock[access][thread][byte] == now)
			continue;
		if (w->threads & ~(1u << thread))
			check_byte(w, byte, thread, access);
		w->threads |= (uint8_t)(1u << thread);
		w->clock[access][thread][byte] = now;
	}
}

void races_write_range(unsigned thread, uintptr_t start, size_t bytes)
{
	for (size_t i = 0; i < used_count; i++) {
		const struct word *w = &words[used[i]];
		if (w->address >= start && w->address < start + bytes)
			for (unsigned byte = 0; byte < 8; byte++)
				check_byte(w, byte, thread, PLAIN_WRITE);
	}
	check_ranges(thread, start, bytes, PLAIN_WRITE);
	if (ranges_count == RANGES)
		model_fail("more than %d ranges are mapped and purged", RANGES);
	ranges[ranges_count++] =
		(struct range){start, start + bytes, thread, memory_clock(thread)[thread]};
}
