#!/bin/bash
# all-vm-numa.sh: where malloc's pages lie on machines of their own: two nodes of two processors,
# four at unequal distances, two and one with memory only, three of which one is taken offline. The
# last line has the least share of pages on the right node over all of them, in percent.
# timeout: 1500
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=tests/vm/lib.sh
source "$top/tests/vm/lib.sh"
# shellcheck source=tests/vm/machines.sh
source "$top/tests/vm/machines.sh"

get_numa_guest
for machine in ${HAK_MACHINES:-2x2 4x2 2x2+1}; do
	numa_machine "$machine" whole
done
[ -n "${HAK_MACHINES:-}" ] || numa_machine 3x2-1 gone
closing_line
