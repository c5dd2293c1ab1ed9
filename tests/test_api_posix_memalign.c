/*
 * posix_memalign: EINVAL and ENOMEM as results, with *block and errno left alone.
 */
#include "api.h"

#include <errno.h>

static void check_refused(size_t alignment, size_t size, int wanted)
{
	char mark;
	void *block = &mark;

	errno = 1234;
	int result = a_posix_memalign(&block, opaque(alignment), opaque(size));

	CHECK(result == wanted, "posix_memalign(%zu, %zu) returned %d, not %d", alignment, size,
		result, wanted);
	CHECK(block == &mark, "posix_memalign(%zu, %zu) failed and set the pointer", alignment,
		size);
	CHECK(errno == 1234, "posix_memalign(%zu, %zu) set errno to %d", alignment, size, errno);
}

int main(void)
{
	static const size_t bad[] = {0, 1, 2, 3, 4, 5, 7, 9, 12, 24, 40, 4095, 4097, SIZE_MAX,
		SIZE_MAX / 2, ((size_t)1 << 20) + 8};

	api_begin();
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		check_refused(bad[i], 100, EINVAL);
		check_refused(bad[i], 0, EINVAL);
		check_refused(bad[i], SIZE_MAX, EINVAL);
	}
	for (size_t alignment = sizeof(void *); alignment <= GIB; alignment *= 2) {
		check_refused(alignment, SIZE_MAX, ENOMEM);
		check_refused(alignment, PTRDIFF_MAX, ENOMEM);
		check_refused(alignment, SIZE_MAX - alignment, ENOMEM);
		for (size_t size = 0; size < 6 * MIB; size += size * 6 + 17) {
			void *block = NULL;

			errno = 1234;
			CHECK(a_posix_memalign(&block, alignment, size) == 0, "(%zu, %zu)",
				alignment, size);
			CHECK(block && (uintptr_t)block % alignment == 0, "(%zu, %zu) gave %p",
				alignment, size, block);
			CHECK(errno == 1234, "(%zu, %zu) set errno to %d", alignment, size, errno);
			pattern_fill(block, size, 1);
			a_free(block);
		}
	}
	return 0;
}
