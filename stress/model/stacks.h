/*
 * stacks.h: the threads of a model, which run on stacks of their own, one at a time.
 */
#ifndef MODEL_STACKS_H
#define MODEL_STACKS_H

#include "internal.h"

/* Once. */
void threads_init(void);

/* All begin at the start of their functions, with the thread-local variables of number 0. */
void threads_begin(const struct scenario *s);

/* Keeps the thread-local variables of number 0, or puts them back: around a model. */
void threads_keep_own(bool restore);

/* Runs a thread up to its next access that matters, or its end. */
void threads_run(unsigned thread);

/* What it is about to do; NULL when it has ended. */
struct op *threads_op(unsigned thread);

/* In a thread: back to whoever runs it, for good when `end`. */
void threads_pause(struct op *op);

#endif
