#!/bin/bash
# fuzz/mutants.sh: plants mistakes, one at a time, in a copy of the sources, and requires that the
# corpus alone (or, where it says fuzz, some seconds of fuzzing) finds each of them. The right
# sources pass.
set -eu -o pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r Makefile src include tests stress fuzz "$work"
cd "$work"
unset MAKEFLAGS MAKELEVEL

build() {
	make -s -j2 CC=gcc BUILD=tiny fuzz-build >log 2>&1 || { cat log; exit 1; }
}

# replay TARGET: its status, the output in log
replay() {
	status=0
	(ulimit -c 0; exec timeout 30 "build/gcc-tiny/fuzz/fuzz_$1" "fuzz/corpus/$1") >log 2>&1 || status=$?
}

build
for target in api threads; do
	replay $target
	[ $status -eq 0 ] || { echo "fuzz_$target fails without a mistake:"; cat log; exit 1; }
done

missed=0 found=0
# mutant TARGET FILE WHAT FROM TO: replaces the text FROM, which occurs once, by TO.
mutant() {
	local target=$1 file=$2 what=$3 count
	cp "$file" kept
	count=$(FROM=$4 TO=$5 python3 - "$file" <<-'END'
		import os, sys
		path, old, new = sys.argv[1], os.environ["FROM"], os.environ["TO"]
		text = open(path).read()
		open(path, "w").write(text.replace(old, new))
		print(text.count(old))
	END
	)
	if [ "$count" -ne 1 ]; then
		echo "MISSED $what: '$4' occurs $count times in $file: this script needs another place"
		missed=$((missed + 1))
	else
		build
		replay "$target" 2>/dev/null
		if [ $status -eq 0 ]; then
			echo "MISSED $what: fuzz_$target passes with it"
			missed=$((missed + 1))
		else
			echo "found  $what: $(grep -m 1 -E '^(fuzz|hakmem): ' log || echo "status $status")"
			found=$((found + 1))
		fi
	fi
	cp kept "$file"
	touch "$file"
}

mutant api src/tls/alloc.c "calloc leaves small blocks as they are" \
	'return block && !zero ? memset(block, 0, size) : block;' 'return block;'
mutant api src/tls/alloc.c "HAK_ZERO clears what was asked, not all that may be used" \
	'memset(block, 0, block_bytes(block));' 'memset(block, 0, size);'
mutant api src/tls/heap.c "reused memory is taken for zero" \
	'*zero = page->zero &&' '*zero = true &&'
mutant api src/segments/span.c "resident slices are taken for zero" \
	'*zero = !dirty && !os_purged_lazily();' '*zero = true;'
mutant api src/tls/alloc.c "alignment by the class's size alone" \
	'(class_bytes(c) & (align - 1))' '(class_bytes(c) & (align / 2 - 1))'
mutant api src/tls/alloc.c "realloc copies half" \
	'memcpy(fresh, block, min_size(size, old));' 'memcpy(fresh, block, min_size(size, old) / 2);'
mutant api src/tls/alloc.c "realloc grows in place into its neighbour" \
	'return size <= old && (size' 'return size <= old + 16 && (size'
mutant api src/segments/whale.c "a whale's last granule is left to others" \
	'return (bytes + GRANULE_BYTES - 1) >> GRANULE_SHIFT;' 'return bytes >> GRANULE_SHIFT;'
mutant api src/api/hakmem.c "calloc without the check for overflow" \
	$'return NULL;\n\t}\n\treturn alloc_zeroed(bytes);' $'}\n\treturn alloc_zeroed(bytes);'
mutant api src/tls/first_class.c "destroying a heap forgets its mid blocks and whales" \
	'while (h->kept)' 'while (false)'
mutant api src/segments/trim.c "a trimmed unit comes back twice" \
	'away &= away - 1;' ';'
mutant api src/segments/span.c "a purge gives back its neighbour too" \
	'mask = whole && all' 'all |= all << 1; mask = whole && all'
mutant threads src/tls/free.c "a batch for another thread loses its first block" \
	'inbox_push(&to->inbox, s->first, s->last);' \
	'inbox_push(&to->inbox, s->first == s->last ? s->first : s->first->next, s->last);'
mutant threads src/tls/free.c "what came to the heap of an ended thread is lost" \
	'if (unlikely(load_sc(&to->x_state) == HEAP_FREE))' 'if (false)'
mutant threads src/tls/pool.c "a thread's end leaves its inbox" \
	$'heap_flush(h);\n\t\txchg' $'xchg'
mutant threads src/segments/page.c "two threads take one page" \
	'return atomic_compare_exchange_strong_explicit(&page->x_owner, &nobody, owner,
		memory_order_seq_cst, memory_order_seq_cst); /* [P1] [P2] */' \
	'store_rlx(&page->x_owner, owner); return nobody == OWNER_NOBODY;'

echo "$found planted mistakes found, $missed missed"
[ $missed -eq 0 ]
