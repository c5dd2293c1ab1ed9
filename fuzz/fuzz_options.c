/*
 * fuzz_options: an environment, its variables ended by zero bytes. A good value is taken, and what is
 * said of it is taken for the same again; a bad one, and an unknown name, is reported in one line and
 * changes nothing. hak_option_set and hak_option_get agree. Numbers are read a second time here.
 */
#include "inside.h"

#include "base/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum kind { BYTES, COUNT, FLAG, NODES, NUMA, LIMIT, POLICY, PATH };
enum when { START, ANY };

static const struct known {
	const char *name;
	enum kind kind;
	size_t least, most;
	enum when when;
} table[] = {
#define OPTION(name, kind, value, least, most, when, text) {#name, kind, (least), (most), when},
#include "base/options.def"
#undef OPTION
};

enum { OPTIONS = sizeof table / sizeof *table, VARIABLES_MAX = 64, VALUE_BYTES = 2048 };

struct state {
	size_t value[OPTIONS];
	char path[OPTION_PATH_BYTES];
};

static struct state initial;

static _Atomic(size_t) *word(unsigned i)
{
	static _Atomic(size_t) *const words[] = {
#define OPTION(name, kind, value, least, most, when, text) &options.x_##name,
#include "base/options.def"
#undef OPTION
	};

	return words[i];
}

static struct state look(void)
{
	struct state s;

	for (unsigned i = 0; i < OPTIONS; i++)
		s.value[i] = load_rlx(word(i));
	memcpy(s.path, options_policy_file, sizeof s.path);
	return s;
}

static void restore(const struct state *s)
{
	for (unsigned i = 0; i < OPTIONS; i++)
		store_rlx(word(i), s->value[i]);
	memcpy(options_policy_file, s->path, sizeof s->path);
}

/* No option but `except` differs. */
static void check_others(const struct state *before, unsigned except, const char *what)
{
	for (unsigned i = 0; i < OPTIONS; i++)
		if (i != except && load_rlx(word(i)) != before->value[i])
			broken("%.100s changes %s", what, table[i].name);
	if ((except == OPTIONS || table[except].kind != PATH) &&
		strcmp(options_policy_file, before->path) != 0)
		broken("%.100s changes the path", what);
}

static unsigned parse(const char *const *variables, size_t count)
{
	char *environment[VARIABLES_MAX + 1];

	for (size_t i = 0; i < count; i++)
		environment[i] = (char *)(uintptr_t)variables[i];
	environment[count] = NULL;
	said_begin();
	options_parse(environment);
	return said_end();
}

/* With verbose, one line follows for each option, which says what its value is. */
static void check_verbose(unsigned lines)
{
	char wanted[VALUE_BYTES], value[VALUE_BYTES];
	const char *at = said;

	for (unsigned i = 0; i < lines; i++)
		at = strchr(at, '\n') + 1;
	for (unsigned i = 0; i < OPTIONS; i++) {
		size_t length;

		option_get(table[i].name, value, sizeof value);
		length = (size_t)snprintf(
			wanted, sizeof wanted, "hakmem: option %s = %s", table[i].name, value);
		if (length > 500)
			length = 500; /* a report is no longer */
		for (char *c = wanted; *c; c++)
			if ((unsigned char)*c < ' ')
				*c = '?';
		if (strncmp(at, wanted, length) != 0 || (length < 500 && at[length] != '\n'))
			broken("verbose does not say \"%.200s\": %.200s", wanted, at);
		at = strchr(at, '\n') + 1;
	}
}

/* A value as this file understands the documentation; other kinds are checked by what follows. */
static bool read_number(const struct known *k, const char *text, size_t *value)
{
	static const char letters[] = "KMGT";
	const char *letter;
	unsigned __int128 n;
	uint64_t digits;

	if (!number_at(&text, &digits))
		return false;
	n = digits;
	letter = k->kind == BYTES && *text ? strchr(letters, toupper((unsigned char)*text)) : NULL;
	if (letter) {
		n <<= 10 * (letter - letters + 1);
		text++;
		if (!strcasecmp(text, "B") || !strcasecmp(text, "iB"))
			text = "";
	}
	*value = (size_t)n;
	return !*text && n < UINT64_MAX && n >= k->least && n <= k->most;
}

static bool is_number(const struct known *k)
{
	return k->kind == BYTES || k->kind == COUNT || k->kind == FLAG;
}

/* What option_get says is taken, from the environment and, where that may be, by option_set. */
static void check_round_trip(unsigned i)
{
	char text[VALUE_BYTES], again[VALUE_BYTES], variable[VALUE_BYTES + 64];
	const char *const one[] = {variable};
	size_t value = load_rlx(word(i));
	int length = option_get(table[i].name, text, sizeof text);

	if (length != (int)strlen(text))
		broken("%s: option_get returns %d for \"%s\"", table[i].name, length, text);
	if (option_get(table[i].name, again, 4) != length || strlen(again) > 3 ||
		strncmp(again, text, 3) != 0)
		broken("%s: option_get with room for 4", table[i].name);
	restore(&initial);
	snprintf(variable, sizeof variable, "HAKMEM_%s=%s", table[i].name, text);
	if (parse(one, 1) != (strcmp(table[i].name, "verbose") == 0 && value ? OPTIONS : 0) ||
		load_rlx(word(i)) != value)
		broken("%s: \"%s\" is not what was said", table[i].name, text);
	restore(&initial);
	errno = 0;
	if (option_set(table[i].name, text) != (table[i].when == ANY ? 0 : -1) ||
		load_rlx(word(i)) != (table[i].when == ANY ? value : initial.value[i]) ||
		(table[i].when == START && errno != EPERM))
		broken("%s: option_set with \"%s\", errno %d", table[i].name, text, errno);
}

static void check_value(unsigned i)
{
	size_t value = load_rlx(word(i));

	if (value < table[i].least || value > table[i].most)
		broken("%s is %zu", table[i].name, value);
	if (table[i].kind == LIMIT && limit_hard_of(value) &&
		limit_soft_of(value) > limit_hard_of(value))
		broken("a soft limit of %zu above the hard one", limit_soft_of(value));
	check_round_trip(i);
}

static unsigned find(const char *name, size_t length)
{
	for (unsigned i = 0; i < OPTIONS; i++)
		if (strlen(table[i].name) == length && !strncasecmp(table[i].name, name, length))
			return i;
	return OPTIONS;
}

/* One variable. Returns the lines it costs without verbose. */
static unsigned check_one(const char *variable)
{
	const char *equals = strchr(variable, '=');
	bool ours = !strncmp(variable, "HAKMEM_", 7) && equals > variable;
	unsigned i = ours ? find(variable + 7, (size_t)(equals - variable) - 7) : OPTIONS, lines;
	bool good = !ours;
	size_t wanted = 0;

	restore(&initial);
	lines = parse(&variable, 1);
	if (load_rlx(&options.x_verbose)) {
		lines -= OPTIONS;
		check_verbose(lines);
	}
	if (i < OPTIONS)
		good = is_number(&table[i]) ? read_number(&table[i], equals + 1, &wanted)
					    : lines == 0;
	if (lines != (good ? 0 : 1) || (!good && !strstr(said, "HAKMEM_")))
		broken("%.100s: %u lines: %.200s", variable, lines, said);
	check_others(&initial, good ? i : OPTIONS, variable);
	if (i == OPTIONS)
		return lines;
	if (good && is_number(&table[i]) && load_rlx(word(i)) != wanted)
		broken("%.100s is taken for %zu", variable, load_rlx(word(i)));
	if (good)
		check_value(i);
	restore(&initial);
	errno = 0;
	if ((option_set(table[i].name, equals + 1) == 0) != (good && table[i].when == ANY) ||
		(!good && errno != EINVAL))
		broken("%.100s: option_set differs, errno %d", variable, errno);
	return lines;
}

/* All together come to what each does by itself, the last good one of a name winning. */
static void check_all(const char *const *variables, size_t count)
{
	struct state wanted = initial;
	unsigned lines = 0, found;

	for (size_t v = 0; v < count; v++) {
		lines += check_one(variables[v]);
		restore(&wanted);
		parse(&variables[v], 1);
		wanted = look();
	}
	restore(&initial);
	found = parse(variables, count);
	if (load_rlx(&options.x_verbose)) {
		found -= OPTIONS;
		check_verbose(found);
	}
	if (found != lines)
		broken("%zu variables: %u lines, not %u", count, found, lines);
	check_others(&wanted, OPTIONS, "all together");
	restore(&initial);
}

/* Each choice of a kind that has few. */
static void begin(void)
{
	initial = look();
	for (unsigned i = 0; i < OPTIONS; i++) {
		bool few =
			table[i].kind == NUMA || table[i].kind == POLICY || table[i].kind == NODES;

		for (size_t value = table[i].least; value <= table[i].most && few; value++) {
			store_rlx(word(i), value);
			check_round_trip(i);
		}
		restore(&initial);
		check_round_trip(i);
		restore(&initial);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static bool begun;
	char *variables[VARIABLES_MAX];
	size_t count = 0;

	if (!begun)
		begin();
	begun = true;
	/* Each in memory of its own length, so that a sanitizer sees what is read behind it. */
	while (bytes > 0 && count < VARIABLES_MAX) {
		size_t length = strnlen((const char *)data, bytes);

		variables[count++] = strndup((const char *)data, length);
		length = length < bytes ? length + 1 : length;
		data += length;
		bytes -= length;
	}
	check_all((const char *const *)variables, count);
	while (count > 0)
		free(variables[--count]);
	return 0;
}
