#!/bin/bash
# Another allocator preloaded as well: the first in the list serves, and the second does no harm.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
found=0
# Where the other serves, no fork: some of them hang in the child without us just as well.
for other in /usr/lib/x86_64-linux-gnu/{libmimalloc.so.2,libjemalloc.so.2,libtcmalloc_minimal.so.4,libtbbmalloc_proxy.so.2}; do
	[ -f "$other" ] || continue
	found=1
	expect "before $other" ok env LD_PRELOAD="$library $other" "$work" "$name"
	expect "after $other" ok env LD_PRELOAD="$other $library" "$work" "$(basename "$other" | cut -d. -f1)" nofork
done
[ $found = 1 ] || skip "no other allocator is installed"
