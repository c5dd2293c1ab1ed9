/*
 * fuzz_api: sequences of calls by one thread, against the shadow model.
 */
#include "script.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static struct script script;
	static bool begun;
	struct record r;

	if (!begun)
		script_begin_process();
	begun = true;
	memset(&script, 0, sizeof script);
	while (record_read(&r, &data, &bytes))
		script_step(&script, &r);
	script_end(&script);
	return 0;
}
