/*
 * suspend.h: a thread stopped at some instruction by a signal whose handler waits
 * (stopper.c); and which function of this program an address is in, and whether that
 * is the allocator's, from the symbol table of the running file (symbols.c).
 */
#ifndef STRESS_SUSPEND_H
#define STRESS_SUSPEND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Once, before the rest. */
void stop_begin(void);
/* The calling thread may be stopped while *inside; `inside` NULL: not at all. */
void stop_allow(const _Atomic bool *inside, unsigned lane);
/* Stops one of the threads, all of which get signals for that: its lane, or -1 if none was met. */
int stop_any(const _Atomic int *const *tids, unsigned count);
/* Signals sent so far. */
uint64_t stop_signals(void);
/* The instruction before which it stands; and it goes on. */
uintptr_t stop_address(void);
void stop_end(void);

/* Before the rest; ends the program if it has no symbols of the allocator. */
void symbols_read(void);
/* Is it in the allocator's text? `count` adds it to what symbols_print shows. */
bool symbols_is_allocator(uintptr_t address, bool count);
/* "?" for what is not in this file: libc, the kernel's page. */
const char *symbols_name(uintptr_t address);
/* How many functions of the allocator were met, and those met most. */
void symbols_print(void);

#endif
