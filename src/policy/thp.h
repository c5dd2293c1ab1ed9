/*
 * thp.h: whether a process can take memory in huge pages, and a large one should
 * (promote.h: a small one). What the system says (its mode, the size of a huge page,
 * a prctl of the program's) is read once, when that is asked for the first time.
 */
#ifndef POLICY_THP_H
#define POLICY_THP_H

#include "base/atomic.h"
#include "base/base.h"
#include "base/options.h"

enum thp_system { THP_UNKNOWN, THP_YES, THP_NO };
extern _Atomic(uint32_t) x_thp_system; /* any: relaxed, every writer stores the same */

/* Asks the system whether granules of that size fill its huge pages. Preserves errno. */
bool thp_ask(size_t granule_bytes);

/* For slow paths: can the process have any? `granule_bytes` as above. */
static inline bool thp_possible(size_t granule_bytes)
{
	if (!load_rlx(&options.x_huge))
		return false;
	uint32_t known = load_rlx(&x_thp_system);
	return known == THP_UNKNOWN ? thp_ask(granule_bytes) : known == THP_YES;
}

/* And should it, with `in_use` bytes of the node? */
static inline bool thp_wanted(size_t in_use, size_t granule_bytes)
{
	return unlikely(in_use >= load_rlx(&options.x_huge_from)) && thp_possible(granule_bytes);
}

#endif
