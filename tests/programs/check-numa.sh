#!/bin/bash
# check-numa.sh: where malloc's pages lie on a machine of its own with two nodes of two processors.
# timeout: 240
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/lib.sh
source "$top/tests/vm/lib.sh"
# shellcheck source=tests/vm/machines.sh
source "$top/tests/vm/machines.sh"

get_numa_guest
numa_machine 2x2 quick 220
closing_line
