/*
 * choice.h: what becomes of a freed block: how long it stays resident. For 64 to
 * 512 KiB the thermal class of its site says so, and beyond that the strategy in
 * force (option policy): a threshold up to which blocks are kept.
 */
#ifndef POLICY_CHOICE_H
#define POLICY_CHOICE_H

#include "base/options.h"
#include "policy/site.h"

/* From here on strategies decide. */
#define CHOICE_BYTES (512 * KIB)

/* A block of that size goes to its node's pool at once: threads keep none for themselves. */
static inline bool choice_decides(size_t bytes)
{
	return bytes >= CHOICE_BYTES && load_rlx(&options.x_policy) != POLICY_OFF;
}

/* What to do with a block of the site that goes to a pool. */
enum site_class choice_of(unsigned site, size_t bytes);

#endif
