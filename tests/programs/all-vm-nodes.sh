#!/bin/bash
# all-vm-nodes.sh: threads and servers on machines of their own with two nodes, and with two and one
# that has only memory. First makes sure that such a machine reports failure, and ends in time.
# timeout: 480
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/lib.sh
source "$top/tests/vm/lib.sh"

get_kernel
make -s -C "$top" kv_server build/gcc-release/stress/stress_mixed build/gcc-tests/prog/prog_work \
	>"$work/make.out" 2>&1 || fail "the build failed"
build_guest fill

# boot_fails STATUS WHAT OPTION...: boot ends with STATUS, and leaves nothing.
boot_fails() {
	local status=0 wanted=$1 what=$2
	shift 2
	mkdir "$work/tmp"
	TMPDIR=$work/tmp "$vm/boot" "$@" >"$work/boot.out" 2>"$work/boot.err" || status=$?
	[ $status -eq "$wanted" ] || fail "$what: status $status, not $wanted"
	rmdir "$work/tmp" || fail "$what: leaves files"
	! pgrep -f "qemu-system-x86_64.*$work/" >/dev/null || fail "$what: leaves a process"
	say "$what: status $status"
}
printf 'echo "$1" && exit 7\n' >"$work/seven.sh"
boot_fails 7 "a script that fails" --kernel "$kernel" "$work/seven.sh" "it's said"
assert_same "its output" "it's said" "$(cat "$work/boot.out")"
echo 'sleep 3600' >"$work/sleep.sh"
boot_fails 124 "a machine out of time" --kernel "$kernel" --seconds 2 "$work/sleep.sh"
boot_fails 125 "a kernel that panics" --kernel "$kernel" --append "rdinit=/none" "$work/seven.sh"
boot_fails 125 "no kernel" --kernel "$work/none" "$work/seven.sh"
boot_fails 125 "a bad number" --kernel "$kernel" --cpus two "$work/seven.sh"

with=(--with "$built" --with "$top/build/gcc-tests/prog/prog_work" --with "$top/build/kv_server"
	--with "$top/build/gcc-release/stress/stress_mixed" --cpus 2 --seconds 150)
boot_nodes() { # boot_nodes NODES MEMORY_NODES DISTANCES OPTION...
	boot_test nodes.sh --nodes "$1" --memory-nodes "$2" "${@:4}" "${with[@]}" -- "$1" "$2" "$3"
}
boot_nodes 2 0 10,20,20,10
boot_nodes 2 1 10,21,31,21,10,20,31,20,10 --distance 0,1=21 --distance 2,0=31
say "passed"
