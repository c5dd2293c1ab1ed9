/*
 * models.h: what the models share.
 */
#ifndef MODEL_MODELS_H
#define MODEL_MODELS_H

#include "explore.h"

#include "segments/types.h"

/* A fresh region of node 0, two granules of it accessible. */
struct region *model_region(unsigned kind);

/* From here on that region has so many granules, and there is no other memory. */
void model_fill(unsigned kind, unsigned granules);

/* Leaves counters out that decide nothing. */
void model_ignore_statistics(void);

#endif
