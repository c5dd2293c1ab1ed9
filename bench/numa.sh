#!/bin/sh
# numa.sh: runs bench_numa under every malloc, here or in a guest, and prints a line for each run:
# "numa-result MALLOC TEST PERCENT NANOSECONDS".
#
#   numa.sh BENCH_NUMA NUMACTL ROUNDS NAME=LIBRARY...    LIBRARY empty: the C library's malloc
set -eu
bench=$1 numactl=$2 rounds=$3
shift 3
last=$(sed 's/.*[-,]//' /sys/devices/system/node/has_cpu)

# run NAME LIBRARY TEST NUMBER WORD...: the words put the command under a policy.
run() {
	name=$1 library=$2 test=$3 number=$4
	shift 4
	# shellcheck disable=SC2046
	set -- $("$@" env LD_PRELOAD="$library" "$bench" test="$number" rounds="$rounds")
	echo "numa-result $name $test $2 $4"
}

for entry in "$@"; do
	name=${entry%%=*} library=${entry#*=}
	run "$name" "$library" local 0 env
	run "$name" "$library" crossfree 1 env
	run "$name" "$library" producer 2 env
	run "$name" "$library" migrate 3 env
	run "$name" "$library" interleave 4 "$numactl" --interleave=all
	run "$name" "$library" membind 5 "$numactl" --membind="$last"
done
