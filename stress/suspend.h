/*
 * suspend.h: which function of this program an address is in, and whether that
 * is the allocator's: from the symbol table of the running file.
 */
#ifndef STRESS_SUSPEND_H
#define STRESS_SUSPEND_H

#include <stdbool.h>
#include <stdint.h>

/* Before the rest; ends the program if it has no symbols of the allocator. */
void symbols_read(void);
/* Is it in the allocator's text? `count` adds it to what symbols_print shows. */
bool symbols_is_allocator(uintptr_t address, bool count);
/* "?" for what is not in this file: libc, the kernel's page. */
const char *symbols_name(uintptr_t address);
/* How many functions of the allocator were met, and those met most. */
void symbols_print(void);

#endif
