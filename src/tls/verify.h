/*
 * verify.h: the invariants of heaps, and all others with them. Dies with one
 * line at the first that is broken.
 */
#ifndef TLS_VERIFY_H
#define TLS_VERIFY_H

#include "tls/heap.h"

/* Everything, in a quiet moment. Returns the small pages seen. */
size_t verify_all(void);

/*
 * For the slow path of malloc, where the option verify is set: every so many
 * calls of a thread its own heap, which needs no quiet.
 */
void verify_now_and_then(struct heap *h);

#endif
