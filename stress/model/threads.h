/*
 * threads.h: the threads of a model, which run on stacks of their own, one at a time.
 */
#ifndef MODEL_THREADS_H
#define MODEL_THREADS_H

#include "internal.h"

/* Once. */
void threads_init(void);

/* All begin at the start of their functions, with the thread-local variables of number 0. */
void threads_begin(const struct scenario *s);

/* Runs a thread up to its next access that matters, or its end. */
void threads_run(unsigned thread);

/* What it is about to do; NULL when it has ended. */
struct op *threads_op(unsigned thread);

/* In a thread: back to whoever runs it, for good when `end`. */
void threads_pause(struct op *op);

#endif
