#!/bin/bash
# What learning adds to a malloc and free of 2 MiB, in instructions: at most 450, which is less than
# 0.5% of writing each of the block's 32768 cache lines with three. Counts do not depend on the load,
# but for windows, which end by the clock.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
most=450
[ "${HAK_TEST_BUILD:-}" = release ] || skip "counted in the release build only"
command -v valgrind >/dev/null || skip "there is no valgrind"

count() { # count POLICY TIMES
	HAKMEM_POLICY=$1 LD_PRELOAD=$library valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		"$files/prog/prog_reuse" "$2" 2>&1 | sed -n 's/.*Collected : //p'
}
per_pair() {
	echo $((($(count "$1" 12000) - $(count "$1" 4000)) / 8000))
}
off=$(per_pair off) learn=$(per_pair learn)
echo "instructions per malloc and free of 2 MiB: $off with policy=off, $learn with learn: $((learn - off)) more, at most $most"
if [ "$off" -le 200 ] || [ "$learn" -le "$off" ]; then fail "these are no counts"; fi
[ $((learn - off)) -le $most ] || fail "learning costs too much"
