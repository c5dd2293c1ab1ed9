/*
 * os.c: system calls. See os.h for the contract.
 */
#include "base/os.h"

#include "base/check.h"
#include "base/checkers.h"
#include "base/options.h"
#include "base/os_numa.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* This process, for process_madvise, without a file descriptor (Linux 6.14). */
#define PIDFD_SELF_THREAD (-10000)

/* The kernel may ask to try again; not for ever. */
#define PURGE_TRIES 16

struct os_counters os_counters;

static void count_map_call(void)
{
	add_rlx(&os_counters.x_map_calls, 1);
}

size_t os_page_bytes(void)
{
	static _Atomic(size_t) x_bytes; /* any: relaxed, every writer stores the same value */
	size_t bytes = load_rlx(&x_bytes);
	if (unlikely(!bytes)) {
		bytes = (size_t)sysconf(_SC_PAGESIZE);
		store_rlx(&x_bytes, bytes);
	}
	return bytes;
}

static void *map(void *hint, size_t bytes, int prot)
{
	count_map_call();
	void *p = mmap(hint, bytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

bool os_unmap(void *start, size_t bytes)
{
	count_map_call();
	if (munmap(start, bytes) == 0)
		return true;
	/* The kernel may have no room to split a mapping: then at least no memory stays there. */
	int failed = errno;
	madvise(start, bytes, MADV_DONTNEED);
	errno = failed;
	return false;
}

static void *map_guarded(size_t bytes)
{
	size_t guard = os_page_bytes(), inside = align_up(bytes, guard);
	char *p = map(NULL, inside + 2 * guard, PROT_NONE);
	if (!p || os_commit(p + guard, inside))
		return p ? p + guard : NULL;
	os_unmap(p, inside + 2 * guard);
	return NULL;
}

void *os_map(size_t bytes)
{
	void *p = HAK_SECURE ? map_guarded(bytes) : map(NULL, bytes, PROT_READ | PROT_WRITE);
	if (!p)
		return NULL;
	/* Sparse by design: one huge page would make all of it resident. */
	os_no_huge(p, bytes);
	add_rlx(&os_counters.x_metadata, bytes);
	return p;
}

/* More is mapped than needed, and trimmed. */
static void *map_and_trim(size_t bytes, size_t align, int prot)
{
	size_t slack = align - os_page_bytes();
	char *p = map(NULL, bytes + slack, prot);
	if (!p)
		return NULL;
	char *aligned = (char *)align_up((uintptr_t)p, align);
	size_t head = (size_t)(aligned - p);
	if (head)
		os_unmap(p, head);
	if (slack - head)
		os_unmap(aligned + bytes, slack - head);
	return aligned;
}

/*
 * The first try is aligned by chance where the last mapping was: the kernel
 * hands out addresses downwards. A hint makes it likely: the next aligned
 * address below this library, and below the last one that was had that way.
 */
static void *map_aligned(size_t bytes, size_t align, int prot, bool hinted)
{
	static _Atomic(uintptr_t) x_below; /* any: relaxed, any value is only a hint */
	if (bytes + align < bytes) {
		errno = ENOMEM;
		return NULL;
	}
	uintptr_t below = load_rlx(&x_below);
	if (!below)
		below = (uintptr_t)&x_below;
	void *hint = hinted && below > 2 * bytes ? (void *)align_down(below - bytes, align) : NULL;
	char *p = map(hint, bytes, prot);
	if (p && !((uintptr_t)p & (align - 1))) {
		if (hinted)
			store_rlx(&x_below, (uintptr_t)p);
		return p;
	}
	if (!p)
		return NULL;
	os_unmap(p, bytes);
	return map_and_trim(bytes, align, prot);
}

void *os_reserve(size_t bytes, size_t align)
{
	return map_aligned(bytes, align, PROT_NONE, true);
}

void *os_map_aligned(size_t bytes, size_t align)
{
	return map_aligned(bytes, align, PROT_READ | PROT_WRITE, false);
}

bool os_commit(void *start, size_t bytes)
{
	count_map_call();
	if (mprotect(start, bytes, PROT_READ | PROT_WRITE) != 0)
		return false;
	checkers_memory(start, bytes);
	return true;
}

bool os_close(void *start, size_t bytes)
{
	count_map_call();
	return mprotect(start, bytes, PROT_NONE) == 0;
}

bool os_uncommit(void *start, size_t bytes)
{
	bool purged = os_purge(start, bytes);
	return os_close(start, bytes) && purged;
}

/*
 * ThreadSanitizer does not see madvise: show it what the kernel does, a write to every page.
 * Atomic, because two purges of the same unused memory, as of a page's tail by its owner and
 * by the reaper, need no order; with what anybody else does there it is a race all the same.
 */
static void show_purge(char *start, size_t bytes)
{
	for (size_t i = 0; HAK_TSAN && i < bytes; i += os_page_bytes())
		__atomic_store_n(start + i, 0, __ATOMIC_RELAXED);
}

static _Atomic(bool) x_lazily; /* any: relaxed; false to true once, before the first such call */

bool os_purged_lazily(void)
{
	return load_rlx(&x_lazily);
}

static int purge_advice(void)
{
	if (likely(!load_rlx(&options.x_purge_lazily)))
		return MADV_DONTNEED;
	store_rlx(&x_lazily, true);
	return MADV_FREE;
}

bool os_purge(void *start, size_t bytes)
{
	show_purge(start, bytes);
	add_rlx(&os_counters.x_purge_calls, 1);
	int r = -1;
	for (unsigned tries = 0; r != 0 && tries < PURGE_TRIES; tries++) {
		r = madvise(start, bytes, purge_advice());
		if (r != 0 && errno != EAGAIN)
			break;
	}
	if (r != 0)
		return false;
	add_rlx(&os_counters.x_purged, bytes);
	return true;
}

/*
 * Bytes that one call gave back, from the start of the first range on; -1 when
 * the kernel refuses. It is not asked again then: it cannot do it, or memory is locked.
 */
static ssize_t purge_vector(const struct iovec *vector, size_t count)
{
	static _Atomic(bool) x_unknown; /* any: relaxed, a kernel does not change */
	if (load_rlx(&x_unknown) || checkers_valgrind()) /* it does not know the call */
		return -1;
	add_rlx(&os_counters.x_purge_calls, 1);
	ssize_t done =
		syscall(SYS_process_madvise, PIDFD_SELF_THREAD, vector, count, purge_advice(), 0);
	if (done < 0 && errno != EAGAIN && errno != EINTR)
		store_rlx(&x_unknown, true);
	return done;
}

bool os_purge_ranges(const struct iovec *ranges, size_t count)
{
	ssize_t total = 0, done = -1;
	for (size_t i = 0; i < count; i++) {
		total += (ssize_t)ranges[i].iov_len;
		show_purge(ranges[i].iov_base, ranges[i].iov_len);
	}
	if (count > 1)
		done = purge_vector(ranges, count);
	if (done == total) {
		add_rlx(&os_counters.x_purged, (uint64_t)total);
		return true;
	}
	/* What is purged already costs little to purge again. */
	for (size_t i = 0; i < count; i++)
		if (!os_purge(ranges[i].iov_base, ranges[i].iov_len))
			return false;
	return true;
}

bool os_replace_file(const char *path, const char *temporary, const char *text, size_t bytes)
{
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	ssize_t n = write(fd, text, bytes);
	int failed = n == (ssize_t)bytes ? 0 : n < 0 ? errno : ENOSPC;
	if (close(fd) != 0 && !failed)
		failed = errno;
	if (!failed && rename(temporary, path) == 0)
		return true;
	if (!failed)
		failed = errno;
	unlink(temporary);
	errno = failed;
	return false;
}

void os_default_action(int signal)
{
	/* As the kernel has it: handler, flags, restorer, mask. */
	const uint64_t action[4] = {0};
	syscall(SYS_rt_sigaction, signal, action, NULL, sizeof action[3]);
}

uint64_t os_random(void)
{
	uint64_t number;
	int saved = errno;
	if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number) {
		struct timespec t;
		clock_gettime(CLOCK_MONOTONIC, &t);
		memcpy(&number, (const void *)getauxval(AT_RANDOM), sizeof number);
		number ^= (uint64_t)t.tv_nsec * 0x9e3779b97f4a7c15u;
	}
	errno = saved;
	return number;
}

uint64_t os_faults(void)
{
	struct rusage usage;
	return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_minflt : 0;
}

uint64_t os_thread_faults(void)
{
	struct rusage usage;
	return getrusage(RUSAGE_THREAD, &usage) == 0 ? (uint64_t)usage.ru_minflt : 0;
}

uint64_t os_thread_ns(void)
{
	struct timespec t = {0};
	/* A system call, which a filter may refuse. */
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The quickest of some tries: the others were interrupted. */
uint32_t os_fault_ns(void)
{
	enum { TRIES = 4, PAGES = 16 };
	size_t page = os_page_bytes(), bytes = TRIES * PAGES * page;
	volatile char *memory = os_map(bytes), *at = memory;
	uint64_t best = UINT64_MAX;
	if (!memory)
		return 0;
	for (unsigned try = 0; try < TRIES; try++) {
		uint64_t before = os_thread_ns();
		for (unsigned i = 0; i < PAGES; i++, at += page)
			*at = 1;
		best = min_size(best, os_thread_ns() - before);
	}
	os_unmap((char *)memory, bytes);
	return (uint32_t)(best / PAGES);
}

uint32_t os_fault_huge_ns(size_t huge_bytes)
{
	enum { TRIES = 3 };
	char *memory = os_map_aligned(huge_bytes, huge_bytes);
	size_t pages = min_size(huge_bytes / os_page_bytes(), OS_PAGES_LOOKED);
	uint64_t best = UINT32_MAX - 1;
	bool huge = true;
	if (!memory)
		return 0;
	os_huge(memory, huge_bytes);
	for (unsigned try = 0; try < TRIES; try++) {
		uint64_t before = os_thread_ns();
		*(volatile char *)memory = 1;
		best = min_size(best, (os_thread_ns() - before) / pages + 1);
		huge = huge && os_resident_pages(memory, huge_bytes) == pages;
		huge = madvise(memory, huge_bytes, MADV_DONTNEED) == 0 && huge;
	}
	os_unmap(memory, huge_bytes);
	return huge ? (uint32_t)best : 0;
}

uint64_t os_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint32_t os_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint32_t)t.tv_sec * 1000 + (uint32_t)(t.tv_nsec / 1000000);
}

void os_wait(_Atomic(uint32_t) *word, uint32_t value, unsigned ms)
{
	struct timespec limit = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	int saved = errno;
	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ms ? &limit : NULL, NULL, 0);
	errno = saved;
}

void os_wake(_Atomic(uint32_t) *word)
{
	int saved = errno;
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}

void os_populate(void *start, size_t bytes)
{
	int saved = errno;
	if (madvise(start, bytes, MADV_POPULATE_WRITE) != 0)
		errno = saved;
}

void os_no_huge(void *start, size_t bytes)
{
	int saved = errno;
	if (madvise(start, bytes, MADV_NOHUGEPAGE) != 0)
		errno = saved;
}

void os_huge(void *start, size_t bytes)
{
	int saved = errno;
	if (madvise(start, bytes, MADV_HUGEPAGE) != 0)
		errno = saved;
}

bool os_huge_pages_denied(void)
{
	return prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) > 0;
}

bool os_grow_in_place(void *start, size_t old_bytes, size_t new_bytes)
{
	count_map_call();
	return mremap(start, old_bytes, new_bytes, 0) != MAP_FAILED;
}

void *os_move_pages(void *from, size_t bytes)
{
	count_map_call();
	void *to = mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_DONTUNMAP, NULL);
	return to == MAP_FAILED ? NULL : to;
}

bool os_move_mapping(void *from, size_t bytes, void *to, size_t new_bytes)
{
	count_map_call();
	return mremap(from, bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
}

bool os_is_mapped(const void *p)
{
	unsigned char resident;
	void *page = (void *)align_down((uintptr_t)p, os_page_bytes());
	int saved = errno;
	bool mapped = mincore(page, 1, &resident) == 0 || errno != ENOMEM;
	errno = saved;
	return mapped;
}

/*
 * Pages that were only read are the kernel's page of zeroes, which is no memory: asked where
 * pages are, it says EFAULT of that one. Some of those that are resident are asked about; where
 * the call is refused, all count.
 */
static size_t without_zeroes(char *start, const unsigned char *resident, size_t pages, size_t found)
{
	enum { EVERY = 8 };
	void *asked[OS_PAGES_LOOKED / EVERY];
	int where[OS_PAGES_LOOKED / EVERY];
	size_t count = 0, zeroes = 0;
	for (size_t i = 0; i < pages; i += EVERY)
		if (resident[i] & 1)
			asked[count++] = start + i * os_page_bytes();
	if (!count || !os_pages_nodes(asked, where, count))
		return found;
	for (size_t i = 0; i < count; i++)
		zeroes += where[i] == -EFAULT;
	return found - found * zeroes / count;
}

size_t os_resident_pages(void *start, size_t bytes)
{
	unsigned char resident[OS_PAGES_LOOKED];
	size_t pages = min_size(bytes / os_page_bytes(), OS_PAGES_LOOKED), found = 0;
	int saved = errno;
	if (mincore(start, pages * os_page_bytes(), resident) == 0) {
		for (size_t i = 0; i < pages; i++)
			found += resident[i] & 1;
		found = without_zeroes(start, resident, pages, found);
	}
	errno = saved;
	return found;
}

size_t os_address_space_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return SIZE_MAX;
	return limit.rlim_cur;
}
