/*
 * os.h: the only user of mmap, madvise and their like. Every call is counted.
 * Functions return false or NULL on failure and leave errno as the kernel set
 * it; nothing here allocates or locks.
 */
#ifndef BASE_OS_H
#define BASE_OS_H

#include "base/atomic.h"
#include "base/base.h"

#include <sys/uio.h>

struct os_counters {
	_Atomic(uint64_t) x_map_calls;   /* any: relaxed, mmap munmap mremap mprotect */
	_Atomic(uint64_t) x_purge_calls; /* any: relaxed, madvise */
	_Atomic(uint64_t) x_purged;      /* any: relaxed, bytes given back */
	_Atomic(uint64_t) x_metadata;    /* any: relaxed, bytes mapped by os_map */
};
extern struct os_counters os_counters;

/* The system's page size in bytes, read once. */
size_t os_page_bytes(void);

/* Zeroed memory for descriptors, never unmapped. In the secure build between two pages
 * without access. */
void *os_map(size_t bytes);

/* Address space without access, aligned to a power of two. */
void *os_reserve(size_t bytes, size_t align);

/* Readable and writable zeroed memory, aligned; os_unmap gives it back: the pages even where
 * the kernel refuses to take the addresses (false). */
void *os_map_aligned(size_t bytes, size_t align);
bool os_unmap(void *start, size_t bytes);

/* Makes part of a reservation readable and writable. */
bool os_commit(void *start, size_t bytes);

/* Takes its access away from such a part that nobody has used. */
bool os_close(void *start, size_t bytes);

/* Gives the pages of such a part back, and its access. After a failure one of them may be left. */
bool os_uncommit(void *start, size_t bytes);

/*
 * Gives pages back to the kernel, at once or (option purge_lazily) when it wants
 * them. They read as zero afterwards, unless os_purged_lazily: then some that were
 * given back may read as before. Whoever got purged memory by an acquire sees it.
 */
bool os_purge(void *start, size_t bytes);
bool os_purged_lazily(void);

/*
 * The same for up to 1024 ranges, with one system call where the kernel can.
 * After a failure some of them may have been given back.
 */
bool os_purge_ranges(const struct iovec *ranges, size_t count);

/* Faults pages in with one call; failing is harmless. */
void os_populate(void *start, size_t bytes);

/* Keeps transparent huge pages out of a range. */
void os_no_huge(void *start, size_t bytes);

/* Asks for them there; failing is harmless. Has the program switched them off for itself? */
void os_huge(void *start, size_t bytes);
bool os_huge_pages_denied(void);

/* Grows a mapping where it is. */
bool os_grow_in_place(void *start, size_t old_bytes, size_t new_bytes);

/*
 * Moves the pages of [from, from + bytes) to an address of the kernel's choice,
 * which is returned; `from` stays mapped and empty. NULL when it cannot be done.
 */
void *os_move_pages(void *from, size_t bytes);

/*
 * Moves a whole mapping onto [to, to + new_bytes), which is mapped by the
 * caller, and lets it grow to that size; `from` is unmapped. After a failure
 * `from` is as before, and what is at `to` is unknown: do not touch it again.
 */
bool os_move_mapping(void *from, size_t bytes, void *to, size_t new_bytes);

/*
 * Writes a file beside another and puts it in its place, in one step. False with errno: the
 * other is as it was.
 */
bool os_replace_file(const char *path, const char *temporary, const char *text, size_t bytes);

/* Is there memory of any kind at the system page of an address? errno is preserved. */
bool os_is_mapped(const void *p);

/*
 * Pages that are resident, of at most OS_PAGES_LOOKED from `start` on, without those that were
 * only read, by a sample. Preserves errno.
 */
#define OS_PAGES_LOOKED 512
size_t os_resident_pages(void *start, size_t bytes);

/* The limit of the address space in bytes (RLIMIT_AS), SIZE_MAX if none. */
size_t os_address_space_limit(void);

/* What the kernel does by itself is done for a signal from here on, whoever stands before sigaction. */
void os_default_action(int signal);

/* A random number: the kernel's, or, where it refuses, one that is hard to guess. */
uint64_t os_random(void);

/* Minor page faults of this process so far. */
uint64_t os_faults(void);

/* The same of this thread. */
uint64_t os_thread_faults(void);

/* What the first touch of a page costs here, in ns: tried out, so 100 us; 0: not known. */
uint32_t os_fault_ns(void);

/*
 * The same of a page as part of a huge one of so many bytes: ns of that touch by its
 * pages; 0: the kernel gave none.
 */
uint32_t os_fault_huge_ns(size_t huge_bytes);

/* What this thread has worked, in ns: others that run meanwhile do not count. A system call. */
uint64_t os_thread_ns(void);

/* Nanoseconds of a clock that only goes forward. */
uint64_t os_now_ns(void);

/* Milliseconds of a clock that only goes forward, and wraps; for slow paths. */
uint32_t os_now_ms(void);

/*
 * Sleeps while *word is `value`, at most `ms` milliseconds (0: no limit); may
 * return early. os_wake ends the sleep of one thread. Both preserve errno.
 */
void os_wait(_Atomic(uint32_t) *word, uint32_t value, unsigned ms);
void os_wake(_Atomic(uint32_t) *word);

#endif
