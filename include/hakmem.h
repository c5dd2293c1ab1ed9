/*
 * hakmem.h: the public interface of hakmem, a thread-local, lock-free,
 * NUMA-aware memory allocator for multithreaded servers on Linux.
 *
 * With LD_PRELOAD=libhakmem.so a program needs nothing from this header: its
 * malloc family and its C++ operators are replaced. A program that links
 * libhakmem.so or libhakmem.a may also call the functions below; memory from
 * hak_* and, under the preload, from malloc may be mixed freely.
 *
 * Unless a function says otherwise: it is safe to call from any thread at any
 * time, sizes are in bytes, memory belongs to the caller until it is freed,
 * and a failure returns NULL (or -1) with errno set and nothing changed.
 *
 * Signal handlers may allocate, resize and free, whatever they interrupt, and
 * create and use heaps, when they were installed through libhakmem.so (sigaction,
 * signal and their kin), or when the library was built with GUARD=1, as a program
 * that links libhakmem.a needs it. A handler that interrupts a call of the
 * allocator must return: left by siglongjmp, it costs its thread that heap.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HAK_API __attribute__((visibility("default")))
#define HAK_VERSION_STRING "0.1.0"

/* The version of the library that is loaded, as "major.minor.patch". */
HAK_API const char *hak_version(void);

/* ---- Blocks ------------------------------------------------------------ */

/*
 * malloc, calloc, realloc, reallocarray, free as in ISO C and glibc. A block
 * is aligned to at least 16 bytes; a size of 0 gives a unique block. ENOMEM
 * when memory or a limit is exhausted, or when count * size overflows.
 * hak_realloc(p, 0) frees p and returns NULL, as glibc does.
 * hak_free preserves errno.
 */
HAK_API void *hak_malloc(size_t size) __attribute__((malloc, alloc_size(1)));
HAK_API void *hak_calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
HAK_API void *hak_realloc(void *block, size_t size) __attribute__((alloc_size(2)));
HAK_API void *hak_reallocarray(void *block, size_t count, size_t size)
	__attribute__((alloc_size(2, 3)));
HAK_API void hak_free(void *block);

/*
 * A block of `size` bytes whose address is a multiple of `alignment`, a power
 * of two of any size (0 means 16). EINVAL for another alignment, ENOMEM.
 */
HAK_API void *hak_aligned_alloc(size_t alignment, size_t size)
	__attribute__((malloc, alloc_align(1), alloc_size(2)));

/*
 * As POSIX: 0 with *block set; EINVAL when alignment is not a power of two
 * multiple of sizeof(void *); ENOMEM. *block and errno are untouched on failure.
 */
HAK_API int hak_posix_memalign(void **block, size_t alignment, size_t size);

/*
 * As C23: `size` (and `alignment`) must be what the block was asked with. A size of
 * another size class is reported, and the program aborts.
 */
HAK_API void hak_free_sized(void *block, size_t size);
HAK_API void hak_free_aligned_sized(void *block, size_t alignment, size_t size);

/* Bytes that may be used at `block`: at least what was asked. 0 for NULL. */
HAK_API size_t hak_usable_size(const void *block);

#define HAK_ZERO 1u /* all usable bytes of the block read as zero */

/* All of the above in one call: alignment as hak_aligned_alloc, flags HAK_*. */
HAK_API void *hak_alloc(size_t size, size_t alignment, unsigned flags)
	__attribute__((malloc, alloc_size(1)));

/* ---- First-class heaps ------------------------------------------------- */

typedef struct hak_heap hak_heap;

/*
 * A heap whose blocks can be freed one by one, by any thread with hak_free (or
 * free), or all at once with hak_heap_destroy. Any number of threads may
 * allocate from it at the same time. ENOMEM.
 */
HAK_API hak_heap *hak_heap_create(void);

/* A block from `heap`; arguments and errors as hak_alloc. */
HAK_API void *hak_heap_alloc(hak_heap *heap, size_t size, size_t alignment, unsigned flags);

/*
 * Frees the heap and every block in it; not blocks that hak_realloc has moved,
 * which are the default heap's. No other thread may be using the heap
 * or any of its blocks. NULL is ignored.
 */
HAK_API void hak_heap_destroy(hak_heap *heap);

/* ---- Nodes ------------------------------------------------------------- */

/*
 * As hak_heap_create, with memory of one node, as the kernel numbers it, or of
 * all nodes in turn, page by page, whichever thread allocates and whatever
 * policy it is under. Without a node, a heap has the one that its maker runs on,
 * or that thread's policy. EINVAL when the node has no memory for this process.
 */
HAK_API hak_heap *hak_heap_create_on(int node);
HAK_API hak_heap *hak_heap_create_interleaved(void);

/*
 * The node, as the kernel numbers it, where the block's first page lies or,
 * while it is not resident, should lie. -1 when that is nowhere in particular;
 * -1 with EINVAL when the block is none of ours.
 */
HAK_API int hak_node_of(const void *block);

/*
 * Looks again at which nodes there are, after processors or memory came or
 * went or the cpuset changed. Waits for readers of the old state: not for
 * signal handlers, nor inside a read-side critical section of liburcu-bp. 0, or
 * -1 with EBUSY (another thread is at it) or ENOMEM.
 */
HAK_API int hak_numa_refresh(void);

/* ---- Memory given back ------------------------------------------------- */

/*
 * Gives every resident free page that can be reached to the kernel now: the
 * caller's caches and all pools. What other threads cache stays (it is bounded
 * and shown in hak_stats.cached). Returns the bytes given back.
 */
HAK_API size_t hak_purge(void);

/*
 * Starts the helper thread, which gives back memory that stays idle (options
 * purge_delay_ms, helper). Under the preload this happens by itself when the
 * program creates a thread; a program that links libhakmem.a calls it once it
 * has threads, and again in a forked child. Started already, or switched off: 0
 * and nothing happens. -1 with errno of pthread_create.
 */
HAK_API int hak_helper_start(void);

/* ---- What was learned --------------------------------------------------- */

/*
 * Saves what was learned in the file of the option policy_file, as the end of the
 * program does. 0, also while nothing was learned; -1 with EINVAL (no file is named,
 * or one that was not saved by this library), EBUSY (another thread saves), or what
 * the system says. Calls the file system: not in signal handlers.
 */
HAK_API int hak_policy_save(void);

/* ---- Options ----------------------------------------------------------- */

/*
 * An option by its lower-case name without prefix ("purge_bytes"), the value
 * as in the environment variable HAKMEM_PURGE_BYTES. 0, or -1 with EINVAL
 * (unknown name or bad value; the old value stays) or EPERM (can be set at
 * start-up only).
 */
HAK_API int hak_option_set(const char *name, const char *value);

/*
 * Writes the option's value into text (at most `bytes` with the final 0), and
 * returns the length of the whole value as snprintf does; -1 with EINVAL for
 * an unknown name.
 */
HAK_API int hak_option_get(const char *name, char *text, size_t bytes);

/* ---- Statistics -------------------------------------------------------- */

/*
 * Counts of bytes and events. Each is exact when no other thread allocates or
 * frees while they are read, and otherwise a sum of values read one by one.
 */
struct hak_stats {
	uint64_t live;           /* bytes in blocks held by the program, rounded to their class */
	uint64_t live_blocks;    /* their number */
	uint64_t cached;         /* free bytes in pages of blocks, and in the caches of threads */
	uint64_t pooled;         /* free bytes in the nodes' pools that are resident */
	uint64_t queued;         /* bytes freed by other threads, on their way to the owner */
	uint64_t mapped;         /* bytes of address space made accessible for blocks */
	uint64_t reserved;       /* bytes of address space reserved */
	uint64_t metadata;       /* bytes of address space for descriptors and heaps */
	uint64_t heaps;          /* heaps ever made: per node, the most threads alive at one time */
	uint64_t heaps_live;     /* heaps with a thread (or a first-class heap) now */
	uint64_t spans_claimed;  /* spans taken from the pools, ever */
	uint64_t spans_freed;    /* spans given to the pools, ever */
	uint64_t pages_released; /* pages let go with blocks in use, ever */
	uint64_t pages_taken;    /* such pages taken over by a free or for reuse, ever */
	uint64_t remote_batches; /* batches sent to other threads' heaps, ever */
	uint64_t remote_blocks;  /* blocks in them */
	uint64_t purge_calls;    /* madvise and process_madvise calls, ever */
	uint64_t purged;         /* bytes they gave back */
	uint64_t map_calls;      /* mmap, munmap, mremap and mprotect calls, ever */
	uint64_t whales;         /* live blocks of 2 MiB and more */
	uint64_t whale_bytes;    /* their bytes */
	uint64_t nodes;          /* NUMA nodes (or synthetic shards) in use */
	uint64_t resident;       /* bytes in use or pooled that may be resident */
	uint64_t fresh;          /* bytes handed out, ever, that were not: their pages fault */
	uint64_t faults;         /* minor page faults of the whole process, ever */
	uint64_t huge_regions;   /* regions of huge pages, ever */
	uint64_t demotions;      /* such regions that hold plain pages since they served little */
	uint64_t limit_soft;     /* the soft limit in force, in bytes; UINT64_MAX: none */
	uint64_t limit_hard;     /* the hard one */
	uint64_t guarded;        /* live blocks between inaccessible pages (option guard_sample) */
	uint64_t guarded_ever;   /* such blocks, ever */
	uint64_t
		guard_missed; /* ever: no slot or memory for one, or a freed one stayed accessible */
	uint64_t held;        /* secure library: freed bytes held back from reuse, not in `live` */
	uint64_t held_blocks; /* their number */
};

/*
 * Fills *stats; `bytes` is sizeof *stats, so that the structure can grow. Exact while no
 * other thread allocates or frees; waits for the helper thread, for at most 200 ms.
 */
HAK_API void hak_stats(struct hak_stats *stats, size_t bytes);

/*
 * The same of one node, or of the memory of threads under one policy. Bytes,
 * unless it says otherwise; `resident` and `fallback` are the kernel's word.
 */
struct hak_node_stats {
	int64_t node;             /* as the kernel numbers it, -1: memory under a policy */
	uint64_t policy;          /* 1: one that the user or the program has set */
	uint64_t live;            /* in blocks in use or on their way to their heap */
	uint64_t cached;          /* free, in pages of blocks and caches of threads */
	uint64_t pooled;          /* free, in the pool, and resident */
	uint64_t mapped;          /* address space made accessible */
	uint64_t resident;        /* in memory, for all of these */
	uint64_t fallback;        /* of these, on another node: this one was full */
	uint64_t remote_sent;     /* blocks its threads have sent to heaps of others, ever */
	uint64_t remote_received; /* blocks that others have sent to its heaps, ever */
	uint64_t bind_failures;   /* ranges that the kernel would not bind, ever (a number) */
};

/*
 * Fills *stats for the node of this index: 0 and up, until it returns -1 with
 * EINVAL; `bytes` is sizeof *stats. Asks the kernel about every page: 0.1 us each.
 */
HAK_API int hak_node_stats(unsigned index, struct hak_node_stats *stats, size_t bytes);

/* How soon blocks from one place in the program are wanted again after they were freed. */
enum hak_site_class {
	HAK_SITE_HOT,  /* kept until nobody has wanted them for the purge delay */
	HAK_SITE_WARM, /* given back with the next tick of the helper thread */
	HAK_SITE_COLD, /* given back as soon as a batch of them is full */
};

/*
 * What is known of one place that asks for blocks of 64 KiB and more. Counts are
 * of blocks that came from or went to a node's pool, not of those a thread kept
 * for itself meanwhile; two threads at the same time may count as one.
 */
struct hak_site_stats {
	const void *
		address; /* the return address; NULL: first-class heaps, and sites beyond the first 255 */
	uint64_t allocs;    /* blocks taken */
	uint64_t frees;     /* blocks given back */
	uint64_t fresh;     /* bytes of those taken that were not resident */
	uint32_t class_now; /* enum hak_site_class */
	int32_t score;      /* quick reuse counts up, late reuse down, between -8 and 8 */
};

/*
 * Fills *stats with the index-th place seen, from 0; `bytes` is sizeof *stats.
 * 0, or -1 with ENOENT when there are no more.
 */
HAK_API int hak_site_stats(unsigned index, struct hak_site_stats *stats, size_t bytes);

#define HAK_STRATEGIES 12

/*
 * What has been learned about keeping freed blocks of 512 KiB and more (option
 * policy), for blocks of sites of one class. Costs are estimates, in bytes: see the
 * README. What threads have not merged yet is in it; near enough while they learn.
 */
struct hak_policy_stats {
	uint64_t choice;      /* bytes: blocks of up to so many stay resident */
	uint64_t windows;     /* in which what happened was looked at, ever */
	uint64_t matches;     /* played, ever: one for each pair of strategies and window */
	uint64_t freezes;     /* a choice was settled, ever: from then on no matches */
	uint64_t relearns;    /* and was opened again */
	uint64_t canaries;    /* blocks treated against the choice, to check the estimates */
	uint64_t traffic;     /* bytes that were wanted again, ever */
	uint64_t cost_cpu;    /* what the strategies in force have cost: CPU time */
	uint64_t cost_faults; /* page faults */
	uint64_t cost_idle;   /* idle resident memory */
	uint64_t gone;        /* of the traffic, bytes that had been purged, as estimated */
	uint64_t gone_found;  /* and as found */
	struct {
		uint64_t threshold; /* bytes */
		double rating;      /* begins at 1500 */
		uint64_t wins, losses, draws;
	} strategy[HAK_STRATEGIES];
};

/*
 * Fills *stats for a node, as the kernel numbers it, or the whole process (-1), and
 * an enum hak_site_class; `bytes` is sizeof *stats. -1 with EINVAL for others.
 */
HAK_API int hak_policy_stats(
	int node, unsigned class_of_site, struct hak_policy_stats *stats, size_t bytes);

/*
 * All statistics, also by node, size class and site, as JSON; arguments and result
 * as snprintf. Does not allocate.
 */
HAK_API int hak_stats_json(char *text, size_t bytes);

/* A table of the statistics for people, written to file descriptor `fd`. */
HAK_API void hak_stats_print(int fd);

/*
 * Walks every structure that no other thread is changing and checks the
 * invariants; aborts with one line when one is broken. For tests: no other
 * thread may allocate or free meanwhile. Returns the number of pages checked.
 */
HAK_API size_t hak_verify(void);

#ifdef __cplusplus
}
#endif
#endif
