#!/bin/bash
# soak.sh SECONDS DIR: whatever there is, over and over with new seeds, for SECONDS: the stress
# programs of all builds in rotation (with fork storms among them), the fuzz targets, real servers
# under load; and all the while one long-lived program whose address space, mappings and resident
# memory must be flat once it has warmed up. Logs lie in DIR, and so does `summary`, what was done.
set -u
cd "$(dirname "$0")/.."
seconds=$1 dir=$2
[[ $seconds =~ ^[1-9][0-9]*$ ]] || { echo "soak: SOAK_S is a number of seconds, not '$seconds'" >&2; exit 2; }
mkdir -p "$dir"
rm -f "$dir"/*
slice=10         # seconds of each program in each turn
server_every=600 # seconds from the end of one server's run to the next
server_due=0     # the first comes at once: a soak of more than five minutes has one
[ "$seconds" -ge 1000 ] || slice=2
deadline=$((SECONDS + seconds))
failures=0 stress_runs=0 fuzz_runs=0 server_runs=0 executions=0

left() { [ $SECONDS -lt $((deadline - slice)) ]; }

# attempt NAME COMMAND...: its log stays when it fails.
attempt() {
	local log=$dir/$1.log
	shift
	"$@" >"$log" 2>&1 </dev/null && return
	failures=$((failures + 1))
	cp "$log" "$dir/failed-$failures.log"
	echo "FAIL  $* (seed in $dir/failed-$failures.log)"
	tail -n 20 "$log" | sed 's/^/      /'
}

LD_PRELOAD=$PWD/build/libhakmem.so HAKMEM_STATS=1 build/gcc-tests/prog/prog_soak "$seconds" \
	>"$dir/leak.table" 2>"$dir/leak.log" &
leak=$!
trap 'kill $leak 2>/dev/null' EXIT

mapfile -t stress < <(ls -d build/*-*/stress/stress_* | grep -v '\.' | shuf)
mapfile -t fuzz < <(ls -d build/clang-fuzz*/fuzz/fuzz_* | grep -v '\.' | shuf)
mapfile -t servers < <(ls tests/programs/check-redis.sh tests/programs/all-{memcached,nginx,kv}.sh)
[ ${#stress[@]} -gt 0 ] && [ ${#fuzz[@]} -gt 0 ] || { echo "soak: nothing is built: use make soak" >&2; exit 2; }

for ((turn = 0; ; turn++)); do
	left || break
	attempt stress stress/run --seconds "$slice" --seed $RANDOM$RANDOM "${stress[turn % ${#stress[@]}]}"
	stress_runs=$((stress_runs + 1))
	if [ $((turn % 4)) -eq 0 ] && left; then
		program=${fuzz[turn / 4 % ${#fuzz[@]}]}
		attempt fuzz fuzz/run --seconds $((slice * 2)) --seed $RANDOM --found "$dir/fuzz" "$program"
		more=$(awk '/executions/ { print $3 }' "$dir/fuzz.log")
		executions=$((executions + ${more:-0}))
		fuzz_runs=$((fuzz_runs + 1))
	fi
	if [ $SECONDS -ge $server_due ] && [ $SECONDS -lt $((deadline - 300)) ]; then
		attempt server tests/run -o "$dir/servers" --group programs --timeout 280 \
			"${servers[server_runs % ${#servers[@]}]}"
		server_runs=$((server_runs + 1))
		server_due=$((SECONDS + server_every))
	fi
done

wait $leak
leak_status=$?
trap - EXIT
cat "$dir/leak.table"
[ $leak_status -eq 0 ] || { failures=$((failures + 1)); tail -n 5 "$dir/leak.log"; }
{
	echo "soaked for $seconds s: $(uname -sr), $(nproc) cores, $(git log -1 --format=%h 2>/dev/null || echo 'no git')"
	echo "runs of stress programs: $stress_runs, of ${#stress[@]}"
	echo "executions of fuzz targets: $executions, in $fuzz_runs runs"
	echo "runs of servers under load: $server_runs"
	tail -n 1 "$dir/leak.table"
	echo "failures: $failures"
} | tee "$dir/summary"
[ $failures -eq 0 ]
