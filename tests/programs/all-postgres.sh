#!/bin/bash
# all-postgres.sh: PostgreSQL as an unprivileged user under the library: pgbench's transactions
# must add up, big sorts, hashes and JSON give what they give without, and it stops cleanly.
# timeout: 300
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

fetch_package postgres postgresql-15
bin=$(dirname "$(realpath "$program")")
free_port

# A tree below a private directory: what the other user needs is copied to where it can be reached.
move_out() {
	local lib=usr/lib/x86_64-linux-gnu
	rm -rf "$work"
	work=$(mktemp -d "/tmp/hakmem-$test_name.XXXXXX")
	cp "$HAK_LIB" "$work/libhakmem.so"
	HAK_LIB=$work/libhakmem.so
	if [[ $bin == "$root"/* ]]; then
		mkdir -p "$work/root/$lib" "$work/root/usr/share"
		cp -a "$root/usr/lib/postgresql" "$work/root/usr/lib/"
		cp -a "$root/usr/share/postgresql" "$work/root/usr/share/"
		find "$root/$lib" -maxdepth 1 -name 'lib*.so*' ! -name 'libLLVM*' -exec cp -at "$work/root/$lib" {} +
		bin=$work/root/$postgres_bin
		library_path=$work/root/$lib
	fi
	chown 65534:65534 "$work"
}

as=()
if [ "$(id -u)" -eq 0 ]; then
	# The server refuses to run as root.
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chown 65534:65534 "$work"
	"${as[@]}" test -w "$work" || move_out
fi
data=$work/data
cd "$work" || exit 1
export PGHOST=127.0.0.1 PGPORT=$port PGUSER=bench PGDATABASE=postgres HOME=$work

client() {
	plain "${as[@]}" "$bin/$1" "${@:2}"
}

begin() { # begin NAME: starts the server; env stands behind the change of user
	set_preload_words
	local words=("${preload_words[@]}")
	[ "${2-}" != plain ] || words=(env LD_LIBRARY_PATH="$library_path")
	"${as[@]}" "${words[@]}" "$bin/postgres" -D "$data" -p "$port" \
		-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
		-c shared_buffers=32MB -c work_mem=8MB -c max_parallel_workers_per_gather=2 \
		-c logging_collector=off -c jit=off >"$work/$1.out" 2>"$work/$1.err" </dev/null &
	server_pid=$!
	server_pids+=("$server_pid")
	wait_port "$port" "$server_pid" 60
	until client pg_isready -q; do
		kill -0 "$server_pid" || fail "the server ended while starting"
		sleep 0.1
	done
}

value() {
	client psql -qAtX -v ON_ERROR_STOP=1 -c "$1"
}

queries() {
	value "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
		SELECT count(*), sum(aid), max(filler) FROM pgbench_accounts WHERE abs(aid) % 7 < 5"
	value "SELECT md5(string_agg(t, ',')) FROM (SELECT md5(i::text) t FROM generate_series(1, 200000) i ORDER BY 1) s"
	value "SELECT md5(jsonb_object_agg(i, jsonb_build_object('n', i, 'l', array[i, i * 2]))::text) FROM generate_series(1, 20000) i"
	value "SELECT count(*), sum(a.aid) FROM pgbench_accounts a JOIN pgbench_accounts b ON a.aid = b.aid + 1"
	value "SELECT length(repeat('abc', 5000000)), md5(repeat('x', 20000000))"
	value "SELECT count(*) FROM regexp_matches(repeat('word12 ', 20000), '(\\w)(\\d+)', 'g')"
}

only_preloaded_as() {
	"${as[@]}" env LD_LIBRARY_PATH="$library_path" LD_PRELOAD="$HAK_LIB" "$@"
}
only_preloaded_as "$bin/initdb" -D "$data" -U bench -A trust --no-sync --locale=C -E UTF8 \
	>"$work/initdb.out" 2>"$work/initdb.err" || fail "initdb failed"
begin with
assert_preloaded "$server_pid"

scale=4
only_preloaded_as "$bin/pgbench" -i -q -s $scale >"$work/init.out" 2>"$work/init.err" ||
	fail "pgbench -i failed"
only_preloaded_as "$bin/pgbench" -c 8 -j 4 -T 8 >"$work/tpc.out" 2>"$work/tpc.err" ||
	fail "pgbench failed"
only_preloaded_as "$bin/pgbench" -n -S -M prepared -C -c 4 -j 2 -T 3 >"$work/select.out" \
	2>"$work/select.err" || fail "pgbench -S with a connection for each transaction failed"
done_count=$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work/tpc.out")
assert_same "rows of history" "$done_count" "$(value 'SELECT count(*) FROM pgbench_history')"
sums=$(value 'SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)')
assert_same "sums of the balances" 1 "$(tr '|' '\n' <<<"$sums" | sort -u | wc -l)"
assert_same "accounts" $((scale * 100000)) "$(value 'SELECT count(*) FROM pgbench_accounts')"
queries >"$work/queries-with"
stop_server "$server_pid" INT

begin without plain
queries >"$work/queries-without"
stop_server "$server_pid" INT
diff "$work/queries-without" "$work/queries-with" || fail "answers differ from those without"
! grep -E 'terminated by signal|PANIC|FATAL' "$work/with.err" | grep -v 'administrator command' || fail "the server reports trouble"
assert_silent "$work"/*.err
say "passed: $done_count transactions that add up"
