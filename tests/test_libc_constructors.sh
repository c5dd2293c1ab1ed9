#!/bin/bash
# 120 preloaded libraries whose constructors and destructors allocate, before and after the
# allocator in the order of preloading.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
many=
for i in {1..120}; do
	cp "$files/lib/lib_ctor.so" "$dir/ctor$i.so"
	many="$many $dir/ctor$i.so"
done
expect "the allocator first" ok env LD_PRELOAD="$library$many" "$work" "$name"
expect "the allocator last" ok env LD_PRELOAD="${many# } $library" "$work" "$name"
expect "in the middle" ok env LD_PRELOAD="$dir/ctor1.so $library $dir/ctor2.so" "$work" "$name"
expect "named twice" ok env LD_PRELOAD="$library $library" "$work" "$name"
expect "a shell with its children" "done" env LD_PRELOAD="$library$many" \
	bash -c '/bin/true | cat; x=$(echo done); echo $x'
