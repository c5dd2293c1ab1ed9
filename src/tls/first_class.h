/*
 * first_class.h: heaps that a program makes and destroys itself. Each is a set
 * of ordinary heaps that its users lease for one allocation; two threads that
 * allocate at the same time get two of them.
 */
#ifndef TLS_FIRST_CLASS_H
#define TLS_FIRST_CLASS_H

#include "tls/heap.h"

#define LEASES_MAX 64

struct hak_heap {
	struct heap *_Atomic x_heaps[LEASES_MAX]; /* any: cas acq_rel, NULL to heap, then const */
	unsigned node;                            /* const */
};

/* As hak_heap_create, hak_heap_alloc and hak_heap_destroy. */
struct hak_heap *first_class_create(void);
void *first_class_alloc(struct hak_heap *set, size_t size, size_t align, bool zero);
void first_class_destroy(struct hak_heap *set);

#endif
