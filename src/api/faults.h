/*
 * faults.h: faults in the memory of guarded blocks (segments/guard.h). A handler of
 * SIGSEGV is installed where the option guard_sample asks for such blocks, and
 * only there. All other faults go where they would go without it.
 */
#ifndef API_FAULTS_H
#define API_FAULTS_H

#include "base/base.h"

#include <signal.h>

/* Installs that handler. At start-up. */
void faults_watch(void);
void faults_handle(int sig, siginfo_t *info, void *context);

/*
 * For whoever is called by the kernel before the program's own handler of SIGSEGV:
 * if the fault is in a guarded block's memory, says what happened, and true. Then
 * return: a SIGSEGV that is on its way then ends the process.
 */
bool faults_explain(const void *context);

/*
 * For whoever stands in for sigaction: our handler takes the place of the default
 * action that `act` asks for (true; it is in *copy), and is not seen in what is told.
 */
bool faults_replace(int sig, const struct sigaction *act, struct sigaction *copy);
void faults_hide(struct sigaction *told);

#endif
