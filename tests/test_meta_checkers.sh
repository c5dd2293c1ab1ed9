#!/bin/bash
# test_meta_checkers.sh: programs that run under the library can still be checked with memcheck and
# with AddressSanitizer, as the manual page says: each finds a read after free, a write behind a
# block and a leak, and has nothing to say of a program without mistakes.
set -eu -o pipefail
cd "$(dirname "$0")/.."
lib=$PWD/build/libhakmem.so
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# expect WHAT STATUS PATTERN COMMAND...: PATTERN empty: no output at all.
expect() {
	local what=$1 status=$2 pattern=$3 seen=0
	shift 3
	timeout 100 "$@" >"$work/log" 2>&1 || seen=$?
	if [ "$seen" -ne "$status" ] || { [ -n "$pattern" ] && ! grep -q "$pattern" "$work/log"; } ||
		{ [ -z "$pattern" ] && [ -s "$work/log" ]; }; then
		echo "$what: status $seen, not $status with '$pattern':"
		head -n 20 "$work/log"
		failures=$((failures + 1))
	fi
}

flags=(-g -O0 -fno-builtin -Wall)
gcc "${flags[@]}" -o "$work/plain" tests/prog_mistake.c

# memcheck puts its own malloc in the place of any library's.
memcheck=(valgrind -q --leak-check=full --error-exitcode=9)
expect "memcheck, no mistake" 0 '' env LD_PRELOAD="$lib" "${memcheck[@]}" "$work/plain" none
expect "memcheck, read" 9 'Invalid read' env LD_PRELOAD="$lib" "${memcheck[@]}" "$work/plain" read
expect "memcheck, write" 9 'Invalid write' env LD_PRELOAD="$lib" "${memcheck[@]}" "$work/plain" write
expect "memcheck, leak" 9 'definitely lost' env LD_PRELOAD="$lib" "${memcheck[@]}" "$work/plain" leak
# The library itself under valgrind, for callgrind and the like.
expect "valgrind with our malloc" 0 'spans taken from the pools *[1-9]' env LD_PRELOAD="$lib" HAKMEM_STATS=1 \
	valgrind -q --tool=none --soname-synonyms=somalloc=nouserintercepts "$work/plain" none

# gcc's AddressSanitizer is a library, and wants to be the first; clang's is in the program.
gcc "${flags[@]}" -fsanitize=address -o "$work/gcc-asan" tests/prog_mistake.c
clang "${flags[@]}" -fsanitize=address -o "$work/clang-asan" tests/prog_mistake.c
gcc_preload="$(gcc -print-file-name=libasan.so) $lib"
for form in "gcc:$gcc_preload" "clang:$lib"; do
	run=(env LD_PRELOAD="${form#*:}" "$work/${form%%:*}-asan")
	expect "$form, no mistake" 0 '' "${run[@]}" none
	expect "$form, read" 1 'heap-use-after-free' "${run[@]}" read
	expect "$form, write" 1 'heap-buffer-overflow' "${run[@]}" write
	# Where ptrace is denied it cannot look for leaks, whoever has malloc.
	"$work/${form%%:*}-asan" leak >"$work/log" 2>&1 || true
	grep -q 'detected memory leaks' "$work/log" || continue
	expect "$form, leak" 1 'detected memory leaks' "${run[@]}" leak
done

[ $failures -eq 0 ] || exit 1
echo "memcheck and AddressSanitizer find mistakes under the library"
