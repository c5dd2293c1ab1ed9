#!/bin/bash
# tests/checkers.sh: what memcheck and AddressSanitizer find in a program with blocks of the hak_*
# functions, linked with an archive that tells them (make CHECKERS=1); nothing in a right one. Without
# a tool the same program works, and what breaks a block's record is found when it is freed.
set -eu -o pipefail
cd "$(dirname "$0")/.."
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s -j2 CHECKERS=1 build/gcc-release-checkers/libhakmem.a >/dev/null
archive=build/gcc-release-checkers/libhakmem.a
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ulimit -c 0
failures=0

# expect WHAT STATUS PATTERN COMMAND...: PATTERN empty: no output at all.
expect() {
	local what=$1 status=$2 pattern=$3 seen=0
	shift 3
	{ (exec timeout 100 "$@") >"$work/log" 2>&1 || seen=$?; } 2>/dev/null # the shell's own words
	if [ "$seen" -ne "$status" ] || { [ -n "$pattern" ] && ! grep -q "$pattern" "$work/log"; } ||
		{ [ -z "$pattern" ] && [ -s "$work/log" ]; }; then
		echo "$what: status $seen, not $status with '$pattern':"
		head -n 20 "$work/log"
		failures=$((failures + 1))
	fi
}

build() { # build COMPILER PROGRAM FLAG...
	local compiler=$1 program=$2
	shift 2
	"$compiler" -g -O0 -fno-builtin -Wall -Iinclude "$@" -o "$work/$program" tests/hak_mistake.c "$archive" -lpthread -ldl
}

build gcc plain
expect "no tool" 0 '' "$work/plain" none
expect "no tool, all guarded" 0 '' env HAKMEM_GUARD_SAMPLE=1 "$work/plain" none
expect "no tool, twice" 134 'double free' "$work/plain" twice
expect "no tool, before" 134 'what lies before it was written to' "$work/plain" before

# Threads that have not ended when the program does, as the helper, have memory that is possibly lost.
memcheck=(valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite --error-exitcode=9)
while read -r mistake pattern; do
	expect "memcheck, $mistake" 9 "$pattern" "${memcheck[@]}" "$work/plain" "$mistake"
done <<-'END'
	read Invalid read
	read-big Invalid read
	write Invalid write
	behind Invalid write
	behind-class Invalid write
	behind-big Invalid write
	unset depends on uninitialised
	moved Invalid read
	twice Invalid free
	leak 100 bytes .* definitely lost
	leak-big 3,145,728 bytes .* definitely lost
	destroyed Invalid read
END
expect "memcheck, all guarded" 0 '' env HAKMEM_GUARD_SAMPLE=1 "${memcheck[@]}" "$work/plain" none
expect "memcheck, none" 0 '' "${memcheck[@]}" "$work/plain" none
expect "memcheck, before" 134 'Invalid write' "${memcheck[@]}" "$work/plain" before

for compiler in gcc clang; do
	build $compiler $compiler-asan -fsanitize=address
	# Where ptrace is denied it cannot look for leaks.
	export ASAN_OPTIONS=detect_leaks=1
	"$work/$compiler-asan" leak-libc >"$work/log" 2>&1 || true
	grep -q 'detected memory leaks' "$work/log" || export ASAN_OPTIONS=detect_leaks=0
	for mistake in read read-big write behind behind-class behind-big before moved; do
		expect "$compiler, $mistake" 1 'use-after-poison' "$work/$compiler-asan" $mistake
	done
	expect "$compiler, twice" 134 'double free' "$work/$compiler-asan" twice
	expect "$compiler, none" 0 '' "$work/$compiler-asan" none
done

[ $failures -eq 0 ] || exit 1
echo "memcheck and AddressSanitizer know the blocks of hak_*"
