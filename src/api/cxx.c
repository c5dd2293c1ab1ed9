/*
 * cxx.c: C++ operators new and delete by their mangled names, so that no C++
 * compiler or library is needed. A failing new calls the program's new-handler
 * and throws std::bad_alloc through the program's own libstdc++.
 */
#include "base/check.h"
#include "tls/alloc.h"

#include <dlfcn.h>

#define EXPORT __attribute__((visibility("default")))

typedef void (*new_handler)(void);

/* A function of libstdc++, which may have come with a dlopen. */
static void *lookup(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}

static void *allocate(size_t size, size_t align)
{
	return align > BLOCK_ALIGN ? alloc_aligned(size, align, false) : block_alloc(size);
}

/* Calls the new-handler until memory is there; NULL when there is no handler. */
static COLD void *retry(size_t size, size_t align)
{
	new_handler (*get_handler)(void) = (new_handler(*)(void))lookup("_ZSt15get_new_handlerv");
	for (;;) {
		new_handler handler = get_handler ? get_handler() : NULL;
		if (!handler)
			return NULL;
		handler();
		void *block = allocate(size, align);
		if (block)
			return block;
	}
}

static COLD void *retry_or_throw(size_t size, size_t align)
{
	void *block = retry(size, align);
	if (block)
		return block;
	void (*throw_bad_alloc)(void) = (void (*)(void))lookup("_ZSt17__throw_bad_allocv");
	if (throw_bad_alloc)
		throw_bad_alloc();
	die("operator new: no memory for %zu bytes, and no C++ library to throw bad_alloc", size);
}

static ALWAYS_INLINE void *new_throwing(size_t size, size_t align)
{
	void *block = allocate(size, align);
	return likely(block) ? block : retry_or_throw(size, align);
}

/*
 * A new-handler may throw, and catching that takes C++: the program's own
 * nothrow operator, next in line after ours, calls our throwing one and catches.
 */
static COLD void *nothrow_failed(const char *name, size_t size, const void *tag)
{
	void *(*next)(size_t, const void *) =
		(void *(*)(size_t, const void *))dlsym(RTLD_NEXT, name);
	return next ? next(size, tag) : NULL;
}

static COLD void *nothrow_aligned_failed(
	const char *name, size_t size, size_t align, const void *tag)
{
	void *(*next)(size_t, size_t, const void *) =
		(void *(*)(size_t, size_t, const void *))dlsym(RTLD_NEXT, name);
	return next ? next(size, align, tag) : NULL;
}

#define NEW(name, ...) EXPORT void *name(__VA_ARGS__)
#define DELETE(name, ...) EXPORT void name(__VA_ARGS__)

#define DEFINE_NEW(plain, nothrow, aligned, aligned_nothrow)                                       \
	void *plain(size_t size);                                                                  \
	void *nothrow(size_t size, const void *tag);                                               \
	void *aligned(size_t size, size_t align);                                                  \
	void *aligned_nothrow(size_t size, size_t align, const void *tag);                         \
	NEW(plain, size_t size)                                                                    \
	{                                                                                          \
		return new_throwing(size, 0);                                                      \
	}                                                                                          \
	NEW(nothrow, size_t size, const void *tag)                                                 \
	{                                                                                          \
		void *block = allocate(size, 0);                                                   \
		return likely(block) ? block : nothrow_failed(#nothrow, size, tag);                \
	}                                                                                          \
	NEW(aligned, size_t size, size_t align)                                                    \
	{                                                                                          \
		return new_throwing(size, align);                                                  \
	}                                                                                          \
	NEW(aligned_nothrow, size_t size, size_t align, const void *tag)                           \
	{                                                                                          \
		void *block = allocate(size, align);                                               \
		return likely(block) ? block                                                       \
				     : nothrow_aligned_failed(#aligned_nothrow, size, align, tag); \
	}

DEFINE_NEW(_Znwm, _ZnwmRKSt9nothrow_t, _ZnwmSt11align_val_t, _ZnwmSt11align_val_tRKSt9nothrow_t)
DEFINE_NEW(_Znam, _ZnamRKSt9nothrow_t, _ZnamSt11align_val_t, _ZnamSt11align_val_tRKSt9nothrow_t)

#define DEFINE_DELETE(plain, sized, nothrow, aligned, sized_aligned, aligned_nothrow)              \
	void plain(void *block);                                                                   \
	void sized(void *block, size_t size);                                                      \
	void nothrow(void *block, const void *tag);                                                \
	void aligned(void *block, size_t align);                                                   \
	void sized_aligned(void *block, size_t size, size_t align);                                \
	void aligned_nothrow(void *block, size_t align, const void *tag);                          \
	DELETE(plain, void *block)                                                                 \
	{                                                                                          \
		block_free(block);                                                                 \
	}                                                                                          \
	DELETE(sized, void *block, size_t size)                                                    \
	{                                                                                          \
		block_free_sized(block, size);                                                     \
	}                                                                                          \
	DELETE(nothrow, void *block, const void *tag)                                              \
	{                                                                                          \
		(void)tag;                                                                         \
		block_free(block);                                                                 \
	}                                                                                          \
	DELETE(aligned, void *block, size_t align)                                                 \
	{                                                                                          \
		(void)align;                                                                       \
		block_free(block);                                                                 \
	}                                                                                          \
	DELETE(sized_aligned, void *block, size_t size, size_t align)                              \
	{                                                                                          \
		block_check_size(block, size, max_size(align, BLOCK_ALIGN), false);                \
		block_free(block);                                                                 \
	}                                                                                          \
	DELETE(aligned_nothrow, void *block, size_t align, const void *tag)                        \
	{                                                                                          \
		(void)align;                                                                       \
		(void)tag;                                                                         \
		block_free(block);                                                                 \
	}

DEFINE_DELETE(_ZdlPv, _ZdlPvm, _ZdlPvRKSt9nothrow_t, _ZdlPvSt11align_val_t, _ZdlPvmSt11align_val_t,
	_ZdlPvSt11align_val_tRKSt9nothrow_t)
DEFINE_DELETE(_ZdaPv, _ZdaPvm, _ZdaPvRKSt9nothrow_t, _ZdaPvSt11align_val_t, _ZdaPvmSt11align_val_t,
	_ZdaPvSt11align_val_tRKSt9nothrow_t)
