/*
 * choice.c: see choice.h.
 */
#include "policy/choice.h"

#include "policy/estimate.h"

enum site_class choice_of(unsigned site, size_t bytes)
{
	enum site_class class = site_free(site);
	size_t policy = load_rlx(&options.x_policy);
	if (likely(bytes < CHOICE_BYTES) || policy < POLICY_FIXED)
		return class;
	return bytes <= estimate_thresholds[policy - POLICY_FIXED] ? SITE_HOT : SITE_COLD;
}
