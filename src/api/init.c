/*
 * init.c: start-up and exit. Everything works before this runs (the zeroed
 * state is a valid one); it reads the environment, unless the program runs
 * with more rights than its caller.
 */
#include "api/faults.h"
#include "api/stats.h"
#include "base/options.h"
#include "base/rcu.h"
#include "numa/place.h"
#include "policy/file.h"
#include "policy/limit.h"
#include "segments/region.h"
#include "segments/verify.h"
#include "tls/first_class.h"
#include "tls/helper.h"
#include "tls/thread.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <unistd.h>

static void forked(void)
{
	lease_forked();
	limit_forked();
	verify_forked();
	rcu_after_fork_child();
	helper_forked();
}

__attribute__((constructor)) static void start(int argc, char **argv, char **environment)
{
	(void)argc;
	(void)argv;
	if (environment && !getauxval(AT_SECURE))
		options_parse(environment);
	faults_watch();
	policy_file_load();
	topology_init();
	if (place_matters())
		region_bind_all();
	thread_init();
	pthread_atfork(rcu_before_fork, rcu_after_fork_parent, forked);
}

__attribute__((destructor)) static void finish(void)
{
	if (load_rlx(&options.x_policy) == POLICY_LEARN && load_rlx(&options.x_policy_file))
		policy_file_save();
	if (load_rlx(&options.x_stats))
		stats_print(STDERR_FILENO);
}
