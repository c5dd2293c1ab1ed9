#!/bin/bash
# server.sh: one server under one allocator: started, loaded, and left alone for five seconds.
#
#   HAK_LIB=LIBRARY [BENCH_OPTIONS='NAME=VALUE ...'] [NOTIFY_FD=N] bench/server.sh NAME SEED
#
# NAME: redis, memcached, nginx, mariadb, rocksdb or rocksdb-shell. Prints one RESULT line: what was done in how
# many ns, the peak of resident memory, and what is resident, page tables included, when the load
# has ended and five seconds later, summed over the server's processes. NOTIFY_FD gets a byte when
# the load has ended. Servers are fetched and started as the tests do it: see tests/programs/lib.sh.
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/../tests/programs/lib.sh"

idle_seconds=5
name=${1:?usage: server.sh NAME SEED}
seed=${2:?usage: server.sh NAME SEED}
read -r -a preload_env <<<"${BENCH_OPTIONS:-}"

now_ns() {
	date +%s%N
}

# sum_kib FIELD FILE PID...: a field of a file of /proc/PID, over processes that are still there.
sum_kib() {
	local field=$1 file=$2 pid files=()
	shift 2
	for pid in "$@"; do
		files+=("/proc/$pid/$file")
	done
	awk -v field="$field:" '$1 == field { sum += $2 } END { print sum + 0 }' "${files[@]}" 2>/dev/null
}

# With page tables, in KiB.
resident() {
	echo $(($(sum_kib Rss smaps_rollup "$@") + $(sum_kib VmPTE status "$@")))
}

# finish OPS NS: the load is over; waits, and prints the result.
finish() {
	local members after peak idle
	mapfile -t members < <(family "$server_pid")
	after=$(resident "${members[@]}")
	[ -z "${NOTIFY_FD:-}" ] || printf i >&"$NOTIFY_FD"
	sleep "$idle_seconds"
	mapfile -t members < <(family "$server_pid")
	idle=$(resident "${members[@]}")
	peak=$(sum_kib VmHWM status "${members[@]}")
	[ "$peak" -gt 1000 ] || fail "the server is gone"
	assert_preloaded "$server_pid"
	echo "RESULT bench=$name seed=$seed ops=$1 wall_ns=$2 peak_kib=$peak after_kib=$after" \
		"idle_kib=$idle processes=${#members[@]} malloc_from=$HAK_LIB"
}

# ---- The servers -------------------------------------------------------------------------------

# Values grow, containers fill, then most keys are deleted.
run_redis() {
	local cli benchmark begin ops=0
	fetch_package redis-server redis-server redis-tools
	local server=$program
	fetch_package redis-cli redis-tools
	cli=$program
	benchmark=${cli%-cli}-benchmark
	free_port
	start_server redis "$server" --port "$port" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no
	wait_port "$port" "$server_pid"
	redis_load() { # redis_load REQUESTS OPTION...
		plain "$benchmark" -h 127.0.0.1 -p "$port" -c 20 -P 16 -q -n "$1" "${@:2}" >"$work/load.out" 2>"$work/load.err" ||
			fail "redis-benchmark failed"
		ops=$((ops + $(grep -c 'requests per second' "$work/load.out") * $1))
	}
	begin=$(now_ns)
	redis_load 300000 -r 200000 -d 100 -t set
	redis_load 300000 -r 200000 -d 1000 -t set
	redis_load 100000 -r 20000 -d 300 -t lpush,hset,zadd,sadd
	redis_load 500000 -r 200000 del key:__rand_int__
	finish "$ops" $(($(now_ns) - begin))
	stop_server "$server_pid" TERM
}

# Values of 10 bytes to 1.5 MB from five processes that check the answers, with evictions.
run_memcached() {
	local begin end answers user=()
	fetch_package memcached memcached
	free_port
	[ "$(id -u)" -ne 0 ] || user=(-u root)
	start_server memcached "$program" -l 127.0.0.1 -p "$port" -t 4 -m 128 -I 4m -c 600 "${user[@]}"
	wait_port "$port" "$server_pid"
	begin=$(now_ns)
	answers=$(/usr/bin/python3 "$top/tests/programs/memcached_load.py" "$port" 4 2>"$work/load.err") ||
		fail "a wrong answer: $(tail -n 1 "$work/load.err")"
	end=$(now_ns)
	finish "${answers%% *}" $((end - begin))
	stop_server "$server_pid" TERM
}

# Files compressed, and passed on to itself, by two workers.
run_nginx() {
	local begin end path ops=0 nginx wrk as_user=
	fetch_package nginx nginx
	nginx=$program
	fetch_package wrk wrk
	wrk=$program
	free_port
	mkdir -p "$work/www" "$work/logs"
	chmod 755 "$work"
	for size in 3000 60000 900000; do
		seq 1 200000 | head -c "$size" >"$work/www/$size.txt" || true
	done
	[ "$(id -u)" -ne 0 ] || as_user="user root;"
	cat >"$work/nginx.conf" <<CONF
$as_user
daemon off;
worker_processes 2;
pid $work/nginx.pid;
error_log stderr warn;
events { worker_connections 1000; }
http {
	access_log off;
	types { text/plain txt; }
	client_body_temp_path $work/body;
	proxy_temp_path $work/proxy;
	fastcgi_temp_path $work/fastcgi;
	uwsgi_temp_path $work/uwsgi;
	scgi_temp_path $work/scgi;
	upstream self { server 127.0.0.1:$port; keepalive 8; }
	server {
		listen 127.0.0.1:$port;
		root $work/www;
		location /gzip/ { alias $work/www/; gzip on; gzip_types text/plain; gzip_comp_level 1; }
		location /proxy/ { proxy_pass http://self/; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}
CONF
	start_server nginx "$nginx" -c "$work/nginx.conf" -p "$work"
	wait_port "$port" "$server_pid"
	begin=$(now_ns)
	for path in /3000.txt /gzip/60000.txt /proxy/gzip/3000.txt /proxy/900000.txt; do
		plain "$wrk" -t 1 -c 100 -d 1s --timeout 10s -H 'Accept-Encoding: gzip' \
			"http://127.0.0.1:$port$path" >"$work/wrk.out" 2>"$work/wrk.err" || fail "wrk failed"
		! grep -E 'Non-2xx|Socket errors' "$work/wrk.out" || fail "errors under load of $path"
		ops=$((ops + $(sed -n 's/^ *\([0-9]*\) requests in.*/\1/p' "$work/wrk.out")))
	done
	end=$(now_ns)
	finish "$ops" $((end - begin))
	stop_server "$server_pid" QUIT
}

mariadb_words() { # sets mariadbd, sysbench, base and common
	fetch_package mariadbd mariadb-server-core
	mariadbd=$program
	fetch_package sysbench sysbench
	sysbench=$program
	base=/usr
	[[ $mariadbd != "$root"/* ]] || base=$root/usr
	common=(--no-defaults --basedir="$base" --lc-messages-dir="$base/share/mysql" --datadir="$work/data"
		--tmpdir="$work" --plugin-dir="$base/lib/mysql/plugin")
	[ "$(id -u)" -ne 0 ] || common+=(--user=root)
	server_options=(--bind-address=127.0.0.1 --port="$port" --socket="$work/s"
		--innodb-buffer-pool-size=64M --innodb-log-file-size=8M --innodb-flush-log-at-trx-commit=0
		--skip-grant-tables --skip-networking=0 --tmp-table-size=4M --query-cache-size=0)
}

sysbench_run() { # sysbench_run COMMAND...
	(
		cd "$base/share/sysbench"
		plain "$sysbench" oltp_read_write --db-driver=mysql --mysql-host=127.0.0.1 \
			--mysql-port="$port" --mysql-user=root --tables=4 --table-size=10000 \
			--threads=16 --rand-seed="$seed" "$@"
	) >"$work/sysbench.out" 2>"$work/sysbench.err" || fail "sysbench ${*: -1} failed"
}

# The data that every run begins with, made once, under glibc.
prepare_mariadb() {
	local library=$HAK_LIB
	HAK_LIB=$(realpath -e /lib/x86_64-linux-gnu/libc.so.6)
	mkdir "$work/data"
	{
		printf '%s\n' "CREATE DATABASE mysql;" "USE mysql;"
		cat "$base/share/mysql/mysql_system_tables.sql" "$base/share/mysql/mysql_system_tables_data.sql"
		echo "CREATE DATABASE sbtest;"
	} | plain "$mariadbd" "${common[@]}" --bootstrap --innodb-log-file-size=8M >"$work/bootstrap.out" \
		2>"$work/bootstrap.err" || fail "the bootstrap failed"
	start_server prepare "$mariadbd" "${common[@]}" "${server_options[@]}"
	wait_port "$port" "$server_pid" 60
	sysbench_run prepare
	stop_server "$server_pid" TERM
	rm -rf "$programs/bench-mariadb.new"
	mv "$work/data" "$programs/bench-mariadb.new"
	mv "$programs/bench-mariadb.new" "$programs/bench-mariadb"
	HAK_LIB=$library
}

# sysbench's transactions from sixteen connections.
run_mariadb() {
	local begin end transactions mariadbd sysbench base common server_options
	free_port
	mariadb_words
	[ -d "$programs/bench-mariadb" ] || prepare_mariadb
	cp -a "$programs/bench-mariadb" "$work/data"
	start_server mariadb "$mariadbd" "${common[@]}" "${server_options[@]}"
	wait_port "$port" "$server_pid" 60
	begin=$(now_ns)
	sysbench_run --time=5 --report-interval=0 run
	end=$(now_ns)
	transactions=$(sed -n 's/^ *transactions: *\([0-9]*\) .*/\1/p' "$work/sysbench.out")
	finish "${transactions:-0}" $((end - begin))
	stop_server "$server_pid" TERM
}

# db_bench fills a database and overwrites it with four threads. What counts as idle here are 2,560
# reads a second, the least that it can be limited to.
run_rocksdb() {
	local begin=0 end until ops
	fetch_package db_bench rocksdb-tools
	start_server rocksdb "$program" --db="$work/db" --num=100000 --threads=4 --value_size=400 \
		--seed="$seed" --benchmarks=filluniquerandom,overwrite,readrandom \
		--duration=$((idle_seconds + 1)) --benchmark_read_rate_limit=2560 --max_background_jobs=2 \
		--write_buffer_size=8000000 --cache_size=16000000 --compression_type=lz4 --histogram=0
	until=$((SECONDS + 60))
	until grep -q '^overwrite *:' "$work/rocksdb.out"; do
		kill -0 "$server_pid" 2>/dev/null || fail "db_bench ended"
		[ $SECONDS -lt $until ] || fail "db_bench takes too long"
		[ "$begin" -ne 0 ] || ! grep -q '^filluniquerandom *:' "$work/rocksdb.out" || begin=$(now_ns)
		sleep 0.05
	done
	end=$(now_ns)
	ops=$(sed -n 's/^overwrite *:.* \([0-9]*\) operations.*/\1/p' "$work/rocksdb.out")
	finish "${ops:-0}" $((end - begin))
	wait_end "$server_pid"
	[ "$end_status" = 0 ] || fail "exit status $end_status"
}

# One thread of puts, gets and deletes with compactions beside it, then a prompt that waits.
run_rocksdb-shell() {
	local begin end until ldb commands=60000
	fetch_package ldb rocksdb-tools
	ldb=$program
	plain "$ldb" --db="$work/db" --create_if_missing load >"$work/load.out" 2>"$work/load.err" < <(
		seq -f 'key%08.0f ==> loaded' 0 2 99999
	) || fail "ldb load failed"
	awk -v seed="$seed" -v commands="$commands" 'BEGIN {
		srand(seed)
		for (text = "abcdefgh"; length(text) < 1100;) text = text text
		for (i = 0; i < commands; i++) {
			key = 2 * int(rand() * 50000)
			draw = rand()
			if (draw < 0.6) printf "put key%08d %s\n", key + (draw < 0.3), substr(text, 1, 20 + int(rand() * 1000))
			else if (draw < 0.8) printf "get key%08d\n", key
			else printf "delete key%08d\n", key + 1
		}
	}' >"$work/commands"
	mkfifo "$work/input"
	exec 7<>"$work/input"
	export INPUT=$work/input
	# shellcheck disable=SC2016
	start_server rocksdb sh -c 'exec "$0" "$@" <"$INPUT" 7>&-' "$ldb" --db="$work/db" query \
		--write_buffer_size=8000000 --compression_type=lz4
	begin=$(now_ns)
	cat "$work/commands" >&7
	until=$((SECONDS + 60))
	until [ "$(wc -l <"$work/rocksdb.out")" -ge "$commands" ]; do
		kill -0 "$server_pid" 2>/dev/null || fail "ldb ended"
		[ $SECONDS -lt $until ] || fail "ldb takes too long"
		sleep 0.05
	done
	end=$(now_ns)
	finish "$commands" $((end - begin))
	exec 7>&-
	wait_end "$server_pid"
	[ "$end_status" = 0 ] || fail "exit status $end_status"
}

case $name in
redis | memcached | nginx | mariadb | rocksdb | rocksdb-shell) "run_$name" ;;
*)
	echo "server.sh: there is no server called $name" >&2
	exit 2
	;;
esac
