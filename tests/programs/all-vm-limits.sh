#!/bin/bash
# all-vm-limits.sh: programs under the limits of a kernel of their own: strict accounting of memory,
# control groups, address space, locked memory; and without /proc and /sys.
# timeout: 480
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/lib.sh
source "$top/tests/vm/lib.sh"

get_kernel
make -s -C "$top" kv_server build/gcc-tests/prog/prog_work >"$work/make.out" 2>&1 ||
	fail "the build failed"
build_guest fill
boot_test limits.sh --memory 512 --cpus 2 --seconds 420 --with "$built" \
	--with "$top/build/gcc-tests/prog/prog_work" --with "$top/build/kv_server"
say "passed"
