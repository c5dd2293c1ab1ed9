#!/bin/bash
# all-mariadb.sh: MariaDB under the library: sysbench's transactions from eight connections,
# transfers between accounts whose sum must not change, sorts and temporary tables that answer as
# they do without, and a clean shutdown.
# timeout: 300
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

fetch_package mariadbd mariadb-server-core
mariadbd=$program
fetch_package mariadb mariadb-client-core
mariadb=$program
fetch_package sysbench sysbench
sysbench=$program
free_port

base=/usr
[[ $mariadbd != "$root"/* ]] || base=$root/usr
common=(--no-defaults --basedir="$base" --lc-messages-dir="$base/share/mysql" --datadir="$work/data"
	--tmpdir="$work" --plugin-dir="$base/lib/mysql/plugin")
[ "$(id -u)" -ne 0 ] || common+=(--user=root)
mkdir "$work/data"
# The system tables, from the statements that the package brings for it.
{
	printf '%s\n' "CREATE DATABASE mysql;" "USE mysql;"
	cat "$base/share/mysql/mysql_system_tables.sql" "$base/share/mysql/mysql_system_tables_data.sql"
} | preloaded "$mariadbd" "${common[@]}" --bootstrap --innodb-log-file-size=8M \
	>"$work/bootstrap.out" 2>"$work/bootstrap.err" || fail "the bootstrap failed"

begin() { # begin NAME COMMAND...: of start_server's form
	start_server "$1" "$mariadbd" "${common[@]}" --bind-address=127.0.0.1 --port="$port" \
		--socket="$work/s" --innodb-buffer-pool-size=64M --innodb-log-file-size=8M \
		--innodb-flush-log-at-trx-commit=0 --skip-grant-tables --skip-networking=0 \
		--tmp-table-size=1M --sort-buffer-size=256K --query-cache-size=0
	wait_port "$port" "$server_pid" 60
}

sql() {
	plain "$mariadb" --no-defaults --protocol=tcp -h 127.0.0.1 -P "$port" -u root -BN "$@"
}

begin server
assert_preloaded "$server_pid"
sql -e 'CREATE DATABASE sbtest'

bench() { # bench COMMAND...
	(
		cd "$base/share/sysbench"
		plain "$sysbench" oltp_read_write --db-driver=mysql --mysql-host=127.0.0.1 \
			--mysql-port="$port" --mysql-user=root --tables=4 --table-size=5000 \
			--threads=8 "$@"
	) >"$work/sysbench.out" 2>"$work/sysbench.err" || fail "sysbench ${*: -1} failed"
}
bench prepare
bench --time=8 --report-interval=0 run
transactions=$(sed -n 's/^ *transactions: *\([0-9]*\) .*/\1/p' "$work/sysbench.out")
[ "$transactions" -gt 100 ] || fail "only ${transactions:-no} transactions"
for i in 1 2 3 4; do
	assert_same "check of table $i" "OK" \
		"$(sql -e "CHECK TABLE sbtest.sbtest$i EXTENDED" | awk '{ print $NF }')"
	assert_same "rows of table $i" 5000 "$(sql -e "SELECT COUNT(*) FROM sbtest.sbtest$i")"
done

# Money moves between accounts from six connections at once; none may get lost.
sql sbtest <<'SQL'
CREATE TABLE account(id INT PRIMARY KEY, money INT, note LONGTEXT) ENGINE=InnoDB;
INSERT INTO account SELECT seq, 1000, REPEAT('n', seq * 37 % 5000) FROM seq_1_to_500;
SQL
movers=()
for mover in 1 2 3 4 5 6; do
	{
		for ((i = 0; i < 300; i++)); do
			from=$(((i * 37 + mover * 11) % 250 + 1)) to=$(((i * 53 + mover * 7) % 250 + 251))
			echo "BEGIN; UPDATE account SET money = money - $i WHERE id = $from;"
			echo "UPDATE account SET money = money + $i, note = CONCAT(note, REPEAT('m', $i)) WHERE id = $to; COMMIT;"
		done
	} | sql sbtest >"$work/mover$mover.out" 2>"$work/mover$mover.err" &
	movers+=($!)
done
for mover in "${movers[@]}"; do
	wait "$mover" || fail "a mover of money failed"
done
assert_same "all the money" 500000 "$(sql sbtest -e 'SELECT SUM(money) FROM account')"
assert_same "length of the notes" "$((6 * 299 * 300 / 2))" "$(sql sbtest -e \
	"SELECT SUM(LENGTH(note)) - SUM(id * 37 % 5000) FROM account")"

answers=$(sql sbtest <<'SQL'
SELECT MD5(GROUP_CONCAT(h ORDER BY h)) FROM (SELECT MD5(seq) h FROM seq_1_to_20000) t;
SELECT LENGTH(JSON_ARRAYAGG(seq)), SUM(seq) FROM seq_1_to_100000;
SELECT MD5(REPEAT('abc', 3000000)), LENGTH(REGEXP_REPLACE(REPEAT('word12 ', 20000), '[0-9]+', '#'));
SQL
)
# The same, computed by the shell's tools.
repeated=$(awk 'BEGIN { for (i = 0; i < 3000000; i++) printf "abc" }' | md5sum | cut -d' ' -f1)
json=$(($(seq 1 100000 | tr '\n' ',' | wc -c) + 1))
assert_same "JSON array" "$json"$'\t'5000050000 "$(sed -n 2p <<<"$answers")"
assert_same "MD5 and expression" "$repeated"$'\t'120000 "$(sed -n 3p <<<"$answers")"
[[ $(sed -n 1p <<<"$answers") =~ ^[0-9a-f]{32}$ ]] || fail "no MD5 of the sorted list"
for _ in {1..100}; do
	(exec 3<>"/dev/tcp/127.0.0.1/$port")
done

stop_server "$server_pid" TERM
assert_silent "$work"/*.err
! grep -E 'got signal|\[ERROR\] (InnoDB|mysqld got)' "$work/server.err" || fail "the server reports trouble"
say "passed: $transactions transactions"
