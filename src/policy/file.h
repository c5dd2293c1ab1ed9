/*
 * file.h: what was learned, kept in a file (HAKMEM_POLICY_FILE) from one run of a
 * program to the next: ratings and choices by class (share.h), how long blocks stay
 * (patience.h) and which have huge pages (promote.h) by size. A file that is not
 * exactly what was saved is reported, ignored, and never written to by this process.
 * Outside malloc only.
 */
#ifndef POLICY_FILE_H
#define POLICY_FILE_H

#include "base/base.h"

/* At start-up: reads the file, if one is named. */
void policy_file_load(void);

/*
 * Replaces the file, in one step. False with errno: EINVAL when there is none to be
 * written, what the system says otherwise. Writes nothing while nothing was learned.
 */
bool policy_file_save(void);

/* For the helper: saves when something was settled since, but seldom. */
void policy_file_tick(void);

/* any: something was settled. */
void policy_file_settled(void);

#endif
