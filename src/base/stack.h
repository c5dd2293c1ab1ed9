/*
 * stack.h: return addresses of the running thread. Nothing here allocates or
 * locks; safe in malloc, free and signal handlers.
 */
#ifndef BASE_STACK_H
#define BASE_STACK_H

#include "base/base.h"

/*
 * Writes up to `most` return addresses to pcs, the innermost first, beginning
 * with the program's call into this library. Returns their number: 0 where the
 * stack cannot be unwound.
 */
unsigned stack_take(uintptr_t *pcs, unsigned most);

/* Writes "file+0xoffset" for an address in code, else the plain address. */
void stack_name(uintptr_t pc, char *text, size_t bytes);

#endif
