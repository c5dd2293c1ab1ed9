# shellcheck shell=bash disable=SC2034,SC2154
# tests/vm/machines.sh: the machines that placement is tested on. Sourced after tests/vm/lib.sh.

# Sets `guest_files`: what every such machine needs.
get_numa_guest() {
	local numactl
	install_program numactl numactl
	numactl=$program
	get_kernel
	make -s -C "$top" all build/gcc-tests/prog/prog_work >"$work/make.out" 2>&1 ||
		fail "the build failed"
	built=$work/place
	gcc -std=gnu11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Wshadow -Werror -fno-builtin \
		-o "$built" "$vm/place.c" "$vm/place_common.c" -lpthread || fail "place.c does not compile"
	guest_files=(--with "$built" --with "$top/build/gcc-tests/prog/prog_work" --with "$numactl" --with "$top/build/libhakmem-topology.so"
		--with "$(ldconfig -p | sed -n 's/.*liburcu-bp\.so\.8 .*=> //p' | head -n 1)")
}

# numa_machine NAME WHAT: boots it with numa.sh, and adds its rows to `rows`.
rows=()
numa_machine() {
	local options=() distances memory_nodes=0
	case $1 in
	2x2) distances=10,20,20,10 options=(--nodes 2 --memory 768) ;;
	4x2)
		distances=10,15,20,30,15,10,25,20,20,25,10,15,30,20,15,10
		options=(--nodes 4 --memory 512 --distance 0,1=15 --distance 0,3=30 --distance 1,2=25
			--distance 2,3=15) ;;
	2x2+1)
		distances=10,21,17,21,10,31,17,31,10 memory_nodes=1
		options=(--nodes 2 --memory-nodes 1 --memory 512 --distance 0,1=21 --distance 0,2=17
			--distance 1,2=31) ;;
	3x2-1)
		distances=10,20,30,20,10,20,30,20,10
		options=(--nodes 3 --memory 512 --distance 0,2=30 --append movable_node) ;;
	esac
	say "machine $1"
	boot_test numa.sh "${options[@]}" --cpus 2 --seconds "${3:-700}" "${guest_files[@]}" -- "$2" \
		"$memory_nodes" "$distances"
	rows+=("$1 $(sed -n 's/^guest: rows: //p' <<<"$guest_said")")
}

# The least of each row over all machines.
closing_line() {
	printf '%s\n' "${rows[@]}" | awk '
		{ for (i = 2; i < NF; i += 2) { if (!($i in least) || $(i + 1) < least[$i]) least[$i] = $(i + 1) } }
		END { printf "numa: local %s crossfree %s reborn %s moved %s\n", least["local"],
			least["crossfree"], least["reborn"], least["moved"] }'
}
