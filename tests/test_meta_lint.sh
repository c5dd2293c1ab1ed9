#!/bin/bash
# test_meta_lint.sh: lint finds what it is there to find, each in a small tree with one fault.
set -eu -o pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fresh() {
	rm -rf "${dir:?}"/*
	local room
	for room in base policy numa segments tls api; do
		mkdir -p "$dir/src/$room"
		printf '/* %s.h */\n' "$room" >"$dir/src/$room/$room.h"
		printf '/* %s.c */\n#include "%s/%s.h"\n' "$room" "$room" "$room" >"$dir/src/$room/$room.c"
	done
	mkdir -p "$dir/stress"
	printf '/* a */\n' >"$dir/stress/a.c"
}

refused() { # refused FILE TEXT WHAT: with TEXT in FILE, lint must name FILE and fail
	fresh
	[ -e "$dir/$1" ] || printf '/* new */\n' >"$dir/$1"
	printf '%b\n' "$2" >>"$dir/$1"
	local said
	if said=$("$here/lint.sh" "$dir" layers); then
		echo "not found: $3"
		exit 1
	elif [[ $said != *"$1"* ]]; then
		echo "$3: found, but $1 is not named: $said"
		exit 1
	fi
}

accepted() { # accepted FILE TEXT WHAT
	fresh
	[ -e "$dir/$1" ] || printf '/* new */\n' >"$dir/$1"
	printf '%b\n' "$2" >>"$dir/$1"
	"$here/lint.sh" "$dir" layers >"$dir/said" || {
		echo "refused: $3: $(cat "$dir/said")"
		exit 1
	}
}

accepted src/api/api.c '#include "base/base.h"\n#include "tls/tls.h"' 'includes that point down'
accepted src/base/os.c '#include <sys/mman.h>' 'mmap in os.c'
accepted src/base/rcu.c '#include <urcu/urcu-bp.h>' 'liburcu in rcu.c'
accepted src/numa/place.c '#include <hwloc.h>\n#include <numaif.h>' 'hwloc in numa'
accepted src/base/base.c ' * pthread_mutex_lock in a comment' 'a word in a comment'
accepted src/api/api.c '#include "hakmem.h"' 'the public header in api'

rooms=(base policy numa segments tls api)
for low in 0 1 2 3 4; do
	for ((high = low + 1; high < 6; high++)); do
		refused "src/${rooms[low]}/${rooms[low]}.c" "#include \"${rooms[high]}/${rooms[high]}.h\"" \
			"${rooms[low]} includes ${rooms[high]}"
	done
done
refused src/base/base.h '  #  include "tls/tls.h"' 'an include with spaces'
refused src/tls/tls.c '#include "heap.h"' 'an include without its room'
refused src/tls/tls.c '#include "../base/base.h"' 'an include by a relative path'
refused src/tls/tls.c '#include "base/gone.h"' 'a header that does not exist'
refused src/tls/tls.c '#include "hakmem.h"' 'the public header below api'
refused src/tls/tls.c '#include <sys/mman.h>' 'mman.h outside os.c'
refused src/base/osx.c '#include <sys/mman.h>' 'mman.h beside os.c'
refused src/segments/segments.c '#include <numaif.h>' 'numaif.h outside numa'
refused src/base/base.c '#include <hwloc.h>' 'hwloc outside numa'
refused src/numa/numa.c '#include <urcu-bp.h>' 'liburcu outside rcu'
refused src/tls/tls.c '\tatomic_thread_fence(memory_order_seq_cst);' 'a fence'
refused stress/a.c '\t__sync_synchronize();' 'a fence in stress'
refused src/tls/tls.c '\tpthread_mutex_lock(&m);' 'a mutex'
refused src/tls/tls.c 'static pthread_rwlock_t l;' 'a lock for readers'
refused src/tls/tls.c '\tpthread_spin_lock(&m);' 'a spin lock'
refused src/tls/tls.c "$(printf '\\n%.0s' {1..500})" 'a file of more than 500 lines'
fresh
printf 'int x;\n' >"$dir/src/tls/bare.c"
if "$here/lint.sh" "$dir" layers >/dev/null; then
	echo "not found: a file without an opening comment"
	exit 1
fi
mkdir "$dir/src/attic"
printf '/* x */\n' >"$dir/src/attic/x.c"
rm "$dir/src/tls/bare.c"
if "$here/lint.sh" "$dir" layers >/dev/null; then
	echo "not found: a room that does not exist"
	exit 1
fi
