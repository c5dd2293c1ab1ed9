/*
 * types.h: the structures of memory, their invariants and the order table.
 *
 * Glossary. A *region* is one aligned window of the address space (1 GiB). Its
 * *granules* (2 MiB) are split into 32 *slices* (64 KiB). A *span* is a run of
 * slices in one granule. A *page* is a span of blocks of one small class; a
 * *mid* block is a span of its own; a *whale* is a run of granules or, above
 * WHALE_REGION_MAX, a mapping of its own. A *heap* is what a thread allocates
 * from. A page *descriptor* lies outside the user's memory, one per slice.
 *
 * Invariants.
 *  I1  Every slice has one owner: the pool (its bit in x_slices is set), or
 *      whoever cleared that bit; but for guards of the secure build, which nobody
 *      can have. Only the owner writes its descriptor's non-atomic fields, and
 *      only the owner gives it to madvise.
 *  I2  A small page is owned by the heap in x_owner, or by nobody
 *      (OWNER_NOBODY). Only the owner touches free, x_carved, x_away, x_used, next, prev;
 *      x_carved only while it holds x_tail.
 *  I3  x_used of a page = blocks neither on its free list nor away, plus 1 while it is the
 *      current page of its class (the pin), so the fast free of a current page
 *      never sees zero. Blocks in a stash, an inbox or a quarantine count as used, and so
 *      do those of the units in x_reaped: free, purged, and not collected by the owner yet.
 *  I4  A page that nobody owns has at least one block in use. Whoever frees
 *      such a block takes the page over first. Its x_reaped is empty [V2].
 *  I5  A page that is let go with an eighth of its room free has its bit in the
 *      partial map. A set bit is a hint and may be stale; the page itself is
 *      won by CAS on x_owner.
 *  I6  A slice in the pool without its dirty bit reads as zero, unless some memory
 *      was ever given back lazily (os_purged_lazily).
 *  I7  A descriptor whose slice is in the pool has x_owner == OWNER_NONE.
 *  I8  A block of a small page bears a mark in its second word while it is free: listed, from
 *      when it is on its page's list, sent, from when it is stashed or in an inbox, or held,
 *      while a reaper has it in hand, or resting, in a quarantine (secure library). malloc
 *      takes the mark away. So a block with a mark is not freed again, and one without is not
 *      handed out.
 *  I9  Descriptors, regions and heaps are type-stable: never unmapped, never
 *      reused as anything else.
 *  I10 What is accessible is in the pool, or in a span or whale that somebody owns, and
 *      while nobody changes anything the counts of a node are the sums of its regions.
 *
 * Order table. [T] names what covers the pair: "model m" explores it in every order
 * that C11 allows and fails when one of its accesses is weakened (docs/models.md);
 * stress programs meet it under ThreadSanitizer. Accesses cited with a plus, as [S3+],
 * have the order of their kind without a model that needs it.
 *  [M1] map entry. Publishes the region's fields. release: region_window;
 *       acquire: map_region. A weaker load could see the entry, not its base.
 *       [T] model regions
 *  [S1] x_slices. Freeing slices publishes the descriptor reset and the last
 *       use of the memory; release: slices_publish; acquire: claim_in_granule.
 *       Without it a claimer's writes could precede the last owner's reads.
 *       [T] model slices, stress_protocol_slices
 *  [S2] x_slices, purge. The purger claims (acquire: slices_claim_dirty) and publishes
 *       (release: slices_publish) as any owner does, so madvise lies between the two.
 *       [T] model slices, stress_purge, test_meta_plants
 *  [S3] x_slices and the hints x_has_free, x_has_dirty (store buffering). Whoever
 *       gives slices changes x_slices, then reads or sets the hint; whoever finds
 *       nothing clears the hint, then reads x_slices again. All are seq_cst, so no
 *       slice is left without its hints. [T] model slices, stress_protocol_slices
 *  [G1] x_slices of whale regions. As [S1] and [S2], by the granule: release:
 *       word_publish; acquire: word_claim. [T] model granules, stress_protocol_granules
 *  [S4] x_partial_words, which sums x_partial up. The bit in x_partial is set first,
 *       the summary after, each time; scan_region clears the summary, then reads. Both
 *       change the same word, so whoever comes later sees what the other did before;
 *       release: partial_set; acquire: scan_region. [T] model pages
 *  [P1] x_owner, letting go. Publishes the page's fields; release: page_let_go;
 *       acquire: page_take. [T] model pages, stress_protocol_pages
 *  [P2] x_owner and the partial bit (store buffering). page_let_go stores the
 *       owner, then reads the bit and sets it if it is clear; a scanner clears
 *       the bit, then tries the owner. All are seq_cst: if the one sees the bit
 *       still set, the scanner's CAS comes after the owner was stored, so it
 *       meets NOBODY, or a newer owner who will do the same. Otherwise a page
 *       with room could be left without a bit. The same for x_untrimmed and its
 *       scan (page_take_untrimmed). [T] model pages, stress_protocol_pages
 *  [P3] x_owner, looking into the owner. A take publishes the new owner's heap,
 *       which may be younger than the freed block; release: page_take; acquire:
 *       page_owner_acq, before a block is sent there. [T] model leave
 *  [F1] inbox list. Push publishes the links in the blocks; release: inbox_push;
 *       acquire: inbox_take. [T] model inbox, stress_protocol_inbox
 *  [F2] inbox list and x_state (store buffering). A leaving thread sets
 *       HEAP_FREE, then takes its inbox; a sender pushes, then reads x_state.
 *       All are seq_cst (so is heap_get's store), so one of the two sees the other,
 *       and no block is left behind in the inbox of a heap that nobody has.
 *       [T] model leave, stress_protocol_leave
 *  [H1] free-heap stack. Push publishes the heap; release: heap_put; acquire:
 *       heap_get. The head carries a 32-bit tag against ABA; links are indices
 *       outside the heaps. [T] model heaps, stress_protocol_heaps
 *  [L1] x_lease. A first-class heap is used by whoever moved its lease from 0;
 *       acquire: lease_try; release: lease_end. [T] model leases, stress_heap
 *  [L2] x_lease and the inbox (store buffering). lease_end clears the lease, then
 *       looks into the inbox; a sender pushes, then tries the lease. All four are
 *       seq_cst, a failing try too, so one of the two frees the block.
 *       [T] model leases, stress_heap
 *  [L3] x_heaps and x_more of a first-class heap: publish what they point to;
 *       release and acquire: the CAS in slot_heap, more; acquire: their readers.
 *       [T] model leases
 *  [L4] x_reading of limit.c. One thread at a time has the buffers; acquire and
 *       release: limit_of_group. [T] none: who finds it taken reads nothing
 *  [K1] x_key_state, READY: publishes the pthread key; release: thread_init;
 *       acquire: thread_register. [T] model begin
 *  [C1] x_chunks: publishes a chunk of heaps; release and acquire: chunk_get;
 *       acquire: heap_at, which may be ahead of x_count and finds NULL then.
 *       [T] model heaps
 *  [W1] x_owner of a whale with its own mapping. Its end publishes the last reads
 *       of the descriptor before the kernel may hand out the address again;
 *       release: whale_free, move; acquire: describe. [T] stress_whale
 *  [T1] x_state of the clock and what is counted as idle (store buffering): x_dirty_bytes
 *       and x_untrimmed of a node, and the inboxes. Who makes memory idle counts or sends it,
 *       then reads the state; the helper stores ASLEEP, then reads these. All are seq_cst, so
 *       one of the two sees the other, and idle memory is never forgotten.
 *       [T] model clock, stress_idle
 *  [T2] x_busy and x_paused of the helper (store buffering). The helper sets busy, then
 *       reads paused; helper_pause sets paused, then reads busy. All are seq_cst, so
 *       one of the two stays out, and sees what the other did; but for statistics, which
 *       do not wait for ever, and read what others may write anyway. [T] model pause, stress_mixed
 *  [V1] x_reaped. The reaper has purged the units and is done with their blocks; release:
 *       leave_units; acquire: page_collect. [T] model reap, stress_reap, test_meta_plants
 *  [V2] x_owner and x_reaped (store buffering). page_let_go stores the owner, then reads
 *       x_reaped, and takes the page back for what it finds; a reaper sets x_reaped, then
 *       reads the owner, and does that itself when it is nobody. All are seq_cst, so no
 *       page is nobody's while what it has in use is reaped. [T] model reap
 *  [V3] x_reaping. One thread at a time has the reaper's table; acquire: reap_begin;
 *       release: reap_end. [T] model reap
 *  [V4] x_tail. What lies beyond x_carved is purged, or blocks are made there, by one at a
 *       time, and x_carved is read by the reaper while it holds this; acquire: tail_try,
 *       add_ranges; release: tail_done, publish. [T] model reap, stress_reap
 *  [V5] x_tail of a mid block. Whoever purges its slack knows where that is, has it alone,
 *       and frees the span of a block that was freed meanwhile after its last use; release
 *       and acquire: mid_free, flush; release: slack_begin; acquire: add. [T] model reap
 *  [R1] region list of a node and x_hint. release: region_list, and whoever moves the
 *       hint; acquire: their readers. Heads change by RMW only, so a reader of a
 *       newer head also sees every older region, and x_next needs no order of its own.
 *       [T] model regions
 *  [N1] snapshot of the topology (numa/topology.c). Publishes what it holds; release
 *       and acquire: publish; acquire: topology_begin. What was published before is
 *       freed after a grace period of RCU. [T] model topology, stress_protocol_topology
 *  [N2] x_busy: one thread refreshes at a time, and sees what the last one did;
 *       acquire and release: topology_refresh. [T] none: what it does is published by [N1]
 *  [B1] x_taken of a thread's record (api/threads.c). The thread has read it before
 *       it is written again; release: begin_drop; acquire: begin_take. From writer
 *       to thread, pthread_create orders. [T] model begin
 *  [Y1] stack of free learners (policy/learner.c), as [H1]: release: learner_put; acquire:
 *       learner_get. [T] model share
 *  [Y2] x_chunks there, as [C1]. [T] model share
 *  [Y3] stacks of snapshots (policy/share.c). Spare ones as [H1]; retired ones are taken
 *       whole. release: spare_push, retire; acquire: spare_pop, share_reclaim.
 *       [T] stress_protocol_share
 *  [Y4] x_current there: publishes a snapshot, which is read under RCU and used again after
 *       a grace period; release and acquire: publish; acquire: its readers.
 *       [T] model share, stress_protocol_share, test_meta_plants
 *  [Y5] x_busy of policy/file.c: one thread saves at a time; acquire and release:
 *       policy_file_save. [T] none: who comes second writes nothing
 *  [D1] x_states of guarded blocks (segments/guard.h). A free publishes that the page is
 *       inaccessible and what the slot says; release: guard_put; acquire: guard_claim.
 *       [T] model guard, stress_protocol_guard
 *  [D2] x_guard_pool: publishes the pool; release and acquire: make_pool; acquire: its
 *       readers. [T] model guard, stress_protocol_guard
 *  [Q1] x_waiting of api/checked.c: a freed block goes on to whoever takes its place;
 *       release and acquire: wait_and_free. [T] none: only made with CHECKERS=1
 *  [U1] x_state of rcu.c, READY: publishes liburcu's functions; release: rcu_start;
 *       acquire: its readers. [T] model begin
 */
#ifndef SEGMENTS_TYPES_H
#define SEGMENTS_TYPES_H

#include "base/atomic.h"
#include "numa/topology.h"
#include "segments/limits.h"
#include "segments/sizeclass.h"

struct heap;

/* The first words of a free block. Both are written and read as freelist.h says. */
struct block {
	struct block *next;
	uintptr_t mark; /* where it is: in its page's list, or on its way there */
};

/*
 * What x_owner can hold beside the address of a heap. The values are small, so
 * none is ever such an address.
 */
#define OWNER_NONE ((uintptr_t)0)   /* no block starts in this slice */
#define OWNER_NOBODY ((uintptr_t)1) /* small page, let go (I4) */
#define OWNER_MID ((uintptr_t)2)    /* mid block in the program's hands */
#define OWNER_CACHED ((uintptr_t)3) /* mid block in a heap's cache */
#define OWNER_WHALE ((uintptr_t)4)  /* whale in a region */
#define OWNER_MAPPED ((uintptr_t)5) /* whale with its own mapping */
#define OWNER_INSIDE ((uintptr_t)6) /* later slice of a small page, see `head` */
#define OWNER_BIG ((uintptr_t)7)    /* mid block that no heap caches (policy/choice.h) */
#define OWNER_KEPT ((uintptr_t)8)   /* a bit: MID, BIG, WHALE or MAPPED of a first-class heap */
#define OWNER_SPECIAL_MAX ((uintptr_t)15)

#define PAGE_SHIFT 7

/* x_tail: who holds it carves or purges what lies beyond x_carved. */
#define TAIL_OPEN ((uint8_t)0)
#define TAIL_HELD ((uint8_t)1)
#define TAIL_PURGED ((uint8_t)2) /* open, and nothing was carved since */

/* The same of a mid block, where it is what nobody is given (slack.h). */
#define TAIL_NONE ((uint8_t)3)  /* it is not resident */
#define TAIL_SLACK ((uint8_t)4) /* it may be */
#define TAIL_SLACK_HELD ((uint8_t)5)
#define TAIL_FREED ((uint8_t)6) /* and so is the block, since it was held */

/*
 * One per slice; the one of a span's first slice describes it. Two lines: what
 * a thread that frees a block must read changes rarely and stays shared in all
 * caches; what the owner writes at every call is in the other line.
 */
struct page {
	_Atomic(uintptr_t) x_owner; /* any: see I2 and OWNER_*; cas [P1] */
	_Atomic(size_t) x_bytes;    /* own writes, any reads relaxed: block size */
	char *start;                /* const while the span is owned: its address */
	union {
		struct page *head;   /* const while OWNER_INSIDE: the span's first */
		struct heap *keeper; /* const while OWNER_KEPT is set: the first-class heap */
	};
	uint16_t total;     /* const while the page lives: blocks that fit */
	uint8_t size_class; /* const while the page lives */
	uint8_t node;       /* const while the span is owned: node of the memory */
	uint8_t slices;     /* const while the span is owned: its length */
	uint8_t site;       /* own: of a mid block or whale, see policy/site.h; else 0 */
	bool zero;          /* own: memory beyond x_carved reads as zero */
	bool first_class;   /* const while the page lives: of a hak_heap, never ownerless */
	uint64_t mark;      /* const while the page lives: see secure.h, as the next two */
	uint32_t wiped;     /* what is zeroed of a freed block */
	uint32_t span_bytes;
	/* reaper adds, owner takes [V1] [V2]: units purged for an idle owner, see reap.h */
	_Atomic(uint32_t) x_reaped;

	/* own: free blocks, ended by &list_end */
	struct block *free __attribute__((aligned(CACHE_LINE_BYTES)));
	uint32_t start_factor;      /* own: see page_may_free */
	uint32_t start_limit;       /* own: the same */
	uint64_t list_key;          /* const while the page lives: see secure.h */
	counter32 x_used;           /* own writes, any reads relaxed (statistics): I3 */
	_Atomic(uint16_t) x_carved; /* own writes, any reads relaxed: blocks ever made */
	_Atomic(uint8_t) x_pinned;  /* own writes, any reads relaxed: current page of a class */
	bool queued;                /* own: on the owner's list of its class */
	bool trimmed;               /* own: nothing was freed since it was trimmed */
	bool tail_purged;           /* own: what lies beyond x_carved was purged */
	_Atomic(uint8_t) x_tail;    /* any: TAIL_*; cas, release [V4] [V5] */
	uint8_t let_go_tick;        /* own: when it was let go last */
	struct page *next, *prev;   /* own: in a list of the owner */
	_Atomic(uint32_t) x_away;   /* own writes, any reads relaxed: purged units, see trim.c */
};
_Static_assert(sizeof(struct page) == 1 << PAGE_SHIFT, "map_slice counts on it");

/*
 * A freed block's stamp lies with its first slices; a free whale's, with each granule, and
 * beside it, while that is in use, whether it was fresh when it was claimed.
 */
#define STAMP_SLICES 8

#define SLICES_ALL ((uint64_t)0xffffffffu)
#define SLICES_DIRTY_SHIFT 32

/* What a region holds; and whether the kernel is asked for huge pages there. */
#define REGION_SPANS 0u
#define REGION_WHALES 1u
#define REGION_HUGE 2u
#define REGION_KINDS 4u
/* Of a request: not from regions of the other kind, although memory is resident there. */
#define REGION_ONLY 4u

/*
 * The descriptor of one window. In a word of x_slices, bit i says that slice i
 * of a granule is in the pool, and bit 32 + i that it is in the pool and may be
 * resident. Where the region holds whales, the same is said of 32 granules.
 */
struct region {
	struct page pages[REGION_SLICES];
	_Atomic(uint64_t) x_slices[REGION_GRANULES]; /* any: cas acquire/release [S1] [G1] */
	/* any: relaxed; bits of x_slices to purge soon, changed by the slices' owner */
	_Atomic(uint32_t) x_due[REGION_GRANULES];
	_Atomic(uint64_t) x_has_free[REGION_WORDS];  /* any: hint: some slice in the pool [S3] */
	_Atomic(uint64_t) x_has_dirty[REGION_WORDS]; /* any: hint: some slice to purge [S3] */
	_Atomic(uint64_t) x_untrimmed[REGION_SLICES / 64]; /* any: hint: page to trim [P2] */
	/* any: relaxed; slices in the pool, of a region of spans. Written at every claim. */
	_Atomic(uint32_t) x_room __attribute__((aligned(CACHE_LINE_BYTES)));
	_Atomic(uint32_t) x_committed; /* any: granules below are, or are being, made accessible */
	_Atomic(bool) x_demoted;       /* any: relaxed; a huge region that is a plain one now */
	_Atomic(bool) x_slack_purged;  /* any: relaxed; and the slack there was given back */
	_Atomic(uint32_t) x_limit;     /* any: granules reserved; 0 where others live */
	/* const: address of the window */
	uintptr_t base __attribute__((aligned(CACHE_LINE_BYTES)));
	struct region *_Atomic x_next; /* any: in its node's list [R1]; const once published */
	uint8_t node;                  /* const */
	uint8_t kind;                  /* const: REGION_* */
	_Atomic(bool) x_stamped;       /* any: relaxed; there are stamps */
	_Atomic(uint64_t) x_partial[SMALL_CLASSES][REGION_SLICES / 64]; /* any: [P2] */
	_Atomic(uint64_t) x_partial_words[SMALL_CLASSES]; /* any: hint: 1/64 of x_partial each */
	/* the slices' owner writes, any reads relaxed: of freed big blocks (policy/choice.h), or 0;
	 * and whether a granule in use was fresh */
	_Atomic(uint32_t) x_stamps[REGION_SLICES / STAMP_SLICES];
};

/*
 * Blocks on their way to a heap: a list that many push and one takes whole.
 * Links lie in the blocks, which belong to the inbox from push to take.
 */
struct inbox {
	struct block *_Atomic x_list; /* any: push [F1], take [F1], both [F2] */
};

/* A node's pool: everything that belongs to the node and to no thread. */
struct node {
	struct region *_Atomic x_regions[REGION_KINDS]; /* any: newest first [R1] */
	struct region *_Atomic x_hint[REGION_KINDS];    /* any: where the last search ended */
	_Atomic(uint64_t) x_heaps[2]; /* any: stacks of free heaps [H1]: of threads, first-class */
	/* any: resident bytes in the pool; added and read seq_cst [T1], else relaxed. Written at
	 * every claim. */
	_Atomic(uint64_t) x_dirty_bytes __attribute__((aligned(CACHE_LINE_BYTES)));
	_Atomic(uint64_t) x_dirty_low; /* any: relaxed; about the least since the last tick */
	_Atomic(uint64_t) x_due_bytes; /* any: relaxed; freed by cold sites since the last purge */
	_Atomic(bool) x_has_due;       /* any: relaxed; there are bits in x_due of a region */
	_Atomic(bool) x_hurries;   /* any: relaxed; stamps that do not wait for the purge delay */
	_Atomic(uint64_t) x_fresh; /* any: relaxed; bytes handed out that were not resident, ever */
	_Atomic(uint64_t) x_resident;   /* any: relaxed; bytes claimed, or in the pool and dirty */
	_Atomic(uint32_t) x_untrimmed;  /* any: bits set in all regions; as x_dirty_bytes [T1] */
	_Atomic(uint64_t) x_dirty_kept; /* helper writes, any reads relaxed: idle, in huge pages */
	_Atomic(uint32_t) x_untrimmed_kept; /* any: relaxed; the same for x_untrimmed */
	_Atomic(uint64_t) x_trim_again;     /* any: relaxed; dirty bytes to try again at, or 0 */
	_Atomic(uint64_t) x_purge_floor; /* any: relaxed; dirty bytes when a purge failed, or 0 */
	/* any: relaxed; of the last trim: what it purged, and x_fresh after it */
	_Atomic(uint64_t) x_trim_purged, x_trim_fresh;
	_Atomic(bool) x_swings;        /* any: relaxed; what trims purge is wanted back */
	_Atomic(uint64_t) x_committed; /* any: relaxed; accessible bytes */
	_Atomic(uint64_t) x_reserved;  /* any: relaxed; reserved bytes */
	_Atomic(uint64_t) x_huge_regions, x_demotions;    /* any: relaxed; ever */
	_Atomic(uint64_t) x_spans_claimed, x_spans_freed; /* any: relaxed */
	/* any: relaxed; whales with own mappings, live */
	_Atomic(uint64_t) x_mapped, x_mapped_bytes;
	/* any: relaxed; bits set in all regions */
	_Atomic(uint32_t) x_partial[SMALL_CLASSES] __attribute__((aligned(CACHE_LINE_BYTES)));
} __attribute__((aligned(CACHE_LINE_BYTES)));

extern struct node nodes[NODES_MAX];
extern struct region *_Atomic region_map[REGION_MAP_ENTRIES]; /* any: [M1] */

#endif
