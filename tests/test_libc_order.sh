#!/bin/bash
# Another allocator preloaded as well: the first in the list serves, and the second does no harm.
. "$(dirname "$0")/shell.sh"
found=0
for other in /usr/lib/x86_64-linux-gnu/{libmimalloc.so.2,libjemalloc.so.2,libtcmalloc_minimal.so.4,libtbbmalloc_proxy.so.2}; do
	[ -f "$other" ] || continue
	found=1
	expect "before $other" ok env LD_PRELOAD="$library $other" "$work" "$name"
	expect "after $other" ok env LD_PRELOAD="$other $library" "$work" "$(basename "$other" | cut -d. -f1)"
done
[ $found = 1 ] || skip "no other allocator is installed"
