/*
 * foreign.h: pointers that are not ours. Memory from the C library's own
 * malloc (the loader's, or a library's under RTLD_DEEPBIND) goes back there;
 * what cannot be a heap pointer at all is reported, then abort.
 */
#ifndef TLS_FOREIGN_H
#define TLS_FOREIGN_H

#include "segments/types.h"

void foreign_free(void *p);
size_t foreign_bytes(const void *p, const char *call);
void *foreign_resize(void *p, size_t size);

/* Does the address lie in memory that a region of ours covers? */
bool region_has(struct region *r, const void *p);
bool foreign_is_ours(const void *p);

#endif
