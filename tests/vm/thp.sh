# shellcheck shell=dash
# tests/vm/thp.sh: what a small program with threads occupies under each mode of transparent huge
# pages, in a guest. A huge page for every thread or size would make it many times larger.
# shellcheck source=tests/vm/guest.sh
. ./guest.sh

pages=/sys/kernel/mm/transparent_hugepage
say "huge pages of this kernel at start: $(cat $pages/enabled)"
# Let khugepaged look at everything many times a second, as a busy week would.
echo 10 >$pages/khugepaged/scan_sleep_millisecs
echo 10 >$pages/khugepaged/alloc_sleep_millisecs
echo 100000 >$pages/khugepaged/pages_to_scan

# occupied NAME COMMAND...: sets `value` and `huge` to what footprint prints.
occupied() {
	local what="$1" said
	shift
	said=$("$@" 2>/tmp/stderr) || fail "$what: $said $(cat /tmp/stderr)"
	value=${said% *} huge=${said#* }
	case $value$huge in
	*[!0-9]*) fail "$what: printed '$said'" ;;
	esac
}

# Where a mapping happens to lie decides whether a huge page fits into it.
# most_occupied RUNS NAME COMMAND...: as occupied, of several runs the one that occupies most.
most_occupied() {
	local runs="$1" most=0 most_huge=0
	shift
	while [ "$runs" -gt 0 ]; do
		occupied "$@"
		if [ "$value" -gt $most ]; then
			most=$value most_huge=$huge
		fi
		runs=$((runs - 1))
	done
	value=$most huge=$most_huge
	say "$1: $value KiB, $huge of them in huge pages"
}

for stage in start hold sparse crowd; do
	echo never >$pages/enabled
	most_occupied 1 "$stage, never, glibc" plain ./footprint $stage
	glibc=$value
	most_occupied 1 "$stage, never" hak ./footprint $stage
	# A thread has a system page at least for each size class that it uses: many for a small heap.
	share=13
	[ $stage != crowd ] || share=24
	at_most "$stage, never: KiB (glibc $glibc)" "$value" $((glibc * share / 10 + 1024))
	at_most "$stage, never: KiB in huge pages" "$huge" 0
	limit=$((value * 13 / 10))

	echo madvise >$pages/enabled
	most_occupied 1 "$stage, madvise" hak ./footprint $stage
	at_most "$stage, madvise: KiB" "$value" $limit

	echo always >$pages/enabled
	most_occupied 1 "$stage, always, glibc" plain ./footprint $stage
	most_occupied 8 "$stage, always" hak ./footprint $stage
	at_most "$stage, always: KiB" "$value" $limit
	most_occupied 1 "$stage, always, khugepaged, glibc" plain ./footprint -k 3 $stage
	most_occupied 3 "$stage, always, khugepaged" hak ./footprint -k 3 $stage
	at_most "$stage, always, khugepaged: KiB" "$value" $limit
done
finish
