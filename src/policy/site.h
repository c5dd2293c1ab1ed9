/*
 * site.h: what becomes of big blocks, by the place in the program that asks for
 * them. A site is a return address; a bounded table holds what was seen of it.
 * Blocks of 64 KiB and more carry the number of their site, and when one is
 * freed, the thermal class of its site says how long it stays resident.
 *
 * The table is filled by CAS and never emptied; sites that find no room share
 * entry 0. All other fields are statistics: relaxed, and right when a few
 * updates are lost, because every class is a safe choice.
 */
#ifndef POLICY_SITE_H
#define POLICY_SITE_H

#include "base/atomic.h"
#include "base/base.h"

#define SITES 256

enum site_class {
	SITE_HOT,  /* freed blocks stay until nobody has wanted them for the purge delay */
	SITE_WARM, /* until the next tick */
	SITE_COLD, /* until a batch of them is full, or the next tick */
};

struct site {
	_Atomic(uintptr_t) x_address;    /* any: relaxed, 0 to an address once */
	_Atomic(uint64_t) x_allocs;      /* any: relaxed; blocks taken from the pools */
	_Atomic(uint64_t) x_frees;       /* any: relaxed; blocks given back to them */
	_Atomic(uint64_t) x_fresh_bytes; /* any: relaxed; handed out without being resident */
	_Atomic(uint32_t) x_freed_ms;    /* any: relaxed; the last free nobody has followed, or 0 */
	_Atomic(int32_t) x_score;  /* any: relaxed; reuse within the delay up, late reuse down */
	_Atomic(uint32_t) x_class; /* any: relaxed; enum site_class */
} __attribute__((aligned(CACHE_LINE_BYTES)));
extern struct site sites[SITES];

/* The number of the site of a call that takes a block from the pools. */
unsigned site_alloc(uintptr_t caller);

/* Its block was not resident to so many bytes: each of their pages will fault. */
void site_fresh(unsigned site, size_t bytes);

/* What to do with a block of the site that goes to the pools. */
enum site_class site_free(unsigned site, uint32_t now_ms);

/* The class of a site from its score and the class it had: they differ by hysteresis. */
enum site_class site_classify(int score, enum site_class before);

#endif
