/*
 * memory.c: the memory model. Each location has its stores in modification order;
 * a view says, for each location, the oldest store that a thread may still read.
 * A store with release carries its thread's view, a load with acquire joins that of
 * the store it reads, and a read-modify-write passes on the view of the one it
 * replaces. Of two seq_cst accesses to a location, of which one is a store, the
 * later one in the execution sees the earlier one: so the order of execution is
 * the single total order that C11 asks for. A store is placed anywhere behind what its
 * thread has seen, but never between a read-modify-write and the store it read.
 */
#include "internal.h"

#include <string.h>

/*
 * A thread's identity of a store is the hash of all it has done: two executions that
 * come to the same hash of everything have the same stores, orders and views.
 */
#define NONE UINT16_MAX
#define ADDRESSES 8192 /* a power of two */

struct store {
	uint64_t value, identity; /* which access of which thread made it */
	uint16_t location, position, previous, next;
	bool taken;    /* the next one is a read-modify-write that read this one */
	bool has_view; /* it, or one that it continues, is a release */
	struct view view;
};

struct location {
	uintptr_t address;
	unsigned bytes;
	uint16_t first, last, last_sc;
	uint16_t unread; /* store by a plain access, whose value is still to be read; or NONE */
	uint64_t hash;
};

static struct store stores[STORES];
static struct location locations[LOCATIONS];
static size_t stores_count, locations_count;
/* before_grace: what every grace period began with; sections: what every ended section did. */
static struct view views[MODEL_THREADS], before_grace, sections, trusted;
static uint64_t thread_hash[MODEL_THREADS], rcu_hash, trusted_hash;
static uint16_t last_read[MODEL_THREADS];            /* store */
static uint8_t rcu_reads, rcu_awaits[MODEL_THREADS]; /* bits of threads */

/* What is known of each address over all executions. */
static struct address {
	uintptr_t address;
	uint8_t threads, writers; /* bits */
	uint16_t location;        /* plus 1 */
} addresses[ADDRESSES];

static struct address *address_of(uintptr_t address)
{
	size_t i = mix(0, address) % ADDRESSES;
	while (addresses[i].address && addresses[i].address != address)
		i = (i + 1) % ADDRESSES;
	addresses[i].address = address;
	return &addresses[i];
}

static uint64_t read_memory(uintptr_t address, unsigned bytes)
{
	uint64_t value = 0;
	memcpy(&value, (void *)address, bytes);
	return value;
}

static uint16_t new_store(unsigned location, uint64_t value, uint64_t identity)
{
	if (stores_count == STORES - 1)
		model_fail("more than %d stores: does this end?", STORES - 2);
	struct store *s = &stores[stores_count];
	s->value = value;
	s->identity = identity;
	s->location = (uint16_t)location;
	s->previous = s->next = NONE;
	s->position = 0;
	s->taken = s->has_view = false;
	return (uint16_t)stores_count++;
}

static void rehash(struct location *l)
{
	uint64_t h = mix(l->address, stores[l->last_sc].identity);
	for (uint16_t s = l->first; s != NONE; s = stores[s].next)
		h = mix(h, stores[s].identity);
	l->hash = h;
}

static void begin_location(size_t i)
{
	struct location *l = &locations[i];
	l->unread = NONE;
	l->first = l->last = l->last_sc =
		new_store((unsigned)i, read_memory(l->address, l->bytes), 0);
	for (unsigned t = 0; t < MODEL_THREADS; t++)
		views[t].seen[i] = l->first;
	before_grace.seen[i] = sections.seen[i] = trusted.seen[i] = l->first;
	rehash(l);
}

void memory_begin(void)
{
	stores_count = 0;
	rcu_hash = trusted_hash = rcu_reads = 0;
	for (unsigned t = 0; t < MODEL_THREADS; t++) {
		memset(views[t].clock, 0, sizeof views[t].clock);
		views[t].clock[t] = 1;
		thread_hash[t] = t;
		last_read[t] = NONE;
		rcu_awaits[t] = 0;
	}
	memset(before_grace.clock, 0, sizeof before_grace.clock);
	memset(sections.clock, 0, sizeof sections.clock);
	memset(trusted.clock, 0, sizeof trusted.clock);
	for (size_t i = 0; i < locations_count; i++)
		begin_location(i);
}

void memory_forget(void)
{
	memset(addresses, 0, sizeof addresses);
	locations_count = 0;
}

size_t memory_locations(void)
{
	return locations_count;
}

bool memory_matters(struct op *op, unsigned thread, bool *again)
{
	struct address *a = address_of(op->address);
	bool always = op->kind == OP_SLEEP || op->kind == OP_WAKE;
	if (a->location) {
		op->location = a->location - 1u;
		return true;
	}
	a->threads |= (uint8_t)(1u << thread);
	if (op->kind != OP_LOAD)
		a->writers |= (uint8_t)(1u << thread);
	if (!always && (!a->writers || !(a->threads & (a->threads - 1))))
		return false;
	if (locations_count == LOCATIONS)
		model_fail("more than %d locations are shared", LOCATIONS);
	locations[locations_count].address = op->address;
	locations[locations_count].bytes = op->bytes;
	a->location = (uint16_t)++locations_count;
	*again = true;
	return true;
}

static void join(struct view *into, const struct view *from)
{
	for (unsigned t = 0; t < MODEL_THREADS; t++)
		if (into->clock[t] < from->clock[t])
			into->clock[t] = from->clock[t];
	for (size_t i = 0; i < locations_count; i++)
		if (stores[into->seen[i]].position < stores[from->seen[i]].position)
			into->seen[i] = from->seen[i];
}

static void copy_view(struct view *into, const struct view *from)
{
	memcpy(into->clock, from->clock, sizeof into->clock);
	memcpy(into->seen, from->seen, locations_count * sizeof *into->seen);
}

static uint64_t identity_of(unsigned thread)
{
	return mix(thread_hash[thread], 1);
}

static uint16_t insert_after(uint16_t after, unsigned thread, uint64_t value)
{
	struct location *l = &locations[stores[after].location];
	uint16_t s = new_store(stores[after].location, value, identity_of(thread));
	uint16_t next = stores[after].next;
	stores[s].previous = after;
	stores[s].next = next;
	stores[after].next = s;
	if (next == NONE)
		l->last = s;
	else
		stores[next].previous = s;
	for (uint16_t at = s; at != NONE; at = stores[at].next)
		stores[at].position = (uint16_t)(stores[stores[at].previous].position + 1);
	return s;
}

/* The plain access was announced before it was made. */
static void read_unread(struct location *l)
{
	if (likely(l->unread == NONE))
		return;
	stores[l->unread].value = read_memory(l->address, l->bytes);
	l->unread = NONE;
}

static void change(struct location *l, unsigned thread)
{
	if (l->unread != NONE && l->unread == l->last &&
		views[thread].seen[l - locations] == l->last)
		return;
	read_unread(l);
	l->unread = insert_after(l->last, thread, 0);
	views[thread].seen[l - locations] = l->unread;
	rehash(l);
}

static uint16_t oldest_for(const struct location *l, unsigned thread, unsigned order)
{
	uint16_t seen = views[thread].seen[l - locations];
	if ((order & SEQ_CST) && stores[seen].position < stores[l->last_sc].position)
		return l->last_sc;
	return seen;
}

static size_t add(struct choice *choices, size_t n, unsigned thread, uint16_t store, bool done)
{
	choices[n] = (struct choice){(uint8_t)thread, done, store};
	return n + 1;
}

/* The newest first, so that the first execution is the one that is expected. */
size_t memory_choices(const struct op *op, unsigned thread, struct choice *choices)
{
	struct location *l = &locations[op->location];
	read_unread(l);
	uint16_t oldest = oldest_for(l, thread, op->order), s = l->last;
	uint16_t failing = oldest_for(l, thread, op->order_failed);
	size_t n = 0;
	for (;; s = stores[s].previous) {
		bool can = stores[s].position >= stores[oldest].position;
		if (op->kind == OP_LOAD || (op->kind == OP_CAS && stores[s].value != op->expected))
			n = add(choices, n, thread, s, false);
		else if (can && !stores[s].taken)
			n = add(choices, n, thread, s, true);
		if (stores[s].position <= stores[op->kind == OP_CAS ? failing : oldest].position)
			break;
	}
	return n;
}

static uint64_t apply(const struct op *op, uint64_t old)
{
	uint64_t v = op->value;
	if (op->kind != OP_RMW)
		return v;
	switch ((enum rmw)op->how) {
	case RMW_EXCHANGE:
		break;
	case RMW_ADD:
		v = old + v;
		break;
	case RMW_SUB:
		v = old - v;
		break;
	case RMW_AND:
		v = old & v;
		break;
	case RMW_OR:
		v = old | v;
		break;
	case RMW_XOR:
		v = old ^ v;
		break;
	}
	return op->bytes == 8 ? v : v & (((uint64_t)1 << 8 * op->bytes) - 1);
}

static void read_store(struct op *op, unsigned thread, uint16_t s, unsigned order)
{
	struct view *v = &views[thread];
	op->found = stores[s].value;
	last_read[thread] = s;
	if (stores[v->seen[op->location]].position < stores[s].position)
		v->seen[op->location] = s;
	if ((order & ACQUIRE) && stores[s].has_view)
		join(v, &stores[s].view);
}

static void write_store(struct op *op, unsigned thread, uint16_t after, unsigned order)
{
	struct location *l = &locations[op->location];
	struct view *v = &views[thread];
	uint16_t s = insert_after(after, thread, apply(op, stores[after].value));
	bool continues = op->kind != OP_STORE;
	v->seen[op->location] = s;
	if (continues) {
		stores[after].taken = true;
		/* What came after it can no longer follow it at once. */
		stores[s].taken = false;
	}
	stores[s].has_view = (order & RELEASE) || (continues && stores[after].has_view);
	if (order & RELEASE) {
		copy_view(&stores[s].view, v);
		if (continues && stores[after].has_view)
			join(&stores[s].view, &stores[after].view);
	} else if (stores[s].has_view) {
		copy_view(&stores[s].view, &stores[after].view);
	}
	if ((order & SEQ_CST) && stores[s].position > stores[l->last_sc].position)
		l->last_sc = s;
	uint64_t newest = stores[l->last].value;
	undo_log(l->address, l->bytes);
	memcpy((void *)l->address, &newest, l->bytes);
	rehash(l);
}

void memory_do(struct op *op, const struct choice *c)
{
	unsigned t = c->thread;
	unsigned order = op->kind == OP_CAS && !c->done ? op->order_failed : op->order;
	uint64_t *h = &thread_hash[t];
	*h = mix(mix(*h, op->address + (uint64_t)op->kind * 31 + c->done),
		stores[c->store].identity + (op->kind == OP_STORE));
	op->done = c->done;
	if (op->kind != OP_STORE)
		read_store(op, t, c->store, order);
	if (op->kind != OP_LOAD && c->done)
		write_store(op, t, c->store, order);
	views[t].clock[t]++;
}

uint64_t memory_newest(unsigned location, unsigned thread)
{
	struct location *l = &locations[location];
	read_unread(l);
	views[thread].seen[location] = l->last;
	return stores[l->last].value;
}

void memory_read_other(unsigned thread)
{
	last_read[thread] = NONE;
}

bool memory_yield(unsigned thread, bool now)
{
	uint16_t s = last_read[thread];
	if (s == NONE || stores[s].next == NONE)
		return false;
	if (now) {
		views[thread].seen[stores[s].location] = stores[s].next;
		thread_hash[thread] = mix(thread_hash[thread], stores[stores[s].next].identity);
	}
	return true;
}

void memory_note(unsigned thread, uint64_t what)
{
	thread_hash[thread] = mix(mix(thread_hash[thread], what), 7);
}

void memory_trust(unsigned thread, unsigned order)
{
	if (order & ACQUIRE) {
		join(&views[thread], &trusted);
		thread_hash[thread] = mix(thread_hash[thread], trusted_hash);
	}
	if (order & RELEASE) {
		join(&trusted, &views[thread]);
		trusted_hash = mix(trusted_hash, thread_hash[thread]);
		views[thread].clock[thread]++;
	}
}

static void end_section(unsigned thread)
{
	uint8_t bit = (uint8_t)(1u << thread);
	rcu_reads &= (uint8_t)~bit;
	join(&sections, &views[thread]);
	for (unsigned t = 0; t < MODEL_THREADS; t++) {
		if (rcu_awaits[t] & bit)
			join(&views[t], &views[thread]);
		rcu_awaits[t] &= (uint8_t)~bit;
	}
}

void memory_rcu(unsigned thread, enum rcu what)
{
	rcu_hash = mix(mix(rcu_hash, thread), what);
	thread_hash[thread] = mix(thread_hash[thread], rcu_hash);
	if (what == RCU_LOCK) {
		join(&views[thread], &before_grace);
		rcu_reads |= (uint8_t)(1u << thread);
	} else if (what == RCU_UNLOCK) {
		end_section(thread);
	} else if (what == RCU_BEGIN) {
		join(&before_grace, &views[thread]);
		join(&views[thread], &sections);
		rcu_awaits[thread] = rcu_reads;
	}
	views[thread].clock[thread]++;
}

bool memory_rcu_is_quiet(unsigned thread)
{
	return !rcu_awaits[thread];
}

uint64_t memory_hash(void)
{
	uint64_t h = mix(rcu_hash, trusted_hash);
	for (unsigned t = 1; t < MODEL_THREADS; t++)
		h = mix(h, thread_hash[t]);
	for (size_t i = 0; i < locations_count; i++)
		h += locations[i].hash;
	return h;
}

/* ---- For plain accesses -------------------------------------------------------- */

const uint16_t *memory_clock(unsigned thread)
{
	return views[thread].clock;
}

void memory_changed(uintptr_t address, size_t bytes, unsigned thread)
{
	for (size_t i = 0; i < locations_count; i++)
		if (locations[i].address < address + bytes &&
			address < locations[i].address + locations[i].bytes)
			change(&locations[i], thread);
}
