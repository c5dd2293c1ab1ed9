/*
 * inbox.h: blocks on their way to another heap. Many threads push linked
 * batches with one CAS; the owner (for a heap that nobody has, anybody; for an
 * idle one, the reaper) takes all with one exchange. Links are never followed by
 * anybody but the taker, so there is no ABA.
 */
#ifndef SEGMENTS_INBOX_H
#define SEGMENTS_INBOX_H

#include "segments/types.h"

/* any: the caller owns the blocks first .. last, linked. True: there were no others. */
static inline bool inbox_push(struct inbox *inbox, struct block *first, struct block *last)
{
	struct block *head = load_rlx(&inbox->x_list);
	do
		last->next = head;
	while (!cas_weak_sc(&inbox->x_list, &head, first)); /* [F1] [F2] [T1] */
	return !head;
}

/* Everything in the inbox, newest first; the caller then owns it. */
static inline struct block *inbox_take(struct inbox *inbox)
{
	return xchg_sc(&inbox->x_list, NULL); /* [F1] [F2+] */
}

static inline bool inbox_is_empty(struct inbox *inbox)
{
	return !load_rlx(&inbox->x_list);
}

#endif
