#!/bin/bash
# all-vm-thp.sh: what a small program with threads occupies on a kernel of its own, in each mode of
# transparent huge pages: about the same.
# timeout: 400
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/lib.sh
source "$top/tests/vm/lib.sh"

get_kernel
build_guest footprint
boot_test thp.sh --memory 1024 --cpus 2 --seconds 340 --with "$built"
say "passed"
