#!/bin/bash
# fuzz/corpus.sh TARGET PROGRAM SECONDS: makes fuzz/corpus/TARGET anew: fuzzes for a while from what is
# there and from random inputs, then keeps a small set of inputs that covers (nearly) all that was reached, and those made by hand.
set -eu -o pipefail
cd "$(dirname "$0")/.."
target=$1 program=$2 seconds=$3
files_most=60 bytes_most=1200 # inputs of a target, bytes of each: what a merge may keep

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/found" "$work/kept" "$work/seeds" "fuzz/corpus/$target"
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
for i in 1 2 3 4 5 6 7 8; do
	head -c $((i * 72)) /dev/urandom >"$work/seeds/$i"
done
"$program" -max_total_time="$seconds" -len_control=0 -max_len="$bytes_most" -timeout=30 \
	"$work/found" "fuzz/corpus/$target" "$work/seeds" >"$work/log" 2>&1 || {
	tail -n 40 "$work/log"
	exit 1
}
# Those made by hand have a name, stay, and need not be covered again.
find "fuzz/corpus/$target" -type f -not -regex '.*/[0-9a-f]*' -exec cp -t "$work/kept" {} +
"$program" -set_cover_merge=1 -use_counters=0 -max_len="$bytes_most" "$work/kept" "$work/found" \
	"fuzz/corpus/$target" >"$work/log" 2>&1
find "fuzz/corpus/$target" -type f -regex '.*/[0-9a-f]*' -delete
mapfile -t covering < <(find "$work/kept" -type f -size +0 -regex '.*/[0-9a-f]*' | sort)
kept=("${covering[@]:0:files_most}")
for file in "${kept[@]}"; do
	name=$(sha1sum <"$file")
	cp "$file" "fuzz/corpus/$target/${name:0:10}"
done
echo "fuzz/corpus/$target: ${#kept[@]} of the ${#covering[@]} inputs that cover all, $(cat "${kept[@]}" | wc -c) bytes"
