/*
 * rcu.h: grace periods for snapshots that are published by an _Atomic pointer;
 * the only user of liburcu (its bp flavour). liburcu is loaded when a program
 * creates its first thread, so that those without threads do not pay for it.
 *
 * Registering a thread takes a lock, so it happens outside malloc: where the
 * thread begins. A thread that was not seen to begin never enters RCU, nor does
 * one whose heap has gone; such threads must be given something that is never
 * freed. Waiting for a grace period inside malloc or free could wait for the
 * program itself, and is forbidden.
 *
 * Who publishes:  swap the pointer (acq_rel), rcu_wait(), then free the old one.
 * Who reads:      rcu_read_begin(), load the pointer (acquire), rcu_read_end().
 */
#ifndef BASE_RCU_H
#define BASE_RCU_H

#include "base/base.h"

/* Loads liburcu, once, and registers this thread. False where there is none. */
bool rcu_start(void);

/* Has rcu_start succeeded? */
bool rcu_is_ready(void);

/*
 * Registers this thread if rcu_start has succeeded. From rcu_thread_end on, at
 * the thread's end, it stays out.
 */
void rcu_thread_start(void);
void rcu_thread_end(void);

/*
 * True: what is read from here to rcu_read_end() stays. False: this thread is
 * not registered, or is inside liburcu already; there is nothing to end then.
 */
bool rcu_read_begin(void);
void rcu_read_end(void);

/*
 * Waits until all that read now have ended. False: RCU has not been started.
 * Outside malloc, and outside any read section of the caller's.
 */
bool rcu_wait(void);

/* Around fork. */
void rcu_before_fork(void);
void rcu_after_fork_parent(void);
void rcu_after_fork_child(void);

#endif
