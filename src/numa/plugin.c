/*
 * plugin.c: finds and opens libhakmem-topology.so. hwloc's plugins stay out of
 * the program: they would bring in OpenCL, X11 and libxml2.
 */
#include "numa/plugin.h"

#include "base/atomic.h"
#include "base/check.h"
#include "base/options.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#define PATH_BYTES 4096

typedef __typeof__(topology_discover) discover;

/* Beside the file that this code is in; elsewhere only by the loader's own rules. */
static void *open_plugin(void)
{
	char path[PATH_BYTES];
	Dl_info info;
	void *self = (void *)(uintptr_t)open_plugin;
	const char *slash =
		dladdr(self, &info) && info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
	int length = slash ? (int)(slash - info.dli_fname) : 0;
	int n = snprintf(
		path, sizeof path, "%.*s/%s", length, slash ? info.dli_fname : "", PLUGIN_FILE);
	void *library = slash && n > 0 && (size_t)n < sizeof path
				? dlopen(path, RTLD_NOW | RTLD_LOCAL)
				: NULL;
	return library ? library : dlopen(PLUGIN_FILE, RTLD_NOW | RTLD_LOCAL);
}

void plugin_refine(struct topology *t)
{
	static _Atomic(discover *) x_discover; /* any: relaxed; NULL or the same value */
	static _Atomic(bool) x_tried;          /* any: relaxed; only the one refresher is here */
	discover *function = load_rlx(&x_discover);
	struct topology better = *t;
	if (!function && !load_rlx(&x_tried)) {
		void *library = open_plugin();
		store_rlx(&x_tried, true);
		if (library)
			*(void **)&function = dlsym(library, PLUGIN_FUNCTION);
		if (!function && load_rlx(&options.x_verbose)) {
			const char *why = dlerror();
			report("nodes are read from /sys alone: %s", why ? why : PLUGIN_FILE);
		}
		store_rlx(&x_discover, function);
	}
	if (!function || !function(&better, sizeof better))
		return;
	*t = better;
	topology_derive(t);
}
