#!/bin/bash
# all-vm-cgroup.sh: the limits of control groups, of version 2, are noticed in time, on a kernel of
# its own.
# timeout: 300
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/lib.sh
source "$top/tests/vm/lib.sh"

get_kernel
build_guest fill
boot_test cgroup.sh --memory 512 --cpus 2 --seconds 240 --with "$built"
say "passed"
