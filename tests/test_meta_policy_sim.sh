#!/bin/bash
# test_meta_policy_sim.sh: the simulator of strategies for freed blocks (bench/policy_sim.c), which runs
# the library's own learner: on a made-up trace it finds what is plainly best, learns it, gives the
# same answer twice, and refuses what is no trace.
set -eu -o pipefail
cd "$(dirname "$0")/.."
cc=${CC:-gcc}
sim=build/bench/$cc/policy_sim
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() {
	echo "$*"
	cat "$work/out" 2>/dev/null || true
	exit 1
}
env -u MAKEFLAGS -u MAKELEVEL make -s CC="$cc" "$sim" >"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}

# 8 MiB every 10 ms, freed after 2 ms: thresholds below 8 MiB purge it each time.
awk 'BEGIN {
	print "hakmem-trace 1\nthreads 1\nslots 1\nevents 800\nrun 5000000"
	for (i = 0; i < 400; i++) { print 10000 " a 0 0 8192 1"; print 2000 " f 0 0" }
}' >"$work/steady.trace"
# 8 MiB every 2 s, 16 of them: the helper takes them in between, and keeping only costs memory.
awk 'BEGIN {
	print "hakmem-trace 1\nthreads 1\nslots 16\nevents 640\nrun 42000000"
	for (i = 0; i < 20; i++) {
		for (j = 0; j < 16; j++) print (j ? 100 : 2000000) " a 0 " j " 8192 1"
		for (j = 0; j < 16; j++) print (j ? 100 : 20000) " f 0 " j
	}
}' >"$work/rare.trace"

"$sim" seeds=3 steady="$work/steady.trace" rare="$work/rare.trace" >"$work/out"
"$sim" seeds=3 steady="$work/steady.trace" rare="$work/rare.trace" >"$work/again"
cmp -s "$work/out" "$work/again" || fail "two runs differ"
# NAME BEST COST OFF ELO ANY WORST UCB1 ...
awk '$1 == "steady" && ($2 != "8M" || $5 > 1.05 || $6 > 1.5 || $8 < $5) { exit 1 }' "$work/out" ||
	fail "steady reuse: 8M is best, and learned"
awk '$1 == "rare" && ($2 != "512K" || $5 > 1.1) { exit 1 }' "$work/out" ||
	fail "rare reuse: 512K is best, and learned"
grep -q '^one fixed strategy for all: 8M, sum 2\.' "$work/out" || fail "8M is the best for both"

sed -i '$d' "$work/steady.trace"
for bad in "$work/steady.trace" "$work/log" "$work/missing"; do
	status=0
	"$sim" bad="$bad" >"$work/out" 2>&1 || status=$?
	[ "$status" -eq 2 ] || fail "$bad: status $status, not 2"
done
echo "passed"
