/*
 * options.c: parses and prints the options of options.def.
 */
#include "base/options.h"

#include "base/check.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PREFIX "HAKMEM_"
#define NAME_BYTES 40

enum kind { BYTES, COUNT, FLAG, NODES, NUMA, LIMIT, POLICY, PATH };
enum when { START, ANY };

struct options options = {
#define OPTION(name, kind, value, least, most, when, text) .x_##name = (value),
#include "base/options.def"
#undef OPTION
};

char options_policy_file[OPTION_PATH_BYTES];

static const struct option {
	const char *name;
	_Atomic(size_t) *x_value;
	size_t least, most;
	enum kind kind;
	enum when when;
} table[] = {
#define OPTION(name, kind, value, least, most, when, text)                                         \
	{#name, &options.x_##name, (least), (most), kind, when},
#include "base/options.def"
#undef OPTION
};

#define OPTIONS (sizeof table / sizeof table[0])

static const struct option *find(const char *name)
{
	for (size_t i = 0; i < OPTIONS; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

/* A decimal number, with a binary suffix where `suffix` is set. */
static bool parse_number(const char *text, bool suffix, size_t *value)
{
	if (!isdigit((unsigned char)*text))
		return false;
	size_t n = 0;
	for (; isdigit((unsigned char)*text); text++) {
		if (__builtin_mul_overflow(n, (size_t)10, &n) ||
			__builtin_add_overflow(n, (size_t)(*text - '0'), &n))
			return false;
	}
	if (suffix && *text) {
		static const char letters[] = "KMGT";
		const char *letter = strchr(letters, toupper((unsigned char)*text));
		if (!letter)
			return false;
		size_t unit = (size_t)1 << (10 * (letter - letters + 1));
		if (__builtin_mul_overflow(n, unit, &n))
			return false;
		text++;
		if (!strcasecmp(text, "iB") || !strcasecmp(text, "B"))
			text = "";
	}
	*value = n;
	return *text == '\0';
}

static bool parse_nodes(const char *text, size_t *value)
{
	static const char synthetic[] = "synthetic:";
	if (!strcmp(text, "system")) {
		*value = 0;
		return true;
	}
	if (strncmp(text, synthetic, sizeof synthetic - 1))
		return false;
	return parse_number(text + sizeof synthetic - 1, false, value) && *value > 0;
}

static const char *const numa_modes[NUMA_MODES] = {
	"preferred", "strict", "interleave", "local", "off"};

static bool parse_numa(const char *text, size_t *value)
{
	for (*value = 0; *value < NUMA_MODES; ++*value)
		if (!strcmp(text, numa_modes[*value]))
			return true;
	return false;
}

static const char no_path[] = "none";

/* The value is the path's length. */
static bool parse_path(const char *text, size_t *value)
{
	*value = strcmp(text, no_path) ? strlen(text) : 0;
	return *value < sizeof options_policy_file;
}

static const char *const policy_modes[POLICY_FIXED] = {"off", "learn", "frozen"};
static const char policy_fixed[] = "fixed:";
static const size_t policy_thresholds[POLICY_ARMS] = {POLICY_THRESHOLDS};

/* A mode by name, or "fixed:" and a threshold; 1.5M is the only one that is no whole number. */
static bool parse_policy(const char *text, size_t *value)
{
	size_t bytes;
	for (*value = 0; *value < POLICY_FIXED; ++*value)
		if (!strcmp(text, policy_modes[*value]))
			return true;
	if (strncmp(text, policy_fixed, sizeof policy_fixed - 1))
		return false;
	text += sizeof policy_fixed - 1;
	if (!parse_number(strcasecmp(text, "1.5M") ? text : "1536K", true, &bytes))
		return false;
	for (size_t arm = 0; arm < POLICY_ARMS; arm++, ++*value)
		if (policy_thresholds[arm] == bytes)
			return true;
	return false;
}

static int print_policy(size_t value, char *text, size_t bytes)
{
	if (value < POLICY_FIXED)
		return snprintf(text, bytes, "%s", policy_modes[value]);
	size_t threshold = policy_thresholds[value - POLICY_FIXED], kib = threshold / KIB;
	return snprintf(text, bytes, "%s%zu%c", policy_fixed, kib % 1024 ? kib : kib / 1024,
		kib % 1024 ? 'K' : 'M');
}

/* One of "soft:4G", "hard:8G", "soft:4G,hard:8G", "none". */
static bool parse_limit(const char *text, size_t *value)
{
	size_t part[2] = {0, 0}; /* soft, hard, in MiB */
	*value = 0;
	if (!strcmp(text, "none"))
		return true;
	for (const char *end; text; text = *end ? end + 1 : NULL) {
		char number[NAME_BYTES];
		size_t bytes, which = strncmp(text, "hard:", 5) ? 0 : 1;
		if (!which && strncmp(text, "soft:", 5))
			return false;
		end = strchrnul(text, ',');
		size_t length = (size_t)(end - text) - 5;
		if (length >= sizeof number || part[which])
			return false;
		memcpy(number, text + 5, length);
		number[length] = '\0';
		if (!parse_number(number, true, &bytes) || bytes < MIB || bytes / MIB > UINT32_MAX)
			return false;
		part[which] = bytes / MIB;
	}
	*value = part[0] << 32 | part[1];
	return !part[0] || !part[1] || part[0] <= part[1];
}

static int print_limit(size_t value, char *text, size_t bytes)
{
	size_t soft = value >> 32, hard = value & UINT32_MAX;
	if (soft && hard)
		return snprintf(text, bytes, "soft:%zuM,hard:%zuM", soft, hard);
	if (soft || hard)
		return snprintf(text, bytes, "%s:%zuM", soft ? "soft" : "hard", soft + hard);
	return snprintf(text, bytes, "none");
}

static bool parse(const struct option *o, const char *text, size_t *value)
{
	bool ok;
	switch (o->kind) {
	case NODES:
		ok = parse_nodes(text, value);
		break;
	case NUMA:
		ok = parse_numa(text, value);
		break;
	case LIMIT:
		ok = parse_limit(text, value);
		break;
	case PATH:
		ok = parse_path(text, value);
		break;
	case POLICY:
		ok = parse_policy(text, value);
		break;
	default:
		ok = parse_number(text, o->kind == BYTES, value);
	}
	return ok && *value >= o->least && *value <= o->most;
}

static void take(const struct option *o, const char *text, size_t value)
{
	store_rlx(o->x_value, value);
	if (o->kind == PATH) {
		memcpy(options_policy_file, text, value);
		options_policy_file[value] = '\0';
	}
}

static void parse_one(const char *name, size_t length, const char *value)
{
	char lower[NAME_BYTES];
	const struct option *o = NULL;
	if (length < sizeof lower) {
		for (size_t i = 0; i < length; i++)
			lower[i] = (char)tolower((unsigned char)name[i]);
		lower[length] = '\0';
		o = find(lower);
	}
	size_t parsed;
	if (!o)
		report("unknown option " PREFIX "%.*s is ignored", (int)length, name);
	else if (!parse(o, value, &parsed))
		report("bad value \"%.100s\" for " PREFIX "%.*s: the default is kept", value,
			(int)length, name);
	else
		take(o, value, parsed);
}

void options_parse(char **environment)
{
	for (char **e = environment; *e; e++) {
		if (strncmp(*e, PREFIX, sizeof PREFIX - 1))
			continue;
		const char *name = *e + sizeof PREFIX - 1;
		const char *equals = strchr(name, '=');
		if (equals)
			parse_one(name, (size_t)(equals - name), equals + 1);
	}
	if (!load_rlx(&options.x_verbose))
		return;
	for (size_t i = 0; i < OPTIONS; i++) {
		char text[OPTION_PATH_BYTES];
		option_get(table[i].name, text, sizeof text);
		report("option %s = %s", table[i].name, text);
	}
}

int option_set(const char *name, const char *value)
{
	const struct option *o = find(name);
	size_t parsed;
	if (!o || !parse(o, value, &parsed)) {
		errno = EINVAL;
		return -1;
	}
	if (o->when == START) {
		errno = EPERM;
		return -1;
	}
	store_rlx(o->x_value, parsed);
	return 0;
}

int option_get(const char *name, char *text, size_t bytes)
{
	const struct option *o = find(name);
	if (!o) {
		errno = EINVAL;
		return -1;
	}
	size_t value = load_rlx(o->x_value);
	if (o->kind == LIMIT)
		return print_limit(value, text, bytes);
	if (o->kind == PATH)
		return snprintf(text, bytes, "%s", value ? options_policy_file : no_path);
	if (o->kind == POLICY)
		return print_policy(value, text, bytes);
	if (o->kind == NODES && value == 0)
		return snprintf(text, bytes, "system");
	if (o->kind == NUMA)
		return snprintf(text, bytes, "%s", numa_modes[value]);
	return snprintf(text, bytes, "%s%zu", o->kind == NODES ? "synthetic:" : "", value);
}
