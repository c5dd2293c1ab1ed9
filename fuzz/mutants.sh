#!/bin/bash
# fuzz/mutants.sh [calls|texts]: plants mistakes, one at a time, in a copy of the sources, and requires
# that each of them is found: in calls by the corpus alone, in what reads text by some seconds of
# libFuzzer, which begins with the corpus. The right sources pass.
set -eu -o pipefail
cd "$(dirname "$0")/.."
which=${1:-calls texts}
seconds=20 # of libFuzzer, where it finds nothing
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r Makefile src include tests stress fuzz "$work"
cd "$work"
unset MAKEFLAGS MAKELEVEL

targets_of() {
	case $1 in calls) echo api threads ;; texts) echo options sysfs limit policy_file ;; *) exit 2 ;; esac
}

# attempt TARGET SECONDS: builds it and runs it; its status, the output in log.
attempt() {
	local program=build/clang-fuzz-tiny/fuzz/fuzz_$1 cc=clang mode=fuzz-tiny
	local -a options=("-max_total_time=$2" -seed=1 -max_len=2048 -verbosity=0 -artifact_prefix=log-)
	case " $(targets_of calls) " in
	*" $1 "*) program=build/gcc-tiny/fuzz/fuzz_$1 cc=gcc mode=tiny options=() ;;
	esac
	make -s -j2 CC=$cc BUILD=$mode "$program" >log 2>&1 || { cat log; exit 1; }
	status=0
	(ulimit -c 0; exec timeout $(($2 + 30)) "$program" "${options[@]}" "fuzz/corpus/$1") >log 2>&1 || status=$?
}

for target in $(for kind in $which; do targets_of "$kind"; done); do
	attempt "$target" 1
	[ $status -eq 0 ] || { echo "fuzz_$target fails without a mistake:"; cat log; exit 1; }
done

missed=0 found=0 planted=$(for kind in $which; do targets_of "$kind"; done | xargs)
# mutant TARGET FILE WHAT FROM TO: replaces the text FROM, which occurs once, by TO.
mutant() {
	local target=$1 file=$2 what=$3 count
	[[ " $planted " == *" $target "* ]] || return 0
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
		attempt "$target" $seconds 2>/dev/null
		if [ $status -eq 0 ]; then
			echo "MISSED $what: fuzz_$target passes with it"
			missed=$((missed + 1))
		else
			echo "found  $what: $(grep -a -m 1 -oE '^(fuzz|hakmem): .*|.* runtime error: .*|ERROR: Address.*' log ||
				echo "status $status")"
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
mutant api src/api/blocks.c "calloc without the check for overflow" \
	$'return NULL;\n\t}\n\treturn alloc_zeroed(bytes);' $'}\n\treturn alloc_zeroed(bytes);'
mutant api src/tls/first_class.c "destroying a heap forgets its mid blocks and whales" \
	'while (h->kept)' 'while (false)'
mutant api src/segments/trim.c "a trimmed unit comes back twice" \
	'away &= away - 1;' ';'
mutant api src/segments/span.c "a purge gives back its neighbour too" \
	'mask = whole && all' 'all |= all << 1; mask = whole && all'
mutant threads src/tls/free.c "a batch for another thread loses its first block" \
	'heap_send(h, to, first, s->last);' \
	'heap_send(h, to, first == s->last ? first : first->next, s->last);'
mutant threads src/tls/pool.c "a thread's end leaves its inbox" \
	$'heap_flush(h);\n\t\txchg' $'xchg'
mutant threads src/segments/page.c "two threads take one page" \
	'return atomic_compare_exchange_strong_explicit(&page->x_owner, &nobody, owner,
		memory_order_seq_cst, memory_order_seq_cst); /* [P1] [P2] */' \
	'store_rlx(&page->x_owner, owner); return nobody == OWNER_NOBODY;'

mutant options src/base/options.c "a number too large is taken for another" \
	'if (__builtin_mul_overflow(n, (size_t)10, &n) ||' 'if ((n *= 10, false) ||'
mutant options src/base/options.c "a value above the most is taken" \
	'*value >= o->least && *value <= o->most' '*value >= o->least'
mutant options src/base/options.c "a soft limit may be above the hard one" \
	'return !part[0] || !part[1] || part[0] <= part[1];' 'return true;'
mutant options src/base/options.c "a name of forty bytes" \
	'if (length < sizeof lower) {' 'if (length <= sizeof lower) {'
mutant options src/base/options.c "a threshold is said in another unit" \
	"kib % 1024 ? 'K' : 'M')" "'K')"
mutant options src/base/options.c "what is said of a path is cut" \
	'char text[OPTION_PATH_BYTES];' 'char text[NAME_BYTES];'
mutant options src/base/check.c "a report quotes the end of a line" \
	"if ((unsigned char)*c < ' ')" 'if (false)'
mutant sysfs src/numa/sysfs.c "digits too many are another number" \
	"n = min_size(n * 10 + (size_t)(*at - '0'), NUMBER_MOST);" "n = n * 10 + (size_t)(*at - '0');"
mutant sysfs src/numa/sysfs.c "a processor more than there is room for" \
	'from < CPUS_MAX; from++' 'from <= CPUS_MAX; from++'
mutant sysfs src/numa/sysfs.c "a processor of two nodes" \
	'if (t->cpu_node[from] != NODE_NONE)' 'if (false)'
mutant sysfs src/numa/sysfs.c "a node that went is as near as any" \
	'if (os_nodes_has(online, t->os[n]))' 'if (true)'
mutant sysfs src/numa/sysfs.c "memory without processors is as good" \
	't->distance[n][m] + (t->flags[m] & NODE_CPUS ? 0 : 2 * DISTANCE_FAR);' 't->distance[n][m];'
mutant sysfs src/numa/sysfs.c "a node that comes back gets another number" \
	'for (unsigned n = 0; old && n < old->count; n++)' 'for (unsigned n = 0; old && n + 1 < old->count; n++)'
mutant limit src/policy/limit.c "a limit of zero is none" \
	'max_size(least - least / GROUP_SHARE, 1);' 'least - least / GROUP_SHARE;'
mutant limit src/policy/limit.c "groups above it do not count" \
	$'if (!slash)\n\t\t\tbreak;' 'break;'
mutant limit src/policy/limit.c "a path that just does not fit" \
	'if (length >= sizeof group)' 'if (length > sizeof group)'
mutant limit src/policy/thp.c "huge pages that no granules fill" \
	'huge_page % granule_bytes == 0' 'huge_page != granule_bytes + 1'
mutant limit src/base/os_numa.c "what fits of a file that is too long" \
	'if (n != 0 || used >= bytes ||' 'if (n < 0 ||'
mutant policy_file src/base/os_numa.c "what lies behind a zero byte is not looked at" \
	'|| memchr(text, 0, used))' ')'
mutant policy_file src/policy/file.c "a file that is nearly right is taken" \
	'return !strcmp(text, again);' 'return !strncmp(text, again, strlen(again));'
mutant policy_file src/policy/file.c "ratings without bounds" \
	'return n < least || n > most ? 0 : n;' 'return n < least && n > most ? 0 : n;'
mutant policy_file src/policy/file.c "a damaged file is written to" \
	'writable = parse(text, &l);' 'writable = parse(text, &l) || l.share.weight[0];'
mutant policy_file src/policy/file.c "a verdict that there is none" \
	'PROMOTE_SMALL)' 'PROMOTE_SMALL + 1)'
mutant policy_file src/policy/patience.c "what was loaded before is not forgotten" \
	'i == number ? idle : 0' 'i == number ? idle : load_rlx(&p->x_gain[bin][i])'
mutant policy_file src/policy/file.c "version 1 is written again" \
	'text, print(&l, VERSION, text)' 'text, print(&l, 1, text)'

echo "$found planted mistakes found, $missed missed"
[ $missed -eq 0 ]
