/*
 * reallocarray: as realloc of the product, ENOMEM where the product overflows.
 */
#include "api.h"

#include <errno.h>

int main(void)
{
	static const size_t pairs[][2] = {{SIZE_MAX, 2}, {2, SIZE_MAX},
		{(size_t)1 << 32, (size_t)1 << 32}, {SIZE_MAX / 3 + 1, 3}, {(size_t)1 << 63, 2},
		{1, PTRDIFF_MAX}};
	uint8_t *block;

	api_begin();
	block = a_reallocarray(NULL, 100, 30);
	CHECK(block && (uintptr_t)block % 16 == 0, "reallocarray(NULL, 100, 30) gave %p",
		(void *)block);
	CHECK(a_usable_size(block) >= 3000, "usable %zu", a_usable_size(block));
	pattern_fill(block, 3000, 1);
	block = a_reallocarray(block, 7000, 100);
	CHECK(block && pattern_ok(block, 3000, 1), "grown to 700,000 bytes: contents lost");
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		errno = 0;
		void *none = a_reallocarray(block, opaque(pairs[i][0]), opaque(pairs[i][1]));

		CHECK(!none && errno == ENOMEM, "reallocarray(p, %zu, %zu) gave %p, errno %d",
			pairs[i][0], pairs[i][1], none, errno);
		CHECK(pattern_ok(block, 3000, 1), "a failed reallocarray changed the block");
	}
	block = a_reallocarray(block, 3, 1000);
	CHECK(block && pattern_ok(block, 3000, 1), "shrunk to 3000 bytes: contents lost");
	CHECK(!a_reallocarray(block, opaque(0), 10), "a product of 0 does not free");
	block = a_reallocarray(NULL, opaque(0), opaque(SIZE_MAX));
	CHECK(block, "reallocarray(NULL, 0, SIZE_MAX) gave NULL");
	a_free(block);
	return 0;
}
