/*
 * script.h: an input of the fuzzers as a program: records of 8 bytes, each a
 * call of the interface on one of 256 slots for blocks.
 */
#ifndef FUZZ_SCRIPT_H
#define FUZZ_SCRIPT_H

#include "shadow.h"

#include "hakmem.h"

/* In the preload form they may be missing: another allocator is loaded, or none. */
#if !TEST_FORM_HAK
#pragma weak hak_version
#pragma weak hak_alloc
#pragma weak hak_heap_create
#pragma weak hak_heap_create_on
#pragma weak hak_heap_create_interleaved
#pragma weak hak_heap_alloc
#pragma weak hak_heap_destroy
#pragma weak hak_node_of
#pragma weak hak_option_set
#pragma weak hak_purge
#pragma weak hak_stats
#pragma weak hak_stats_json
#pragma weak hak_verify
#endif

enum { SLOTS = 256, HEAPS = 4 };

struct record {
	uint8_t op, who, slot; /* who: the thread, where there are several */
	uint8_t size[3];       /* see record_size */
	uint8_t x, y;
};

struct script {
	struct shadow block[SLOTS];
	hak_heap *heap[HEAPS];
	uint64_t serial;
	size_t held;   /* bytes asked for */
	bool limited;  /* a hard limit is in force: calls may fail */
	size_t record; /* number of the one at work */
};

/* hak_*: always in the archive, in the preload form where it is our library that is loaded. */
bool script_has_hak(void);

/* The next record, false at the end of the input. */
bool record_read(struct record *r, const uint8_t **data, size_t *bytes);

/* Sizes of all kinds, classes' ends and powers of two more often than others. */
size_t record_size(const struct record *r);

/* Runs one record. No other thread runs one of this script meanwhile. */
void script_step(struct script *s, const struct record *r);

/* Checks everything; frees everything, and checks that nothing is left. */
void script_check(struct script *s);
void script_end(struct script *s);

/* Once per process, before the first input. */
void script_begin_process(void);

#endif
