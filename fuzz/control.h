/*
 * control.h: the calls of a script that concern the allocator as a whole, and
 * what must hold of it at any time.
 */
#ifndef FUZZ_CONTROL_H
#define FUZZ_CONTROL_H

#include "script.h"

void control_heap_create(struct script *s, struct shadow *b, const struct record *r);

/* Calls that must fail, and must change nothing. */
void control_refused(struct script *s, struct shadow *b, const struct record *r);

/* Sets an option that may change at run time; a hard limit among them. */
void control_option(struct script *s, struct shadow *b, const struct record *r);
void control_default_options(struct script *s);

/* Purges, or looks at one or all blocks, or at the statistics. */
void control_look(struct script *s, struct shadow *b, const struct record *r);

/* All invariants hold, and the statistics know of the script's blocks and of no others. */
void control_verify(struct script *s);

/* Once all other threads have ended: nothing is on its way to any of them. */
void control_quiet(void);

#endif
