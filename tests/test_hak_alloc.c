/*
 * hak_alloc: alignment, zeroing and errors in one call.
 */
#include "hakmem.h"
#include "test.h"

#include <errno.h>
#include <string.h>

static void check_one(size_t size, size_t alignment, unsigned flags)
{
	char *block = hak_alloc(size, alignment, flags);
	size_t wanted = alignment < 16 ? 16 : alignment;

	CHECK(block, "hak_alloc(%zu, %zu, %u): %s", size, alignment, flags, strerror(errno));
	CHECK((uintptr_t)block % wanted == 0, "hak_alloc(%zu, %zu, %u) gave %p", size, alignment,
		flags, (void *)block);
	CHECK(hak_usable_size(block) >= size, "usable %zu of %zu", hak_usable_size(block), size);
	if (flags & HAK_ZERO)
		CHECK(all_zero(block, size), "hak_alloc(%zu, %zu, HAK_ZERO) is not zero", size,
			alignment);
	memset(block, 0x77, hak_usable_size(block));
	hak_free(block);
}

int main(void)
{
	static const size_t bad[] = {3, 6, 17, 24, 4095, SIZE_MAX};
	size_t largest = TEST_SANITIZED ? 64 * MIB : GIB;

	for (unsigned flags = 0; flags <= HAK_ZERO; flags++) {
		check_one(0, 0, flags);
		for (size_t alignment = 1; alignment <= largest; alignment *= 2) {
			for (size_t size = 0; size < 5 * MIB; size += size * 2 + 7) {
				check_one(size, alignment, flags);
				check_one(size, 0, flags);
			}
		}
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		errno = 0;
		CHECK(!hak_alloc(10, bad[i], 0) && errno == EINVAL, "alignment %zu: errno %d",
			bad[i], errno);
	}
	for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
		errno = 0;
		CHECK(!hak_alloc(opaque(SIZE_MAX), alignment, HAK_ZERO) && errno == ENOMEM,
			"SIZE_MAX, alignment %zu: errno %d", alignment, errno);
		errno = 0;
		CHECK(!hak_alloc(opaque(PTRDIFF_MAX), alignment, 0) && errno == ENOMEM,
			"PTRDIFF_MAX, alignment %zu: errno %d", alignment, errno);
	}
	CHECK(strcmp(hak_version(), HAK_VERSION_STRING) == 0, "hak_version() is %s", hak_version());
	return 0;
}
