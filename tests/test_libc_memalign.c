/*
 * The older calls: memalign, valloc, pvalloc, cfree.
 */
#include "api.h"

#include <dlfcn.h>
#include <errno.h>
#include <unistd.h>

static void check_memalign(void)
{
	for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
		for (size_t size = 0; size < 5 * MIB; size += size * 3 + 19) {
			void *block = memalign(alignment, size);

			CHECK(block && (uintptr_t)block % alignment == 0,
				"memalign(%zu, %zu) gave %p", alignment, size, block);
			CHECK((uintptr_t)block % 16 == 0, "memalign(%zu, %zu) gave %p", alignment,
				size, block);
			pattern_fill(block, size, 1);
			free(block);
		}
		errno = 0;
		void *none = memalign(alignment, opaque(SIZE_MAX - 100));

		CHECK(!none && errno == ENOMEM, "memalign(%zu, SIZE_MAX - 100): %p, errno %d",
			alignment, none, errno);
		errno = 0;
		none = memalign(alignment, opaque(PTRDIFF_MAX));
		CHECK(!none && errno == ENOMEM, "memalign(%zu, PTRDIFF_MAX): %p, errno %d",
			alignment, none, errno);
	}
	/* glibc rounds an odd alignment up; refusing it with EINVAL is as good. */
	errno = 0;
	void *odd = memalign(opaque(48), 100);

	CHECK(odd ? (uintptr_t)odd % 64 == 0 : errno == EINVAL, "memalign(48, 100): %p, errno %d",
		odd, errno);
	free(odd);
}

static void check_pages(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t size = 0; size < 3 * MIB; size += size / 2 + 77) {
		void *block = valloc(size);

		CHECK(block && (uintptr_t)block % page == 0, "valloc(%zu) gave %p", size, block);
		pattern_fill(block, size, 1);
		free(block);
		block = pvalloc(size);
		CHECK(block && (uintptr_t)block % page == 0, "pvalloc(%zu) gave %p", size, block);
		size_t rounded = (size + page - 1) / page * page;

		CHECK(malloc_usable_size(block) >= rounded, "pvalloc(%zu) has %zu bytes", size,
			malloc_usable_size(block));
		pattern_fill(block, rounded, 1);
		free(block);
	}
}

static void check_refused(const char *name, void *(*call)(size_t))
{
	static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4095, SIZE_MAX - 4096,
		SIZE_MAX - 8191, PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		errno = 0;
		void *none = call(opaque(sizes[i]));

		CHECK(!none && errno == ENOMEM, "%s(%zu): %p, errno %d", name, sizes[i], none,
			errno);
	}
}

int main(void)
{
	void (*old_free)(void *);
	size_t before = 0;

	api_begin();
	check_memalign();
	check_pages();
	check_refused("valloc", valloc);
	check_refused("pvalloc", pvalloc);
	/* Gone from glibc's headers, still called by old programs. */
	*(void **)&old_free = dlsym(RTLD_DEFAULT, "cfree");
	CHECK(old_free, "there is no cfree");
	old_free(NULL);
	for (int i = 0; i < 20000; i++) {
		char *block = malloc(5000);

		CHECK(block, "malloc(5000)");
		block[0] = block[4999] = 1;
		old_free(block);
		if (i == 100)
			before = resident_bytes();
	}
	CHECK(resident_bytes() < before + 4 * MIB, "cfree does not free");
	return 0;
}
