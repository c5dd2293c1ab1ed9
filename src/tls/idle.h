/*
 * idle.h: blocks that were sent to threads which do not come for them.
 */
#ifndef TLS_IDLE_H
#define TLS_IDLE_H

#include "segments/region.h"

/*
 * Goes through the inboxes of all heaps: blocks whose pages their heap no longer owns
 * are freed, of the others the memory is given back. With `aged` only where something
 * has waited since the last call, and the heap's thread took nothing meanwhile. What the
 * last call had to leave there is looked at `again` or when something has come.
 */
void idle_reap(bool aged, bool again, enum split split);

/* any: does something lie in an inbox that the next call might find new? */
bool idle_waits(void);

#endif
