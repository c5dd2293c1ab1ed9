#!/bin/bash
# HAKMEM_* under the preload: a bad value and an unknown name are one line each, in every process;
# HAKMEM_STATS=1 prints a table at exit.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
one_line() { # one_line VARIABLE=VALUE NAME
	local said
	said=$(env "$1" LD_PRELOAD="$library" /bin/true 2>&1) || fail "$1: exit status $?"
	[ "$(wc -l <<<"$said")" = 1 ] || fail "$1: not one line but: $said"
	[[ $said == "hakmem: "*"$2"* ]] || fail "$1: $said"
}
expect "no option" "" env LD_PRELOAD="$library" /bin/true
expect "a good value" "" env HAKMEM_PURGE_BYTES=4M LD_PRELOAD="$library" /bin/true
one_line HAKMEM_PURGE_BYTES=nonsense HAKMEM_PURGE_BYTES
one_line HAKMEM_PURGE_BYTES= HAKMEM_PURGE_BYTES
one_line HAKMEM_NODES=0 HAKMEM_NODES
one_line HAKMEM_NO_SUCH=1 HAKMEM_NO_SUCH
one_line $'HAKMEM_PURGE_BYTES=two\nlines' HAKMEM_PURGE_BYTES
said=$(HAKMEM_STATS=1 LD_PRELOAD=$library /bin/true 2>&1) || fail "HAKMEM_STATS=1: exit status $?"
[ "$(wc -l <<<"$said")" -gt 3 ] || fail "HAKMEM_STATS=1 prints: $said"
for n in 1 2 7 64; do
	expect "synthetic:$n" ok env HAKMEM_NODES=synthetic:$n LD_PRELOAD="$library" "$work" "$name"
done
