#!/bin/bash
# policy_sim.sh: records the workloads of bench_policy, unpacks the recorded server, and plays all of
# them in the simulator. Results are in DIRECTORY/policy_sim.txt.
#
#   bench/policy_sim.sh PROGRAMS LIBRARY DIRECTORY [seeds=N]
set -eu -o pipefail
programs=${1:?usage: policy_sim.sh PROGRAMS LIBRARY DIRECTORY [seeds=N]}
library=${2:?usage: policy_sim.sh PROGRAMS LIBRARY DIRECTORY [seeds=N]}
out=${3:?usage: policy_sim.sh PROGRAMS LIBRARY DIRECTORY [seeds=N]}
names=(reuse-2m reuse-24m burst skewed threads sites phases)
traces=()
mkdir -p "$out/traces"

# record WHICH: of the table of bench_policy, under the library.
record() {
	local trace=$out/traces/${names[$1]}.trace
	traces+=("${names[$1]}=$trace")
	[ "$trace" -nt "$programs/bench_policy" ] && return
	env TRACE_FILE="$trace" LD_PRELOAD="$(realpath "$programs/trace_record.so") $(realpath "$library")" \
		"$programs/bench_policy" which="$1" >/dev/null &
}
# They sleep most of the time: two do not disturb each other.
for ((i = 0; i < ${#names[@]}; i++)); do
	record "$i"
	((i % 2 == 0)) || wait
done
wait
xz -dc "$(dirname "$0")/traces/redis.trace.xz" >"$out/traces/redis.trace"
"$programs/policy_sim" "${@:4}" "${traces[@]}" redis="$out/traces/redis.trace" | tee "$out/policy_sim.txt"
