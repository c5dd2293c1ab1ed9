/*
 * Every operator new and delete: plain, array, nothrow, aligned, sized; bad_alloc by way of the
 * program's own new-handler; containers.
 */
#include "api.h"

#include <cerrno>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

static const size_t sizes[] = {0, 1, 16, 17, 100, 1000, 5000, 70000, 300000, 3u << 20};

static void use(const char *what, void *block, size_t size, size_t alignment)
{
	CHECK(block, "%s of %zu gave NULL", what, size);
	CHECK(reinterpret_cast<uintptr_t>(block) % alignment == 0, "%s of %zu gave %p", what, size,
		block);
	CHECK(malloc_usable_size(block) >= size, "%s of %zu has %zu bytes", what, size,
		malloc_usable_size(block));
	pattern_fill(block, size, size);
}

static void check_plain(size_t size)
{
	void *p = ::operator new(size);

	use("new", p, size, 16);
	::operator delete(p);
	use("new", p = ::operator new(size), size, 16);
	::operator delete(p, size);
	use("new[]", p = ::operator new[](size), size, 16);
	::operator delete[](p);
	use("new[]", p = ::operator new[](size), size, 16);
	::operator delete[](p, size);
	use("new nothrow", p = ::operator new(size, std::nothrow), size, 16);
	::operator delete(p, std::nothrow);
	use("new[] nothrow", p = ::operator new[](size, std::nothrow), size, 16);
	::operator delete[](p, std::nothrow);
}

static void check_aligned(size_t size, size_t bytes)
{
	std::align_val_t alignment{bytes};
	void *p = ::operator new(size, alignment);

	use("aligned new", p, size, bytes);
	::operator delete(p, alignment);
	use("aligned new", p = ::operator new(size, alignment), size, bytes);
	::operator delete(p, size, alignment);
	use("aligned new[]", p = ::operator new[](size, alignment), size, bytes);
	::operator delete[](p, alignment);
	use("aligned new[]", p = ::operator new[](size, alignment), size, bytes);
	::operator delete[](p, size, alignment);
	use("aligned nothrow", p = ::operator new(size, alignment, std::nothrow), size, bytes);
	::operator delete(p, alignment, std::nothrow);
	use("aligned nothrow []", p = ::operator new[](size, alignment, std::nothrow), size, bytes);
	::operator delete[](p, alignment, std::nothrow);
}

template <typename Call> static bool throws_bad_alloc(Call call)
{
	try {
		call();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void check_refused(size_t size)
{
	std::align_val_t alignment{256};
	size_t much = opaque(size);

	CHECK(throws_bad_alloc([=] { ::operator delete(::operator new(much)); }), "new %zu", size);
	CHECK(throws_bad_alloc([=] { ::operator delete[](::operator new[](much)); }), "new[] %zu",
		size);
	CHECK(throws_bad_alloc(
		      [=] { ::operator delete(::operator new(much, alignment), alignment); }),
		"aligned new %zu", size);
	CHECK(throws_bad_alloc(
		      [=] { ::operator delete[](::operator new[](much, alignment), alignment); }),
		"aligned new[] %zu", size);
	CHECK(!::operator new(much, std::nothrow), "new nothrow %zu", size);
	CHECK(!::operator new[](much, std::nothrow), "new[] nothrow %zu", size);
	CHECK(!::operator new(much, alignment, std::nothrow), "aligned nothrow %zu", size);
	CHECK(!::operator new[](much, alignment, std::nothrow), "aligned nothrow [] %zu", size);
}

static int handler_calls;

/* Gives up at the third call, as a program does that has nothing left to free. */
static void handler()
{
	if (++handler_calls == 3)
		std::set_new_handler(nullptr);
}

struct out_of_it {
};

static void throwing_handler()
{
	throw out_of_it();
}

static void check_handler()
{
	size_t much = opaque(PTRDIFF_MAX);

	handler_calls = 0;
	std::set_new_handler(handler);
	CHECK(throws_bad_alloc([=] { ::operator delete(::operator new(much)); }), "no bad_alloc");
	CHECK(handler_calls == 3, "the new-handler was called %d times, not 3", handler_calls);
	handler_calls = 0;
	std::set_new_handler(handler);
	CHECK(!::operator new(much, std::nothrow), "new nothrow gave a block");
	CHECK(handler_calls == 3, "nothrow: the new-handler was called %d times, not 3",
		handler_calls);
	handler_calls = 0;
	std::set_new_handler(handler);
	CHECK(throws_bad_alloc([=] {
		::operator delete (
			::operator new (much, std::align_val_t{64}), std::align_val_t{64});
	}),
		"no bad_alloc from aligned new");
	CHECK(handler_calls == 3, "aligned: the new-handler was called %d times, not 3",
		handler_calls);
	std::set_new_handler(throwing_handler);
	bool thrown = false;
	try {
		::operator delete(::operator new(much));
	} catch (const out_of_it &) {
		thrown = true;
	}
	CHECK(thrown, "what the new-handler throws does not arrive");
	CHECK(!::operator new(much, std::nothrow), "nothrow with a handler that throws");
	std::set_new_handler(nullptr);
}

/* The handler frees a reserve: the same call then succeeds. */
static void *reserve;

static void freeing_handler()
{
	CHECK(reserve, "the new-handler is called again though memory was freed");
	free(reserve);
	reserve = nullptr;
}

static void use_reserve(void *)
{
	const size_t bytes = 200 * MIB;
	struct rlimit limit = {600 * MIB, 600 * MIB};

	reserve = malloc(bytes);
	CHECK(reserve, "malloc(200 MiB)");
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit");
	/* Take what is left in large pieces, keep the reserve. */
	while (malloc(bytes))
		;
	while (malloc(8 * MIB))
		;
	std::set_new_handler(freeing_handler);
	void *block = ::operator new(100 * MIB);
	CHECK(block && !reserve, "new did not ask the handler");
}

static void check_reserve()
{
	struct child child;

	child_run(&child, use_reserve, nullptr);
	CHECK(child_exited(&child, 0), "a new-handler that frees: %s", child_what(&child));
}

static void check_containers()
{
	std::map<std::string, std::vector<std::string>> index;

	for (int i = 0; i < 20000; i++)
		index["key " + std::to_string(i % 997)].push_back(
			std::string(static_cast<size_t>(i) % 300, 'x'));
	size_t total = 0;
	for (const auto &entry : index) {
		for (const auto &text : entry.second)
			total += text.size();
	}
	CHECK(index.size() == 997 && total > 2000000, "%zu keys, %zu bytes", index.size(), total);
	std::thread other([moved = std::move(index)]() mutable { moved.clear(); });
	other.join();
}

int main()
{
	api_begin();
	for (size_t size : sizes) {
		check_plain(size);
		for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2)
			check_aligned(size, alignment);
	}
	check_refused(PTRDIFF_MAX);
	check_refused(SIZE_MAX);
	check_refused(SIZE_MAX - 64);
	check_handler();
	check_reserve();
	check_containers();
	::operator delete(nullptr);
	::operator delete[](nullptr);
	return 0;
}
