/*
 * The whole set of symbols is found in the preloaded library: the malloc family with its
 * statistics calls, the sized frees of C23 and every operator new and delete.
 */
#include "api.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const char *const symbols[] = {"malloc", "free", "calloc", "realloc", "reallocarray",
	"memalign", "aligned_alloc", "posix_memalign", "valloc", "pvalloc", "malloc_usable_size",
	"cfree", "malloc_trim", "mallinfo", "mallinfo2", "mallopt", "malloc_stats", "malloc_info",
	"free_sized", "free_aligned_sized",
	/* operator new, new[]: plain, nothrow, aligned, aligned nothrow */
	"_Znwm", "_Znam", "_ZnwmRKSt9nothrow_t", "_ZnamRKSt9nothrow_t", "_ZnwmSt11align_val_t",
	"_ZnamSt11align_val_t", "_ZnwmSt11align_val_tRKSt9nothrow_t",
	"_ZnamSt11align_val_tRKSt9nothrow_t",
	/* operator delete, delete[]: plain, nothrow, sized, aligned, aligned nothrow, sized aligned
	 */
	"_ZdlPv", "_ZdaPv", "_ZdlPvRKSt9nothrow_t", "_ZdaPvRKSt9nothrow_t", "_ZdlPvm", "_ZdaPvm",
	"_ZdlPvSt11align_val_t", "_ZdaPvSt11align_val_t", "_ZdlPvSt11align_val_tRKSt9nothrow_t",
	"_ZdaPvSt11align_val_tRKSt9nothrow_t", "_ZdlPvmSt11align_val_t", "_ZdaPvmSt11align_val_t",
	/* our own names */
	"hak_malloc", "hak_free", "hak_heap_create", "hak_stats", "hak_version"};

int main(void)
{
	char wanted[PATH_MAX], found[PATH_MAX];
	const char *library = getenv("HAK_TEST_PRELOAD");

	api_begin();
	CHECK(library && realpath(library, wanted), "HAK_TEST_PRELOAD");
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		const char *file = symbol_file(symbols[i]);

		CHECK(file, "%s is not there", symbols[i]);
		CHECK(realpath(file, found) && strcmp(found, wanted) == 0, "%s comes from %s",
			symbols[i], file);
	}
	return 0;
}
