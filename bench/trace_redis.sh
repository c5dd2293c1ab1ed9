#!/bin/bash
# trace_redis.sh: records what Debian's redis-server does with big blocks, under the load of
# trace_redis.py, and packs it. The committed trace was made by:
#
#   make trace-redis        (bench/trace_redis.sh build/bench/gcc/trace_record.so bench/traces/redis.trace.xz)
#
# shellcheck source=tests/programs/lib.sh
HAK_LIB=${1:?usage: trace_redis.sh RECORDER OUTPUT}
source "$(dirname "$0")/../tests/programs/lib.sh"
output=${2:?usage: trace_redis.sh RECORDER OUTPUT}
seconds=6
seed=1

fetch_package redis-server redis-server redis-tools
free_port
preload_env=(TRACE_FILE="$work/redis.trace")
start_server redis "$program" --port "$port" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no
wait_port "$port" "$server_pid"
/usr/bin/python3 "$top/bench/trace_redis.py" "$port" "$seconds" "$seed" 2>"$work/load.err" ||
	fail "the load failed"
stop_server "$server_pid" TERM
xz -9e -c "$work/redis.trace" >"$output.new"
mv "$output.new" "$output"
say "$(sed -n 's/^events //p' "$work/redis.trace") events, $(stat -c %s "$output") bytes in $output"
