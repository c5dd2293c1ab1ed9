/*
 * stack.c: see stack.h. Frames are found by their unwind tables, with the
 * compiler's own unwinder, linked into the library: backtrace() would load it
 * with dlopen at its first call. Tables are looked up by _dl_find_object, which
 * takes no lock.
 */
#include "base/stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

/* The linker's names for the ends of the archive's code, in the section that make gives it. */
extern const char __start_hakmem_text[] __attribute__((weak, visibility("hidden")));
extern const char __stop_hakmem_text[] __attribute__((weak, visibility("hidden")));

struct walk {
	uintptr_t *pcs;
	unsigned count, most;
	uintptr_t own_start, own_end; /* the library's code */
	bool left;                    /* a frame of the program's was seen */
};

static _Unwind_Reason_Code see_frame(struct _Unwind_Context *context, void *argument)
{
	struct walk *w = argument;
	uintptr_t pc = _Unwind_GetIP(context);
	if (!pc || w->count == w->most)
		return _URC_END_OF_STACK;
	w->left |= pc < w->own_start || pc >= w->own_end;
	if (w->left)
		w->pcs[w->count++] = pc;
	return _URC_NO_REASON;
}

static void find_own_code(struct walk *w)
{
	struct dl_find_object object;
	if (__start_hakmem_text) {
		w->own_start = (uintptr_t)__start_hakmem_text;
		w->own_end = (uintptr_t)__stop_hakmem_text;
	} else if (_dl_find_object((void *)(uintptr_t)stack_take, &object) == 0) {
		w->own_start = (uintptr_t)object.dlfo_map_start;
		w->own_end = (uintptr_t)object.dlfo_map_end;
	}
}

unsigned stack_take(uintptr_t *pcs, unsigned most)
{
	struct walk w = {.pcs = pcs, .most = most};
	find_own_code(&w);
	_Unwind_Backtrace(see_frame, &w);
	return w.count;
}

void stack_name(uintptr_t pc, char *text, size_t bytes)
{
	struct dl_find_object object;
	if (_dl_find_object((void *)pc, &object) != 0) {
		snprintf(text, bytes, "%#lx", pc);
		return;
	}
	const char *path = object.dlfo_link_map->l_name, *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : *path ? path : program_invocation_short_name;
	snprintf(text, bytes, "%.60s+%#lx", name, pc - object.dlfo_link_map->l_addr);
}
