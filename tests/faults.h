/*
 * faults.h: versions of the system calls by which the allocator has memory, which fail when told to.
 * For the one file of a program that is linked with --wrap for each of them.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>

enum call { MMAP, MUNMAP, MPROTECT, MREMAP, MADVISE, PMADVISE, MBIND, MEMPOLICY, CALLS };

static const struct {
	const char *name;
	int errors[6];
} calls[CALLS + 1] = {
	[MMAP] = {"mmap", {ENOMEM, EAGAIN, EPERM}},
	[MUNMAP] = {"munmap", {ENOMEM, EINVAL}},
	[MPROTECT] = {"mprotect", {ENOMEM, EACCES}},
	[MREMAP] = {"mremap", {ENOMEM, EAGAIN, EINVAL, ENOSYS}},
	[MADVISE] = {"madvise", {ENOMEM, EAGAIN, EINVAL, EPERM}},
	[PMADVISE] = {"process_madvise", {ENOSYS, EPERM, EINTR, EAGAIN, EINVAL}},
	[MBIND] = {"mbind", {ENOMEM, EPERM, ENOSYS, EINVAL}},
	[CALLS] = {"no call", {0}},
	[MEMPOLICY] = {"get_mempolicy", {ENOMEM, EPERM, ENOSYS, EINVAL}},
};

/* The fault of this child: the n-th such call, or all from there on. */
static struct fault {
	enum call call;
	int error;
	unsigned nth;
	bool lasting;
} fault;

/* What a child tells its parent, in memory that both have. */
static struct told {
	unsigned made[CALLS];
	unsigned injected, refused, resident_kib;
	char why[400];
} * told;

static bool faulty;

static bool fails(enum call call)
{
	unsigned n = faulty ? ++told->made[call] : 0;

	if (!faulty || call != fault.call || n < fault.nth || (n > fault.nth && !fault.lasting))
		return false;
	told->injected++;
	errno = fault.error;
	return true;
}

void *__real_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t bytes);
int __real_mprotect(void *at, size_t bytes, int prot);
int __real_madvise(void *at, size_t bytes, int advice);
void *__real_mremap(void *at, size_t old_bytes, size_t bytes, int flags, void *to);
long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t bytes);
int __wrap_mprotect(void *at, size_t bytes, int prot);
int __wrap_madvise(void *at, size_t bytes, int advice);
void *__wrap_mremap(void *at, size_t old_bytes, size_t bytes, int flags, void *to);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

void *__wrap_mmap(void *at, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	return fails(MMAP) ? MAP_FAILED : __real_mmap(at, bytes, prot, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t bytes)
{
	return fails(MUNMAP) ? -1 : __real_munmap(at, bytes);
}

int __wrap_mprotect(void *at, size_t bytes, int prot)
{
	return fails(MPROTECT) ? -1 : __real_mprotect(at, bytes, prot);
}

int __wrap_madvise(void *at, size_t bytes, int advice)
{
	return fails(MADVISE) ? -1 : __real_madvise(at, bytes, advice);
}

void *__wrap_mremap(void *at, size_t old_bytes, size_t bytes, int flags, void *to)
{
	return fails(MREMAP) ? MAP_FAILED : __real_mremap(at, old_bytes, bytes, flags, to);
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	bool failing = (number == SYS_process_madvise && fails(PMADVISE)) ||
		       (number == SYS_mbind && fails(MBIND)) ||
		       (number == SYS_get_mempolicy && fails(MEMPOLICY));

	return failing ? -1 : __real_syscall(number, a, b, c, d, e, f);
}

#endif
