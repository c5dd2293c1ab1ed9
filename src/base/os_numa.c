/*
 * os_numa.c: system calls; see os_numa.h. They are made directly, because
 * libnuma's wrappers would bring in the whole library.
 */
#include "base/os_numa.h"

#include "base/atomic.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel takes the number of bits plus one. */
#define MASK_BITS (OS_NODES_MAX + 1)

#define GET_MEMS_ALLOWED 4 /* flag of get_mempolicy */

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450
#endif

/* glibc 2.35 registers restartable sequences, and says where; older ones do not. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* The head of the kernel's struct rseq. */
struct rseq_head {
	uint32_t cpu_id_start, cpu_id;
};

bool os_policy(struct os_policy *policy)
{
	return syscall(SYS_get_mempolicy, &policy->mode, policy->nodes.bits, MASK_BITS, NULL, 0) ==
	       0;
}

/* No such policy: EINVAL from a kernel that looks at it at all. */
#define MODE_NONE 0x1000

bool os_policy_is_permitted(void)
{
	struct os_policy p;
	return os_policy(&p) && syscall(SYS_set_mempolicy, MODE_NONE, NULL, 0) != 0 &&
	       errno == EINVAL && syscall(SYS_mbind, 0, 0, MODE_NONE, NULL, 0, 0) != 0 &&
	       errno == EINVAL;
}

bool os_nodes_allowed(struct os_nodes *nodes)
{
	return syscall(SYS_get_mempolicy, NULL, nodes->bits, MASK_BITS, NULL, GET_MEMS_ALLOWED) ==
	       0;
}

bool os_bind(
	void *start, size_t bytes, enum os_policy_mode mode, const struct os_nodes *nodes, int home)
{
	if (syscall(SYS_mbind, start, bytes, mode, nodes->bits, MASK_BITS, 0) != 0)
		return false;
	return home < 0 || syscall(SYS_set_mempolicy_home_node, start, bytes, home, 0) == 0;
}

bool os_has_home_node(void)
{
	/* An empty range: nothing to do, for a kernel that has the call. */
	return syscall(SYS_set_mempolicy_home_node, 0, 0, 0, 0) == 0;
}

bool os_pages_nodes(void **pages, int *nodes, size_t count)
{
	return syscall(SYS_move_pages, 0, count, pages, NULL, nodes, 0) == 0;
}

unsigned os_cpu(void)
{
	if (&__rseq_size && __rseq_size) {
		const volatile struct rseq_head *rseq =
			(void *)((char *)__builtin_thread_pointer() + __rseq_offset);
		uint32_t cpu = rseq->cpu_id;
		if (likely((int32_t)cpu >= 0))
			return cpu;
	}
	unsigned node;
	return os_cpu_node(&node);
}

unsigned os_cpu_node(unsigned *node)
{
	unsigned cpu = 0;
	*node = 0;
	int saved = errno;
	if (getcpu(&cpu, node) != 0)
		errno = saved;
	return cpu;
}

/*
 * Not by the C library's functions: those are cancellation points, and this is
 * called inside malloc, which must not be one.
 */
bool os_read_file(const char *path, char *text, size_t bytes)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return false;
	size_t used = 0;
	ssize_t n = 1;
	while (n > 0 && used < bytes) {
		n = syscall(SYS_read, fd, text + used, bytes - used);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n > 0)
			used += (size_t)n;
	}
	syscall(SYS_close, fd);
	if (n != 0 || used >= bytes || memchr(text, 0, used))
		return false;
	text[used] = '\0';
	return true;
}
