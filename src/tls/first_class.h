/*
 * first_class.h: heaps that a program makes and destroys itself. Each is a set
 * of ordinary heaps that its users lease for one allocation; two threads that
 * allocate at the same time get two of them.
 */
#ifndef TLS_FIRST_CLASS_H
#define TLS_FIRST_CLASS_H

#include "tls/heap.h"

/* Heaps in one link of the chain: more threads than this in one heap at once are rare. */
#define LEASES 32

struct hak_heap {
	struct heap *_Atomic x_heaps[LEASES]; /* any: cas acq_rel, NULL to heap, then const */
	struct hak_heap *_Atomic x_more;      /* any: [L3], NULL to set, then const */
	unsigned node;                        /* const */
};

/* In the child of a fork, before anything else. */
void lease_forked(void);

/* As hak_heap_create, hak_heap_alloc and hak_heap_destroy. */
struct hak_heap *first_class_create(unsigned node);
void *first_class_alloc(struct hak_heap *set, size_t size, size_t align, bool zero);
void first_class_destroy(struct hak_heap *set);

#endif
