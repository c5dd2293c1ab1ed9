/*
 * lib_tls.c: a library with thread-local storage, dynamic and initial-exec: copies of it use up
 * the space that a program has for libraries that are loaded late.
 */
#include <stdlib.h>
#include <string.h>

#ifdef TLS_STATIC
#define MODEL __attribute__((tls_model("initial-exec")))
#else
#define MODEL __attribute__((tls_model("global-dynamic")))
#endif

__attribute__((visibility("default"))) void *tls_use(int value);

static __thread MODEL char storage[360];
static __thread MODEL void *block;

/* Touches the storage and changes a block in it: the first use in a thread may allocate. */
void *tls_use(int value)
{
	free(block);
	block = malloc((size_t)value % 5000 + 1);
	memset(storage, value, sizeof storage);
	return block ? storage : NULL;
}
