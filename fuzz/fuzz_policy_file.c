/*
 * fuzz_policy_file: a file of HAKMEM_POLICY_FILE, as it is and with the right checksum. It is taken
 * exactly if each byte of it is what a save writes, which is read a second time here; then it is saved
 * again as the same bytes, and what was loaded can be played with. Otherwise it is reported in one
 * line, nothing of it is loaded, and nothing is saved.
 */
#include "inside.h"

#include "base/options.h"
#include "policy/file.h"
#include "policy/share.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_BYTES = 4096, ROUNDS = 8 };

static const char *const classes[CONTEXTS] = {"hot", "warm", "cold"};

static struct share loaded; /* the last one */

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

static bool is_good(const char *text, size_t bytes, struct share *s)
{
	char sum[32];
	const char *at = text;

	memset(s, 0, sizeof *s);
	if (!expect(&at, "hakmem policy 1\n"))
		return false;
	for (unsigned i = 0; i < CONTEXTS; i++)
		if (!read_class(&at, i, s))
			return false;
	snprintf(sum, sizeof sum, "sum %016lx\n", sum_of(text, (size_t)(at - text)));
	return expect(&at, sum) && (size_t)(at - text) == bytes;
}

/* What was never rated has the choice of the start, whatever the file says. */
static void check_loaded(const struct share *s)
{
	struct share now;

	__real_share_sum(SHARE_PROCESS, &now);
	for (unsigned i = 0; i < CONTEXTS; i++) {
		unsigned choice = s->weight[i] ? s->choice[i] : learner_first_choice(i);

		if (now.weight[i] != s->weight[i] || now.choice[i] != choice ||
			memcmp(now.rating[i], s->rating[i], sizeof now.rating[i]) != 0)
			broken("class %u is loaded as choice %u of %u", i, now.choice[i],
				now.weight[i]);
	}
}

static void check_saved(const char *text, size_t bytes, const struct share *s)
{
	saved.at = NULL;
	if (!policy_file_save() || !saved.at)
		broken("what was loaded is not saved, errno %d", errno);
	for (unsigned i = 0; i < CONTEXTS; i++)
		if (!s->weight[i] && s->choice[i] != learner_first_choice(i))
			return;
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
	struct share s;
	char file[TEXT_BYTES + 16];
	bool good = is_good(text, bytes, &s);
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
		loaded = s;
		check_saved(text, bytes, &s);
		check_played(&s);
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
	size_t lines = 0;

	if (bytes > sizeof text - 32 || (bytes > 0 && data[0] == '@') ||
		memmem(data, bytes, "\n@", 2))
		return 0;
	memcpy(options_policy_file, FILES_ROOT "/policy", sizeof FILES_ROOT "/policy");
	store_rlx(&options.x_policy_file, strlen(options_policy_file));
	memcpy(text, data, bytes);
	check_file(text, bytes);
	/* Whatever the sum is, it is made the right one. */
	for (size_t i = 0; i < bytes; i++)
		if (text[i] == '\n' && ++lines == 1 + CONTEXTS)
			bytes = i + 1;
	bytes += (size_t)snprintf(text + bytes, 32, "sum %016lx\n", sum_of(text, bytes));
	check_file(text, bytes);
	store_rlx(&options.x_policy_file, 0);
	return 0;
}
