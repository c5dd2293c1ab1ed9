/*
 * inbox.c: [F1]. Two threads push, one takes: no block is lost, and none comes before
 * what its sender wrote.
 */
#include "models.h"

#include "segments/inbox.h"

#define PARCELS 4

struct parcel {
	struct block link;
	unsigned text, taken;
};

static struct inbox inbox;
static struct parcel parcels[PARCELS];

static void push(unsigned from, unsigned to)
{
	for (unsigned i = from; i <= to; i++) {
		parcels[i].text = i + 1;
		parcels[i].link.next = i < to ? &parcels[i + 1].link : NULL;
	}
	inbox_push(&inbox, &parcels[from].link, &parcels[to].link);
}

static void push_two(void)
{
	push(0, 1);
}

static void push_third(void)
{
	push(2, 2);
}

static void push_fourth(void)
{
	push(3, 3);
}

static void collect(void)
{
	struct block *list = inbox_take(&inbox);
	while (list) {
		struct parcel *p = (struct parcel *)list;
		list = list->next;
		MODEL_CHECK(p->text == (unsigned)(p - parcels) + 1, "a parcel came empty");
		p->taken++;
	}
}

static void collect_twice(void)
{
	collect();
	collect();
}

static void check(void)
{
	collect();
	for (unsigned i = 0; i < PARCELS; i++)
		MODEL_CHECK(parcels[i].taken == (parcels[i].text != 0), "parcel %u came %u times",
			i, parcels[i].taken);
}

const struct scenario inbox_scenarios[] = {
	{.model = "inbox",
		.proves = "F1",
		.name = "two send, one takes",
		.thread = {push_two, push_third, collect_twice},
		.check = check},
	{.model = "inbox",
		.name = "two send, two take",
		.thread = {push_two, push_third, collect, collect},
		.check = check},
	{.model = "inbox",
		.name = "three send, one takes",
		.thread = {push_two, push_third, push_fourth, collect_twice},
		.check = check},
	{.model = NULL},
};
