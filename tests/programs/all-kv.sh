#!/bin/bash
# all-kv.sh: the key-value server of ./run under the release, debug and tiny builds, over TCP and
# socket pairs: every value right, and every block given back at the end.
# timeout: 240
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

cd "$top" || exit 1
unset MAKEFLAGS MFLAGS MAKELEVEL
make -s kv_server all >"$work/make.out" 2>&1 || fail "the build failed"

serve() { # serve LIB ARGUMENT...
	HAK_LIB=$(realpath -e "$1")
	shift
	preloaded build/kv_server --seconds 5 "$@" >"$work/kv.out" 2>"$work/kv.err" ||
		fail "kv_server $* under $HAK_LIB"
	grep -qx 'errors  *0' "$work/kv.out" || fail "errors were counted"
	assert_bound "$work"/bindings.*
	rm -f "$work"/bindings.*
	# What is left are a few blocks of the C library.
	blocks=$(sed -n 's/^ *in use by the program .* MiB in \([0-9]*\) blocks$/\1/p' "$work/kv.err")
	[ -n "$blocks" ] || fail "no statistics"
	[ "$blocks" -le 50 ] || fail "$blocks blocks in use at the end"
	! grep '^hakmem: ' "$work/kv.err" || fail "the library reported"
	say "${HAK_LIB#"$top"/} $*: $(sed -n 's/^requests\/s *//p' "$work/kv.out") requests/s," \
		"$(sed -n 's/^peak RSS *//p' "$work/kv.out")"
}

preload_env=(HAKMEM_STATS=1)
serve build/libhakmem.so --seed 2
serve build/libhakmem.so --seed 3 --local --threads 2 --clients 16 --keys 500
for build in debug tiny; do
	make -s CC=gcc BUILD=$build "build/gcc-$build/libhakmem.so" >"$work/make.out" 2>&1 ||
		fail "the $build build failed"
	serve "build/gcc-$build/libhakmem.so" --seed 4
	serve "build/gcc-$build/libhakmem.so" --seed 5 --local --threads 8 --clients 8 --keys 300
done
say "passed"
