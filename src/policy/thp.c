/*
 * thp.c: see thp.h.
 */
#include "policy/thp.h"

#include "base/os.h"
#include "base/os_numa.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Beyond this, what purging and trimming do by granules is of no use. */
#define HUGE_PAGE_MAX (2 * MIB)

#define SYSTEM "/sys/kernel/mm/transparent_hugepage/"

_Atomic(uint32_t) x_thp_system;

static bool allowed(size_t granule_bytes)
{
	char text[64];
	/* Regions of their own for huge pages would use up a limited address space. */
	if (os_address_space_limit() != SIZE_MAX || os_huge_pages_denied() ||
		!os_read_file(SYSTEM "enabled", text, sizeof text - 1) || strstr(text, "[never]"))
		return false;
	if (!os_read_file(SYSTEM "hpage_pmd_size", text, sizeof text - 1))
		return false;
	size_t huge_page = strtoull(text, NULL, 10);
	return huge_page && huge_page % granule_bytes == 0 && huge_page <= HUGE_PAGE_MAX;
}

bool thp_ask(size_t granule_bytes)
{
	int saved = errno;
	bool yes = allowed(granule_bytes);
	store_rlx(&x_thp_system, yes ? THP_YES : THP_NO);
	errno = saved;
	return yes;
}
