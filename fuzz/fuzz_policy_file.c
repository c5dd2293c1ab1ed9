/*
 * fuzz_policy_file: a file of HAKMEM_POLICY_FILE, as it is and with the right checksum. It is taken
 * exactly if each byte of it is what a save writes, which is read a second time here; then it is saved
 * again as the same bytes (those of version 1 with two lines more), and what was loaded can be played
 * with. Otherwise it is reported in one
 * line, nothing of it is loaded, and nothing is saved.
 */
#include "inside.h"

#include "base/options.h"
#include "policy/file.h"
#include "policy/promote.h"
#include "policy/share.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 4096, ROUNDS = 8 };

static const char *const classes[CONTEXTS] = {"hot", "warm", "cold"};

struct learned {
	struct share share;
	unsigned version;
	uint8_t stays[ESTIMATE_BINS], huge[ESTIMATE_BINS];
};

static struct learned loaded; /* the last one */

/* The library's own, which is asked for what it would save: as if something had been learned. */
void __wrap_share_sum(unsigned slot, struct share *sum);
void __real_share_sum(unsigned slot, struct share *sum);

void __wrap_share_sum(unsigned slot, struct share *sum)
{
	__real_share_sum(slot, sum);
	sum->record[0].windows = 1;
}

static bool expect(const char **at, const char *wanted)
{
	size_t length = strlen(wanted);
	bool there = !strncmp(*at, wanted, length);

	*at += there ? length : 0;
	return there;
}

/* A space and a number without anything in it that printf would not write. */
static bool number(const char **at, long least, long most, long *n)
{
	bool minus;
	uint64_t value;
	const char *first;

	if (!expect(at, " "))
		return false;
	minus = expect(at, "-");
	first = *at;
	if (!number_at(at, &value) || value > INT32_MAX || (*first == '0' && *at > first + 1) ||
		(minus && !value))
		return false;
	*n = minus ? -(long)value : (long)value;
	return *n >= least && *n <= most;
}

static uint64_t sum_of(const char *text, size_t bytes)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < bytes; i++)
		sum = (sum ^ (uint8_t)text[i]) * 0x100000001b3u;
	return sum;
}

static bool read_class(const char **at, unsigned i, struct share *s)
{
	long n;

	if (!expect(at, classes[i]) || !number(at, 0, ELO_ARMS - 1, &n))
		return false;
	s->choice[i] = (uint8_t)n;
	if (!number(at, 0, SHARE_WEIGHT_MAX, &n))
		return false;
	s->weight[i] = (uint32_t)n;
	for (unsigned arm = 0; arm < ELO_ARMS; arm++) {
		if (!number(at, -4000 * ELO_POINT, 4000 * ELO_POINT, &n))
			return false;
		s->rating[i][arm] = (int32_t)n;
	}
	return expect(at, "\n");
}

static bool read_sizes(const char **at, const char *name, uint8_t *sizes)
{
	long n;

	if (!expect(at, name))
		return false;
	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++) {
		if (!number(at, 0, 2, &n))
			return false;
		sizes[bin] = (uint8_t)n;
	}
	return expect(at, "\n");
}

static unsigned version_of(const char **at)
{
	if (expect(at, "hakmem policy 1\n"))
		return 1;
	return expect(at, "hakmem policy 2\n") ? 2 : 0;
}

static bool is_good(const char *text, size_t bytes, struct learned *l)
{
	char sum[32];
	const char *at = text;

	memset(l, 0, sizeof *l);
	l->version = version_of(&at);
	if (!l->version)
		return false;
	for (unsigned i = 0; i < CONTEXTS; i++)
		if (!read_class(&at, i, &l->share))
			return false;
	if (l->version > 1 &&
		(!read_sizes(&at, "stays", l->stays) || !read_sizes(&at, "huge", l->huge)))
		return false;
	snprintf(sum, sizeof sum, "sum %016lx\n", sum_of(text, (size_t)(at - text)));
	return expect(&at, sum) && (size_t)(at - text) == bytes;
}

/* What was never rated has the choice of the start, whatever the file says. */
static void check_loaded(const struct learned *l)
{
	const struct share *s = &l->share;
	struct share now;

	for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
		if (patience_of(&patience_now, bin) != l->stays[bin] ||
			load_rlx(&promotion_now.x_verdict[bin]) != l->huge[bin])
			broken("size %u is loaded as %u and %u", bin,
				patience_of(&patience_now, bin),
				load_rlx(&promotion_now.x_verdict[bin]));
	__real_share_sum(SHARE_PROCESS, &now);
	for (unsigned i = 0; i < CONTEXTS; i++) {
		unsigned choice = s->weight[i] ? s->choice[i] : learner_first_choice(i);

		if (now.weight[i] != s->weight[i] || now.choice[i] != choice ||
			memcmp(now.rating[i], s->rating[i], sizeof now.rating[i]) != 0)
			broken("class %u is loaded as choice %u of %u", i, now.choice[i],
				now.weight[i]);
	}
}

/* The same of version 2, which knows nothing of sizes. */
static size_t renew(const char *text, size_t bytes, char *renewed)
{
	const char *body = text + sizeof "hakmem policy 1";
	int length = (int)(bytes - sizeof "hakmem policy 1" - (sizeof "sum 0123456789abcdef"));
	size_t used = (size_t)sprintf(renewed, "hakmem policy 2\n%.*s", length, body);

	for (unsigned row = 0; row < 2; row++) {
		used += (size_t)sprintf(renewed + used, row ? "huge" : "stays");
		for (unsigned bin = 0; bin < ESTIMATE_BINS; bin++)
			used += (size_t)sprintf(renewed + used, " 0");
		used += (size_t)sprintf(renewed + used, "\n");
	}
	return used + (size_t)sprintf(renewed + used, "sum %016lx\n", sum_of(renewed, used));
}

static void check_saved(const char *text, size_t bytes, const struct learned *l)
{
	static char renewed[TEXT_BYTES + 256];
	const struct share *s = &l->share;

	saved.at = NULL;
	if (!policy_file_save() || !saved.at)
		broken("what was loaded is not saved, errno %d", errno);
	for (unsigned i = 0; i < CONTEXTS; i++)
		if (!s->weight[i] && s->choice[i] != learner_first_choice(i))
			return;
	if (l->version == 1) {
		bytes = renew(text, bytes, renewed);
		text = renewed;
	}
	if (saved.bytes != bytes || memcmp(saved.at, text, bytes) != 0)
		broken("%zu bytes are loaded, and saved as other %zu", bytes, saved.bytes);
}

/* Matches from there on: any rating is one that can be played with. */
static void check_played(const struct share *s)
{
	for (unsigned i = 0; i < CONTEXTS; i++) {
		int32_t rating[ELO_ARMS];
		struct elo_results results = {{0}, {0}, {0}};
		uint32_t cost[ELO_ARMS];

		memcpy(rating, s->rating[i], sizeof rating);
		for (unsigned arm = 0; arm < ELO_ARMS; arm++)
			cost[arm] = (uint32_t)s->rating[i][ELO_ARMS - 1 - arm] % ELO_COST_ONE;
		for (unsigned round = 0; round < ROUNDS; round++)
			elo_play(rating, cost, &results);
		for (unsigned arm = 0; arm < ELO_ARMS; arm++)
			if (rating[arm] < -8000 * ELO_POINT || rating[arm] > 8000 * ELO_POINT)
				broken("a rating of %d becomes %d", s->rating[i][arm], rating[arm]);
		if (elo_leader(rating, s->choice[i], ELO_POINT) >= ELO_ARMS)
			broken("the leader is none");
	}
}

static void check_file(const char *text, size_t bytes)
{
	struct learned l;
	char file[TEXT_BYTES + 16];
	bool good = is_good(text, bytes, &l);
	size_t head = (size_t)snprintf(file, sizeof file, "@policy\n");
	unsigned lines;

	memcpy(file + head, text, bytes);
	files_set((const uint8_t *)file, head + bytes, NULL);
	said_begin();
	policy_file_load();
	lines = said_end();
	if (lines != !good || (!good && !strstr(said, FILES_ROOT "/policy")))
		broken("a %s file: %u lines: %s", good ? "good" : "bad", lines, said);
	if (good) {
		loaded = l;
		check_saved(text, bytes, &l);
		check_played(&l.share);
	} else {
		saved.at = NULL;
		errno = 0;
		if (policy_file_save() || saved.at || errno != EINVAL)
			broken("a bad file is saved, errno %d", errno);
	}
	check_loaded(&loaded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char text[TEXT_BYTES];
	size_t lines = 0, summed;

	if (bytes > sizeof text - 32 || (bytes > 0 && data[0] == '@') ||
		memmem(data, bytes, "\n@", 2))
		return 0;
	memcpy(options_policy_file, FILES_ROOT "/policy", sizeof FILES_ROOT "/policy");
	store_rlx(&options.x_policy_file, strlen(options_policy_file));
	memcpy(text, data, bytes);
	check_file(text, bytes);
	/* Whatever the sum is, it is made the right one. */
	summed = 1 + CONTEXTS + (bytes > 14 && text[14] == '1' ? 0 : 2);
	for (size_t i = 0; i < bytes; i++)
		if (text[i] == '\n' && ++lines == summed)
			bytes = i + 1;
	bytes += (size_t)snprintf(text + bytes, 32, "sum %016lx\n", sum_of(text, bytes));
	check_file(text, bytes);
	store_rlx(&options.x_policy_file, 0);
	return 0;
}
