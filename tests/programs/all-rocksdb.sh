#!/bin/bash
# all-rocksdb.sh: RocksDB's db_bench under the library: four threads write, overwrite, delete,
# merge, scan and read while compactions run beside them; then ldb checks what is on disk.
# timeout: 300
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

fetch_package db_bench rocksdb-tools
db_bench=$program
fetch_package ldb rocksdb-tools
ldb=$program

cd "$work" || exit 1
preloaded "$db_bench" --db="$work/db" --num=60000 --threads=4 --value_size=400 --seed=7 \
	--benchmarks=fillrandom,overwrite,readrandom,readwhilewriting,seekrandom,mixgraph,deleterandom,compact,verifychecksum \
	--duration=5 --max_background_jobs=4 --write_buffer_size=1000000 --target_file_size_base=1000000 \
	--cache_size=4000000 --compression_type=lz4 --key_size=24 --histogram=0 \
	>"$work/bench.out" 2>"$work/bench.err" || fail "db_bench failed"
assert_bound "$work"/bindings.*
rm -f "$work"/bindings.*
for benchmark in fillrandom overwrite readrandom readwhilewriting seekrandom deleterandom \
	compact verifychecksum; do
	grep -q "^$benchmark *:" "$work/bench.out" || fail "$benchmark did not report"
done

# Known keys and values through another of its programs: in, compacted, out again.
seq -f 'key%08.0f' 1 30000 | awk '{ print $1 " ==> value-" NR "-" $1 $1 $1 }' >"$work/known"
preloaded "$ldb" --db="$work/known-db" --create_if_missing load <"$work/known" \
	>"$work/load.out" 2>"$work/load.err" || fail "ldb load failed"
preloaded "$ldb" --db="$work/known-db" compact >"$work/compact.out" 2>"$work/compact.err" ||
	fail "ldb compact failed"
preloaded "$ldb" --db="$work/known-db" scan >"$work/scan" 2>"$work/scan.err" ||
	fail "ldb scan failed"
for file in "$work"/bindings.*; do
	assert_bound "$file"
done
plain "$ldb" --db="$work/known-db" scan >"$work/scan-without"
assert_same "keys read back" 30000 "$(wc -l <"$work/scan")"
cmp "$work/scan" "$work/scan-without" || fail "a scan differs from one without the library"
assert_same "known keys" "$(sed 's/ ==> / : /' "$work/known" | cksum)" "$(sed 's/ ==> / : /' "$work/scan" | cksum)"
assert_silent "$work"/*.err
say "passed: $(sed -n 's/^readwhilewriting *: *//p' "$work/bench.out")"
