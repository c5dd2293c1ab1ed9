/*
 * malloc_usable_size: at least the request, all of it usable, and from 128 bytes to some MiB at
 * most an eighth of the block is waste.
 */
#include "api.h"

#include <string.h>

static void check_one(size_t size)
{
	char *block = a_malloc(size);
	size_t usable = a_usable_size(block);

	CHECK(block, "malloc(%zu)", size);
	CHECK(usable >= size, "usable %zu of %zu", usable, size);
	CHECK(a_usable_size(block) == usable, "two answers for one block");
	CHECK(size < 128 || (usable - size) * 8 <= usable, "%zu of %zu bytes are waste",
		usable - size, usable);
	CHECK(size >= 128 || usable - size <= 31, "%zu bytes for a request of %zu", usable, size);
	a_free(block);
}

/* All usable bytes of neighbours can be written without touching each other. */
static void check_whole_block(size_t size)
{
	enum { BLOCKS = 40 };
	char *block[BLOCKS];

	for (int i = 0; i < BLOCKS; i++) {
		block[i] = a_malloc(size);
		CHECK(block[i], "malloc(%zu)", size);
		memset(block[i], i, a_usable_size(block[i]));
	}
	for (int i = 0; i < BLOCKS; i++) {
		size_t usable = a_usable_size(block[i]);

		for (size_t at = 0; at < usable; at++)
			CHECK(block[i][at] == i, "size %zu: byte %zu of block %d was overwritten",
				size, at, i);
		a_free(block[i]);
	}
}

int main(void)
{
	api_begin();
	CHECK(a_usable_size(NULL) == 0, "usable size of NULL is %zu", a_usable_size(NULL));
	for (size_t size = 0; size <= 70 * KIB; size += TEST_SANITIZED ? 7 : 1)
		check_one(size);
	for (size_t size = 70 * KIB; size <= 9 * MIB; size += size / 300 + 1)
		check_one(size);
	for (size_t size = 64 * KIB; size <= 8 * MIB; size *= 2) {
		check_one(size - 1);
		check_one(size);
		check_one(size + 1);
	}
	for (size_t size = 0; size <= 600 * KIB; size += size / (TEST_SANITIZED ? 2 : 5) + 3)
		check_whole_block(size);
	return 0;
}
