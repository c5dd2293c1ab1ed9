#!/bin/bash
# all-sqlite3.sh: the sqlite3 shell under the library: joins, sorting, JSON, full-text search, big
# blobs and a vacuum give the output they give without; then four processes share one database.
# timeout: 240
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

fetch_package sqlite3 sqlite3
sqlite=$program

cat >"$work/statements" <<'SQL'
PRAGMA cache_size = 5000;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, size INT, data BLOB);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
	INSERT INTO item SELECT i, 'name' || (i * 7919 % 100003), i * 31 % 977, zeroblob(i % 300) FROM n;
CREATE INDEX by_name ON item(name);
CREATE INDEX by_size ON item(size, name DESC);
SELECT count(*), sum(size), max(name), sum(length(data)) FROM item;
SELECT a.size, count(*), group_concat(b.name) FROM item a JOIN item b ON b.id = a.id + 1
	WHERE a.id < 3000 GROUP BY a.size % 50 ORDER BY 2 DESC, 1 LIMIT 20;
SELECT name, rank() OVER (PARTITION BY size ORDER BY name) FROM item WHERE id % 997 = 0 ORDER BY 1;
CREATE VIRTUAL TABLE words USING fts5(text);
INSERT INTO words SELECT name || ' ' || size || ' some more words ' || id FROM item WHERE id < 20000;
SELECT count(*) FROM words WHERE words MATCH 'more AND 500';
SELECT json_group_array(json_object('id', id, 'n', name)) FROM item WHERE id % 1000 = 1;
CREATE TABLE big(b BLOB);
INSERT INTO big SELECT zeroblob(id * 500000) FROM item WHERE id <= 20;
UPDATE big SET b = substr(b, 1, length(b) / 2) || x'0123';
SELECT sum(length(b)), hex(substr(max(b), -2)) FROM big;
BEGIN; UPDATE item SET name = upper(name) || id; ROLLBACK;
DELETE FROM item WHERE id % 3 = 0;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(size), min(name) FROM item;
SQL

plain "$sqlite" "$work/without.db" <"$work/statements" >"$work/without.out" 2>"$work/without.err"
preloaded "$sqlite" "$work/with.db" <"$work/statements" >"$work/with.out" 2>"$work/with.err"
cmp "$work/without.out" "$work/with.out" || fail "the outputs differ"
cmp "$work/without.db" "$work/with.db" || fail "the databases differ"
grep -qx ok "$work/with.out" || fail "the integrity check failed"
for file in "$work"/bindings.*; do
	assert_bound "$file"
done

echo 'PRAGMA journal_mode = WAL; CREATE TABLE counter(who INT, n INT);' |
	plain "$sqlite" "$work/shared.db" >"$work/shared.out"
writers=()
for who in 1 2 3 4; do
	{
		echo ".timeout 60000"
		for ((i = 0; i < 300; i++)); do
			echo "INSERT INTO counter VALUES($who, $i);"
			echo "SELECT count(*) >= $i FROM counter;"
		done
	} | only_preloaded "$sqlite" "$work/shared.db" >"$work/writer$who.out" \
		2>"$work/writer$who.err" &
	writers+=($!)
done
for writer in "${writers[@]}"; do
	wait "$writer" || fail "a writer of the shared database failed"
done
assert_same "rows of four writers" "1200|44850|44850" "$(plain "$sqlite" "$work/shared.db" \
	'SELECT count(*), (SELECT sum(n) FROM counter WHERE who = 1), sum(n) / 4 FROM counter')"
assert_silent "$work"/*.err
say "passed: $(wc -l <"$work/with.out") lines of output"
