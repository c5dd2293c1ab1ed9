/*
 * verify.h: the invariants of types.h, executable. For quiet moments.
 */
#ifndef SEGMENTS_VERIFY_H
#define SEGMENTS_VERIFY_H

#include "base/base.h"

/* Checks every descriptor; dies at the first that is wrong. Returns pages seen. */
size_t verify_all(void);

#endif
