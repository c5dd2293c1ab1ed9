#!/bin/bash
# selftest.sh: would the models and the stress programs notice? Plants one mistake at a time in a
# copy of the sources, one or two for each lock-free structure, and says which net caught it: the
# explorer's model, or ThreadSanitizer under the structure's own stress program. One that slips
# through, or a line that is no longer there to be changed, is a failure.
#
#   stress/selftest.sh [NAME...]
set -u -o pipefail
cd "$(dirname "$0")/.." || exit 2
cc=${CC:-gcc}
tree=build/selftest

# NAME FILE MODEL PROGRAM@text@what stands there instead. MODEL or PROGRAM may be "-". A structure that is added gets its lines here.
plants() {
	cat <<'END'
inbox-push src/segments/inbox.h inbox stress_protocol_inbox@cas_weak_sc(&inbox@cas_weak_acq(&inbox
inbox-take src/segments/inbox.h inbox -@xchg_sc(&inbox->x_list, NULL)@atomic_exchange_explicit(&inbox->x_list, NULL, memory_order_relaxed)
slices-publish src/segments/span.c slices stress_protocol_slices@or_sc(&r->x_slices[g], word)@or_rlx(&r->x_slices[g], word)
slices-claim src/segments/span.c slices -@cas_weak_acq(&r->x_slices[g], &word, word & ~both)@cas_rlx(&r->x_slices[g], &word, word & ~both)
slices-hint src/segments/span.c slices -@load_sc(&r->x_has_dirty@load_acq(&r->x_has_dirty
purge-batch src/segments/span.c slices -@} while (!cas_weak_acq(&r->x_slices[g], &word,@} while (!cas_rlx(&r->x_slices[g], &word,
whales-publish src/segments/granule.c granules stress_protocol_granules@or_rel(&r->x_slices@or_rlx(&r->x_slices
whales-claim src/segments/granule.c granules -@cas_weak_acq(&r->x_slices@cas_rlx(&r->x_slices
ownerless-let-go src/segments/page.c pages -@OWNER_NOBODY, memory_order_seq_cst)@OWNER_NOBODY, memory_order_release)
ownerless-take src/segments/page.c pages stress_protocol_pages@memory_order_seq_cst, memory_order_seq_cst);@memory_order_relaxed, memory_order_relaxed);
ownerless-mark src/segments/page.c pages -@and_acq(&r->x_partial_words@and_rlx(&r->x_partial_words
reap-leave src/segments/reap.c reap stress_reap@or_sc(&page->x_reaped, units)@or_rlx(&page->x_reaped, units)
reap-owner src/segments/reap.c reap -@load_sc(&page->x_owner) == OWNER_NOBODY@load_rlx(&page->x_owner) == OWNER_NOBODY
reap-tail src/segments/page.h reap -@cas_acq(&page->x_tail, &found, TAIL_HELD)@(store_rlx(&page->x_tail, TAIL_HELD), true)
heaps-put src/tls/pool.c heaps stress_protocol_heaps@cas_weak_rel(stack@cas_rlx(stack
thread-exit src/tls/pool.c leave -@xchg_sc(&h->x_state, HEAP_FREE)@xchg_acq_rel(&h->x_state, HEAP_FREE)
lease src/tls/first_class.c leases -@memory_order_seq_cst, memory_order_seq_cst);@memory_order_seq_cst, memory_order_relaxed);
helper-sleep src/policy/clock.h clock -@load_sc(&clock_now@load_rlx(&clock_now
map src/segments/region.c regions -@cas_acq_rel(entry@cas_rlx(entry
region-list src/segments/region.c regions -@cas_weak_rel(&nodes@cas_rlx(&nodes
topology src/numa/topology.c topology stress_protocol_topology@xchg_acq_rel(&x_current, t)@atomic_exchange_explicit(&x_current, t, memory_order_relaxed)
topology-grace src/numa/topology.c topology -@ && rcu_wait())@)
site-table src/policy/site.c sites -@ || found == caller))@))
guard-free src/segments/guard.c guard stress_protocol_guard@store_rel(&pool->x_states[index], number@store_rlx(&pool->x_states[index], number
policy-merge src/policy/share.c share stress_protocol_share@return cas_acq_rel(&x_current@return cas_rlx(&x_current
END
}

say() {
	printf '%-18s %s\n' "$1" "$2"
}

# A copy in which everything is built, so that a plant costs one or two files.
fresh_tree() {
	rm -rf "$tree"
	mkdir -p "$tree/build" "$tree/tests" "$tree/bench" "$tree/fuzz"
	cp -a src include stress Makefile "$tree"
	cp -a tests/*.mk "$tree/tests"
	cp -a bench/*.mk "$tree/bench" 2>/dev/null
	cp -a fuzz/*.mk "$tree/fuzz" 2>/dev/null
	cp -a "build/$cc-model" "build/$cc-tsan" "$tree/build"
}

# build TARGET BUILD
build() {
	env -u MAKEFLAGS -u MAKELEVEL make -s -C "$tree" CC="$cc" BUILD="$2" "$1" >"$tree/log" 2>&1
}

model_finds() {
	build "build/$cc-model/models" release || return 2
	! "$tree/build/$cc-model/models" run "$1" >"$tree/log" 2>&1
}

stress_finds() {
	build "build/$cc-tsan/stress/$1" tsan || return 2
	TSAN_OPTIONS=halt_on_error=1:exitcode=66:history_size=4 "$tree/build/$cc-tsan/stress/$1" \
		--seconds 10 >"$tree/log" 2>&1
	[ $? -eq 66 ]
}

env -u MAKEFLAGS -u MAKELEVEL make -s CC="$cc" "build/$cc-model/models" || exit 2
mapfile -t programs < <(plants | cut -d@ -f1 | awk -v b="build/$cc-tsan/stress/" '$4 != "-" { print b $4 }')
env -u MAKEFLAGS -u MAKELEVEL make -s CC="$cc" BUILD=tsan "${programs[@]}" || exit 2

passed=0 failed=0
while IFS=@ read -r head from to; do
	read -r name file model program <<<"$head"
	[ $# -eq 0 ] || [[ " $* " == *" $name "* ]] || continue
	fresh_tree
	text=$(<"$file")
	planted=${text/"$from"/"$to"}
	if [ "$planted" = "$text" ] || [[ ${text#*"$from"} == *"$from"* ]]; then
		say "$name" "FAIL: not once in $file: $from"
		failed=$((failed + 1))
		continue
	fi
	printf '%s\n' "$planted" >"$tree/$file"
	nets=''
	[ "$model" = - ] || ! model_finds "$model" || nets="model $model"
	[ "$program" = - ] || ! stress_finds "$program" || nets="$nets${nets:+, }ThreadSanitizer in $program"
	if [ -n "$nets" ]; then
		passed=$((passed + 1))
		say "$name" "found by $nets"
	else
		failed=$((failed + 1))
		say "$name" "FAIL: slipped through"
		tail -n 5 "$tree/log"
	fi
done < <(plants)
rm -rf "$tree"
echo "planted mistakes found: $passed of $((passed + failed))"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
