#!/bin/bash
# vm-peers.sh: the placement table: hakmem, the C library's malloc, mimalloc, jemalloc and tcmalloc
# under one program and under redis and memcached, on a machine with four nodes at unequal distances.
# timeout: 600
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/lib.sh
source "$top/tests/vm/lib.sh"
# shellcheck source=tests/vm/machines.sh
source "$top/tests/vm/machines.sh"

get_numa_guest
build_guest memcached_load
files=("${guest_files[@]}" --with "$built")
fetch_package redis-server redis-server redis-tools
files+=(--with "$program")
fetch_package redis-benchmark redis-tools
files+=(--with "$program")
fetch_package memcached memcached
files+=(--with "$program")

mallocs=(hakmem=libhakmem.so glibc=)
# peer NAME FILE PACKAGE
peer() {
	local path=/usr/lib/x86_64-linux-gnu/$2
	if [ ! -e "$path" ]; then
		path=$root$path
		# shellcheck disable=SC2046
		[ -e "$path" ] || unpack $(would_install "$3") || skip "$3 cannot be downloaded"
	fi
	files+=(--with "$path")
	mallocs+=("$1=$2")
}
peer mimalloc libmimalloc.so.2 libmimalloc2.0
peer jemalloc libjemalloc.so.2 libjemalloc2
peer tcmalloc libtcmalloc_minimal.so.4 libtcmalloc-minimal4

# The servers' libraries lie under build/.
export LD_LIBRARY_PATH=$library_path
boot_test peers.sh --nodes 4 --cpus 2 --memory 512 --distance 0,1=15 --distance 0,3=30 --distance 1,2=25 \
	--distance 2,3=15 --seconds 420 "${files[@]}" -- "${mallocs[@]}"
say "passed"
