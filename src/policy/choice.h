/*
 * choice.h: what becomes of a freed block: how long it stays resident. For 64 to
 * 512 KiB the thermal class of its site says so, and beyond that the strategy in
 * force (option policy): a threshold up to which blocks are kept.
 *
 * A freed block leaves a stamp with its memory, and who claims that memory shows it
 * here: what lies between the two is what the learner of the claiming thread learns
 * from. Stamps are hints: what is learned stays right when some are lost.
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

/* Is what becomes of freed blocks looked at? */
static inline bool choice_learns(void)
{
	return load_rlx(&options.x_policy) == POLICY_LEARN;
}

/* Has any thread begun to? Only then do threads need RCU to share it. */
bool choice_has_learned(void);

/* What to do with a block of the site that goes to a pool of the node. *stamp: 0 is none. */
enum site_class choice_of(unsigned node, unsigned site, size_t bytes, uint32_t *stamp);

/* Is a block of that stamp kept for less than the purge delay? And is that over? */
bool choice_hurries(uint32_t stamp);
bool choice_is_over(uint32_t stamp, uint32_t now_ms);

/* So many bytes of the node with that stamp have been claimed. */
void choice_reused(unsigned node, uint32_t stamp, size_t bytes, bool huge, bool resident);

/* Memory is claimed: choice_reused is called for each of the stamps there, from the first on. */
void choice_claims(void);

/* The first touch of what was claimed last, in huge pages, took so long. */
void choice_touched(size_t huge_bytes, uint64_t ns);

/*
 * A big block has been claimed, after its stamps were shown; so much of it was not
 * resident, and if any, so much is in use on all nodes. True: choice_close is due.
 */
bool choice_claimed(unsigned node, size_t bytes, size_t clean, bool huge, size_t in_use);
void choice_close(size_t in_use);

/* This thread has given a batch back. */
void choice_purged(size_t bytes, bool huge, uint64_t ns);

/* The thread ends, outside malloc: what it learned stays. */
void choice_thread_end(void);

#endif
