#!/bin/bash
# check-redis.sh: redis-server with I/O threads under the library: every data type of
# redis-benchmark, snapshots and log rewrites that fork under load, and a restart that must bring
# back every key that was written.
# timeout: 180
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

# redis-server is a link to a program of redis-tools.
fetch_package redis-server redis-server redis-tools
server=$program
fetch_package redis-cli redis-tools
cli=$program
benchmark=${cli%-cli}-benchmark
free_port

redis() {
	plain "$cli" -h 127.0.0.1 -p "$port" "$@"
}

begin() { # begin NAME: starts the server on the directory's data
	start_server "$1" "$server" --port "$port" --bind 127.0.0.1 --dir "$work" \
		--io-threads 2 --io-threads-do-reads yes --appendonly yes --appendfsync everysec \
		--save '' --daemonize no --lazyfree-lazy-user-del yes --maxclients 500 \
		--auto-aof-rewrite-percentage 0 --activerehashing yes
	wait_port "$port" "$server_pid"
	assert_preloaded "$server_pid"
	until [ "$(redis ping 2>&1)" = PONG ]; do
		kill -0 "$server_pid" || fail "the server ended while loading"
		sleep 0.1
	done
}

# The file that says which key has which value: strings from 1 byte to 300 KB, and one of every
# container, in the form that redis-cli --pipe and plain commands take.
write_known_keys() {
	awk 'BEGIN {
		for (i = 0; i < 20000; i++) {
			value = sprintf("%d:", i)
			for (n = i % 11; n > 0; n--) value = value value
			print "SET known:" i " " value
			if (i % 10 == 0) print "RPUSH known:list:" i % 50 " " value
			if (i % 10 == 1) print "SADD known:set " i
			if (i % 10 == 2) print "HSET known:hash:" i % 70 " f" i " " value
			if (i % 10 == 3) print "ZADD known:zset " i " m" i
			if (i % 10 == 4) print "XADD known:stream " i + 1 "-1 f " i
			if (i % 10 == 5) print "APPEND known:long " value
		}
	}' >"$work/commands"
	# A failed command prints an error line; XADD an id; the rest OK or a number.
	redis <"$work/commands" >"$work/answers"
	! grep -qi err "$work/answers" || fail "$(grep -i -m1 err "$work/answers")"
	assert_same "answers" "$(wc -l <"$work/commands")" "$(wc -l <"$work/answers")"
}

# One checksum over all known keys: redis sums type, value and elements of each up.
known_digest() {
	redis --scan --pattern 'known:*' | sort >"$work/names"
	[ "$(wc -l <"$work/names")" -gt 20000 ] || fail "only $(wc -l <"$work/names") known keys"
	{
		sed 's/^/TYPE /' "$work/names"
		grep -E '^known:[0-9]+$' "$work/names" | sed 's/^/GET /'
		echo GET known:long
		grep '^known:list' "$work/names" | sed 's/.*/LRANGE & 0 -1/'
		echo "SORT known:set"
		grep '^known:hash' "$work/names" | sed 's/.*/HMGET & f2 f12 f702 f1402 f19992/'
		grep '^known:hash' "$work/names" | sed 's/^/HLEN /'
		echo "ZRANGE known:zset 0 -1 WITHSCORES"
		echo "XRANGE known:stream - +"
	} | redis | sha256sum
}

load() { # load CLIENTS REQUESTS [OPTION...]
	local clients=$1 requests=$2
	shift 2
	plain "$benchmark" -h 127.0.0.1 -p "$port" -c "$clients" -n "$requests" -r 5000 -q "$@" \
		>>"$work/benchmark.out" 2>>"$work/benchmark.err" || fail "redis-benchmark failed"
}

wait_for() { # wait_for FIELD VALUE: of INFO persistence
	local until=$((SECONDS + 30))
	until redis info persistence | tr -d '\r' | grep -qx "$1:$2"; do
		[ $SECONDS -lt $until ] || fail "$1 does not become $2"
		sleep 0.1
	done
}

begin first
first=$server_pid
write_known_keys
before=$(known_digest)

load 20 20000 -P 16
load 10 1000 -d 20000 -t set,get,lpush,lpop,hset
# Forks while clients write: a snapshot, then the log written anew.
load 20 60000 -P 8 -t set,lpush,sadd,hset,zadd &
load_pid=$!
sleep 0.2
redis bgsave >/dev/null
wait_for rdb_bgsave_in_progress 0
wait_for rdb_last_bgsave_status ok
redis bgrewriteaof >/dev/null
wait_for aof_rewrite_in_progress 0
wait_for aof_last_bgrewrite_status ok
wait "$load_pid" || fail "the load beside the forks failed"
[ "$(redis info persistence | tr -d '\r' | sed -n 's/^rdb_saves://p')" -ge 1 ] ||
	fail "no snapshot was saved"

assert_same "known keys under load" "$before" "$(known_digest)"
memory=$(redis info memory | tr -d '\r' | sed -n 's/^used_memory_human://p')
redis memory purge >/dev/null || true
size=$(redis dbsize)
redis shutdown save 2>/dev/null || true
wait_end "$first"
assert_same "exit status after SHUTDOWN" 0 "$end_status"

begin second
assert_same "known keys after the restart" "$before" "$(known_digest)"
assert_same "number of keys after the restart" "$size" "$(redis dbsize)"
redis flushall async >/dev/null
assert_same "keys after FLUSHALL" 0 "$(redis dbsize)"
stop_server "$server_pid" TERM

assert_silent "$work"/*.err "$work"/*.out
say "passed: $size keys ($memory), $(grep -c 'requests per second' "$work/benchmark.out") loads"
