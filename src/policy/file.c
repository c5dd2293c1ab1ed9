/*
 * file.c: see file.h. The text has a line for its version, one for each class of
 * sites, two by size (how long blocks stay, and which have huge pages), and a
 * checksum. It is read by printing what was understood of it and comparing:
 * whatever is odd in it makes a difference. Version 1 has nothing by size.
 */
#include "policy/file.h"

#include "base/check.h"
#include "base/os.h"
#include "base/os_numa.h"
#include "policy/promote.h"
#include "policy/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEAD "hakmem policy "
#define VERSION 2
#define TEXT_BYTES 2048
#define SAVE_MS 60000

/* Ratings stay far within these; a file may be of another machine. */
#define RATING_MAX (4000 * ELO_POINT)

static const char *const classes[CONTEXTS] = {"hot", "warm", "cold"};

struct learned {
	struct share share;
	uint8_t stays[ESTIMATE_BINS]; /* numbers of patience.h */
	uint8_t huge[ESTIMATE_BINS];  /* enum promote_verdict */
};

/* The head and the checksum, a class with its choice, weight and ratings, a line by size. */
_Static_assert(64 + CONTEXTS * (32 + ELO_ARMS * sizeof " -2147483648") +
			       2 * (8 + ESTIMATE_BINS * sizeof " 255") <=
		       TEXT_BYTES,
	"whatever is printed fits");

static bool writable;                /* const after start-up */
static _Atomic(bool) x_settled;      /* any: relaxed */
static _Atomic(bool) x_busy;         /* any: cas acquire, release [Y5]; one saves at a time */
static _Atomic(uint32_t) x_saved_ms; /* any: relaxed */

static uint64_t checksum(const char *text, size_t bytes)
{
	uint64_t sum = 0xcbf29ce484222325u;
	for (size_t i = 0; i < bytes; i++)
		sum = (sum ^ (uint8_t)text[i]) * 0x100000001b3u;
	return sum;
}

static size_t print_sizes(char *text, size_t used, const char *name, const uint8_t *numbers)
{
	used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s", name);
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
		used += (size_t)snprintf(text + used, TEXT_BYTES - used, " %u", numbers[bin]);
	return used + (size_t)snprintf(text + used, TEXT_BYTES - used, "\n");
}

static size_t print(const struct learned *l, unsigned version, char *text)
{
	const struct share *s = &l->share;
	size_t used = (size_t)snprintf(text, TEXT_BYTES, HEAD "%u\n", version);
	for (unsigned i = 0; i < CONTEXTS; i++) {
		used += (size_t)snprintf(text + used, TEXT_BYTES - used, "%s %u %u", classes[i],
			s->choice[i], s->weight[i]);
		for (unsigned arm = 0; arm < ELO_ARMS; arm++)
			used += (size_t)snprintf(
				text + used, TEXT_BYTES - used, " %d", s->rating[i][arm]);
		used += (size_t)snprintf(text + used, TEXT_BYTES - used, "\n");
	}
	if (version > 1) {
		used = print_sizes(text, used, "stays", l->stays);
		used = print_sizes(text, used, "huge", l->huge);
	}
	return used + (size_t)snprintf(
			      text + used, TEXT_BYTES - used, "sum %016lx\n", checksum(text, used));
}

/* The next number of the text, 0 where there is none; *text moves on. */
static long number(const char **text, long least, long most)
{
	char *end;
	errno = 0;
	long n = strtol(*text, &end, 10);
	*text = end;
	return n < least || n > most ? 0 : n;
}

static void parse_sizes(const char **text, uint8_t *numbers, long most)
{
	*text += strcspn(*text, " ");
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
		numbers[bin] = (uint8_t)number(text, 0, most);
}

/* False: not in every byte what print would make of it. */
static bool parse(const char *text, struct learned *l)
{
	char again[TEXT_BYTES];
	const char *at = text + sizeof HEAD - 1;
	struct share *s = &l->share;
	memset(l, 0, sizeof *l);
	if (strncmp(text, HEAD, sizeof HEAD - 1))
		return false;
	unsigned version = (unsigned)number(&at, 1, VERSION);
	if (!version)
		return false;
	for (unsigned i = 0; i < CONTEXTS; i++) {
		at += strcspn(at, " ");
		s->choice[i] = (uint8_t)number(&at, 0, ELO_ARMS - 1);
		s->weight[i] = (uint32_t)number(&at, 0, SHARE_WEIGHT_MAX);
		for (unsigned arm = 0; arm < ELO_ARMS; arm++)
			s->rating[i][arm] = (int32_t)number(&at, -RATING_MAX, RATING_MAX);
	}
	if (version > 1) {
		parse_sizes(&at, l->stays, PATIENCES - 1);
		parse_sizes(&at, l->huge, PROMOTE_SMALL);
	}
	print(l, version, again);
	return !strcmp(text, again);
}

/* The program may go elsewhere. */
static bool make_absolute(void)
{
	char *path = options_policy_file, name[OPTION_PATH_BYTES];
	if (path[0] == '/')
		return true;
	size_t length = strlen(path);
	memcpy(name, path, length + 1);
	if (!getcwd(path, OPTION_PATH_BYTES - length - 1))
		return false;
	size_t at = strlen(path);
	path[at] = '/';
	memcpy(path + at + 1, name, length + 1);
	return true;
}

static void load(const struct learned *l)
{
	share_load(&l->share);
	patience_load(&patience_now, l->stays, (uint32_t)load_rlx(&options.x_purge_delay_ms));
	promote_load(&promotion_now, l->huge);
}

void policy_file_load(void)
{
	char text[TEXT_BYTES];
	struct learned l;
	int saved = errno;
	writable = false;
	if (!load_rlx(&options.x_policy_file))
		return;
	if (!make_absolute())
		report("HAKMEM_POLICY_FILE: the current directory has no name: no file is used");
	else if ((errno = 0, os_read_file(options_policy_file, text, sizeof text - 1))) {
		writable = parse(text, &l);
		if (writable)
			load(&l);
		else
			report("HAKMEM_POLICY_FILE: %.300s is damaged or not a policy file: it is "
			       "ignored and left as it is",
				options_policy_file);
	} else if (errno == ENOENT) {
		writable = true;
	} else {
		report("HAKMEM_POLICY_FILE: %.300s cannot be read (%s): it is ignored and left as "
		       "it is",
			options_policy_file,
			errno ? strerrordesc_np(errno) : "too long or no text");
	}
	errno = saved;
}

static bool save(void)
{
	char text[TEXT_BYTES], temporary[OPTION_PATH_BYTES + 32];
	struct learned l;
	uint64_t windows = 0;
	share_sum(SHARE_PROCESS, &l.share);
	for (unsigned i = 0; i < CONTEXTS; i++)
		windows += l.share.record[i].windows;
	if (!windows)
		return true;
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++) {
		l.stays[bin] = (uint8_t)patience_of(&patience_now, bin);
		l.huge[bin] = load_rlx(&promotion_now.x_verdict[bin]);
	}
	snprintf(temporary, sizeof temporary, "%s.%d.tmp", options_policy_file, (int)getpid());
	return os_replace_file(options_policy_file, temporary, text, print(&l, VERSION, text));
}

bool policy_file_save(void)
{
	bool idle = false;
	if (!writable) {
		errno = EINVAL;
		return false;
	}
	if (!cas_acq(&x_busy, &idle, true)) { /* [Y5] */
		errno = EBUSY;
		return false;
	}
	bool saved = save();
	store_rel(&x_busy, false); /* [Y5] */
	return saved;
}

void policy_file_settled(void)
{
	if (unlikely(writable))
		store_rlx(&x_settled, true);
}

void policy_file_tick(void)
{
	uint32_t now = os_now_ms();
	if (likely(!load_rlx(&x_settled)) ||
		(load_rlx(&x_saved_ms) && now - load_rlx(&x_saved_ms) < SAVE_MS))
		return;
	store_rlx(&x_settled, false);
	store_rlx(&x_saved_ms, now ? now : 1);
	policy_file_save();
}
