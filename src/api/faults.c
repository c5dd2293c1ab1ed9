/*
 * faults.c: see faults.h. The program's handlers of SIGSEGV have one of ours before
 * them already (signals.c), which asks here first. Without that, as for programs
 * that link the archive, a handler installed later is the only one.
 */
#include "api/faults.h"

#include "base/options.h"
#include "base/os.h"
#include "segments/guard.h"

#include <ucontext.h>
#include <unistd.h>

#define PAGE_FAULT 14
#define FAULT_WRITE 2

/* What was in place before ours. const once the program runs. */
static struct sigaction earlier;

static _Atomic(bool) x_watching; /* any: relaxed; false to true at start-up */
static _Atomic(bool) x_default;  /* any: relaxed; the program asked for the default action since */

bool faults_explain(const void *context)
{
	const greg_t *regs = ((const ucontext_t *)context)->uc_mcontext.gregs;
	if (regs[REG_TRAPNO] != PAGE_FAULT ||
		!guard_explain_fault((uintptr_t)regs[REG_CR2], regs[REG_ERR] & FAULT_WRITE,
			(uintptr_t)regs[REG_RIP]))
		return false;
	os_default_action(SIGSEGV);
	/* Meanwhile the page may be another block's, and the instruction would go through. */
	tgkill(getpid(), gettid(), SIGSEGV);
	return true;
}

void faults_handle(int sig, siginfo_t *info, void *context)
{
	if (faults_explain(context))
		return;
	if (load_rlx(&x_default) || earlier.sa_handler == SIG_DFL) {
		os_default_action(sig);
		/* A fault comes again by itself. */
		if (info->si_code <= 0)
			tgkill(getpid(), gettid(), sig);
	} else if (earlier.sa_flags & SA_SIGINFO) {
		earlier.sa_sigaction(sig, info, context);
	} else {
		earlier.sa_handler(sig);
	}
}

static void ours(struct sigaction *act)
{
	*act = (struct sigaction){.sa_sigaction = faults_handle,
		.sa_mask = earlier.sa_mask,
		.sa_flags = (earlier.sa_flags & ~SA_RESETHAND) | SA_SIGINFO | SA_ONSTACK};
}

void faults_watch(void)
{
	struct sigaction act;
	if (!load_rlx(&options.x_guard_sample) || sigaction(SIGSEGV, NULL, &earlier) != 0 ||
		earlier.sa_handler == SIG_IGN)
		return;
	ours(&act);
	store_rlx(&x_watching, sigaction(SIGSEGV, &act, NULL) == 0);
}

bool faults_replace(int sig, const struct sigaction *act, struct sigaction *copy)
{
	if (sig != SIGSEGV || act->sa_handler != SIG_DFL || !load_rlx(&x_watching))
		return false;
	store_rlx(&x_default, true);
	ours(copy);
	return true;
}

void faults_hide(struct sigaction *told)
{
	if (told->sa_sigaction != faults_handle)
		return;
	if (load_rlx(&x_default))
		*told = (struct sigaction){.sa_handler = SIG_DFL};
	else
		*told = earlier;
}
