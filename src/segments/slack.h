/*
 * slack.h: what lies between the end of a mid block and the next slice. Nobody is
 * given it, but in huge pages it is resident with the rest; once a region of these
 * was made plain it can go.
 */
#ifndef SEGMENTS_SLACK_H
#define SEGMENTS_SLACK_H

#include "segments/types.h"

/* Whoever claimed the span of a mid block, once that is described. */
void slack_begin(struct page *page);

/* The block's last owner: its span goes to the pool, now or once nobody purges there. */
void mid_free(struct page *page);

/* any: gives back the slack of the region's mid blocks, each once. */
void slack_purge(struct region *r);

#endif
