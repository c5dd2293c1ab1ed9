/*
 * learner.c: see learner.h. Free learners wait on a stack; the links are indices,
 * the head carries a tag.
 *
 *              | get                 | put
 *   get        | CAS, tag            | CAS, tag
 *   put        |                     | CAS, tag
 */
#include "policy/learner.h"

#include "base/os.h"

#define PER_CHUNK 8
#define CHUNKS 512

#define TAG_ONE ((uint64_t)1 << 32)

/* New measurements of what blocks do count one part in so many. */
#define AVERAGE 4

/* Pages that should have faulted, at least, to say anything about how many did. */
#define PAGES_MIN 256

/* Before anything was learned: keep, but for sites that want nothing back soon. */
static const uint8_t first_choice[CONTEXTS] = {ELO_ARMS - 1, ELO_ARMS - 1, 0};

struct patience patience_now;

static struct learner *_Atomic x_chunks[CHUNKS]; /* any: cas acq_rel [Y2]; const once set */
static _Atomic(uint32_t) x_count;                /* any: relaxed; learners handed out */
static _Atomic(uint64_t) x_free;                 /* any: [Y1] */

unsigned learner_first_choice(unsigned context)
{
	return first_choice[context];
}

unsigned learner_count(void)
{
	return load_rlx(&x_count);
}

struct learner *learner_at(unsigned index)
{
	struct learner *chunk = load_acq(&x_chunks[index / PER_CHUNK]); /* [Y2] */
	return chunk ? &chunk[index % PER_CHUNK] : NULL;
}

static struct learner *chunk_get(unsigned index)
{
	struct learner *chunk = load_acq(&x_chunks[index]); /* [Y2] */
	if (chunk)
		return chunk;
	struct learner *made = os_map(PER_CHUNK * sizeof *made);
	if (!made)
		return NULL;
	if (cas_acq_rel(&x_chunks[index], &chunk, made)) /* [Y2] */
		return made;
	os_unmap(made, PER_CHUNK * sizeof *made);
	return chunk;
}

static struct learner *make(void)
{
	uint32_t index = load_rlx(&x_count);
	struct learner *chunk;
	do {
		if (index >= CHUNKS * PER_CHUNK || !(chunk = chunk_get(index / PER_CHUNK)))
			return NULL;
	} while (!cas_rlx(&x_count, &index, index + 1));
	struct learner *l = &chunk[index % PER_CHUNK];
	l->index = index;
	return l;
}

static struct learner *pop(void)
{
	uint64_t word = load_acq(&x_free); /* [Y1] */
	while ((uint32_t)word) {
		struct learner *l = learner_at((uint32_t)word - 1);
		uint64_t rest = (word & ~(TAG_ONE - 1)) + TAG_ONE + load_rlx(&l->x_next_free);
		if (cas_weak_acq_rel(&x_free, &word, rest)) /* [Y1] */
			return l;
	}
	return NULL;
}

struct learner *learner_get(void)
{
	struct learner *l = pop();
	if (!l && !(l = make()))
		return NULL;
	for (unsigned i = 0; i < CONTEXTS; i++) {
		struct contest_record record = l->contest[i].record;
		contest_init(&l->contest[i], first_choice[i],
			(l->index * CONTEXTS + i + 1) * 0x9e3779b9u);
		l->contest[i].record = record;
	}
	l->traffic = l->clean = l->kept_seen = l->kept_clean = 0;
	l->faults = os_thread_faults();
	struct estimate_prices p;
	world_fill(&world_now, &l->world, &p);
	l->kept_lost = l->world.kept_lost = 0;
	l->touched = ESTIMATE_TOUCHED;
	return l;
}

void learner_put(struct learner *l)
{
	uint64_t word = load_rlx(&x_free), mine;
	do {
		store_rlx(&l->x_next_free, (uint32_t)word);
		mine = (word & ~(TAG_ONE - 1)) + TAG_ONE + l->index + 1;
	} while (!cas_weak_rel(&x_free, &word, mine)); /* [Y1] */
}

void learner_claimed(struct learner *l, unsigned node, uint64_t bytes, uint64_t clean, bool huge,
	uint64_t in_use)
{
	if (in_use > l->in_use)
		l->in_use = in_use;
	store_rlx(&l->x_node, (uint8_t)node);
	l->traffic += bytes;
	if (!huge)
		l->clean += clean;
}

bool learner_reused(struct learner *l, unsigned context, const struct estimate_event *e,
	int patience, bool resident, uint32_t now_ms)
{
	/* Memory that was kept, and is gone before age could have told. */
	uint32_t keep = l->world.keep_ms;
	if (patience != PURGED &&
		(!keep || e->interval_ms < (int32_t)patience_ms((unsigned)patience, keep))) {
		l->kept_seen += e->bytes;
		l->kept_clean += resident ? 0 : e->bytes;
	}
	if (!resident)
		l->contest[context].record.gone_found += e->bytes;
	patience_observe(&patience_now, &l->world, e);
	if (likely(!load_rlx(&patience_now.x_shorter)))
		return contest_observe(&l->contest[context], &l->world, e, now_ms);
	struct estimate_world w = l->world;
	w.keep_ms = patience_ms(patience_of(&patience_now, estimate_bin(e->block)), w.keep_ms);
	return contest_observe(&l->contest[context], &w, e, now_ms);
}

static uint32_t average(uint32_t before, uint64_t part, uint64_t all)
{
	uint64_t now = part >= all ? 1024 : part * 1024 / all;
	return (uint32_t)((before * (AVERAGE - 1) + now + AVERAGE / 2) / AVERAGE);
}

/* What really happened since the last look, against what the estimates take for granted. */
static void check_estimate(struct learner *l)
{
	uint64_t faults = os_thread_faults(), pages = l->clean / 4096;
	if (l->kept_seen)
		l->kept_lost = average(l->kept_lost, l->kept_clean, l->kept_seen);
	if (pages >= PAGES_MIN)
		l->touched = average(l->touched, faults - l->faults, pages);
	l->faults = faults;
	l->clean = l->kept_seen = l->kept_clean = 0;
}

bool learner_close(struct learner *l, unsigned context, uint64_t in_use, uint32_t now_ms)
{
	struct contest *c = &l->contest[context];
	struct estimate_prices p;
	uint64_t freezes = c->record.freezes;
	check_estimate(l);
	world_measure(&world_now);
	world_traffic(&world_now, l->traffic, max_size(l->in_use, in_use), now_ms);
	l->in_use = 0;
	l->traffic = 0;
	world_fill(&world_now, &l->world, &p);
	l->world.kept_lost = l->kept_lost;
	p.touched = l->touched;
	patience_prices(&patience_now, &p);
	bool changed = contest_close(c, &p);
	learner_show(l, context);
	return changed || c->record.freezes != freezes;
}

void learner_show(struct learner *l, unsigned context)
{
	struct contest *c = &l->contest[context];
	const uint64_t *all = (const uint64_t *)&c->record;
	for (unsigned which = 0; which < SHARES; which++) {
		const uint64_t *sent = (const uint64_t *)&l->sent[which][context];
		for (unsigned i = 0; i < CONTEST_WORDS; i++)
			store_rlx(&l->x_unmerged[which][context][i], all[i] - sent[i]);
	}
	for (unsigned arm = 0; arm < ELO_ARMS; arm++)
		store_rlx(&l->x_rating[context][arm], c->rating[arm]);
	store_rlx(&l->x_choice[context], c->choice);
	store_rlx(&l->x_phase[context], c->phase);
}
