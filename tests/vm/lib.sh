# shellcheck shell=bash disable=SC2034,SC2154
# tests/vm/lib.sh: what the tests that boot a kernel share. Sourced after tests/programs/lib.sh.
#
# A test runs a script of this directory on one or more machines. What the script says is shown;
# it counts as passed when it says so in its last line and its status is 0.

vm=$top/tests/vm

# Sets `kernel`: Debian's for virtual machines, which has all it needs built in. Only that one file
# is taken out of its package.
get_kernel() {
	local package
	kernel=$programs/vmlinuz
	install_program qemu-system-x86_64 qemu-system-x86
	install_program busybox busybox-static
	install_program cpio cpio
	[ ! -s "$kernel" ] || return 0
	package=$(kernel_package)
	if [ -z "$package" ] && [ "$(id -u)" -eq 0 ]; then
		apt-get -q update >"$work/apt.log" 2>&1 || skip "no package lists"
		package=$(kernel_package)
	fi
	[ -n "$package" ] || skip "no package of a kernel for virtual machines"
	(
		cd "$work"
		apt-get -o APT::Sandbox::User=root -q download "$package" >"$work/apt.log" 2>&1
	) || skip "$package cannot be downloaded"
	dpkg-deb --fsys-tarfile "$work/$package"_*.deb |
		tar -xf - -O --wildcards './boot/vmlinuz-*' >"$work/vmlinuz"
	[ -s "$work/vmlinuz" ] || fail "package $package has no kernel"
	rm -f "$work/$package"_*.deb
	mv "$work/vmlinuz" "$kernel"
}

kernel_package() {
	apt-cache depends linux-image-cloud-amd64 2>/dev/null |
		sed -n 's/^ *Depends: \(linux-image-.*\)$/\1/p'
}

# build_guest NAME: sets `built` to the program made of tests/vm/NAME.c.
build_guest() {
	built=$work/$1
	gcc -std=gnu11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Wshadow -Werror -fno-builtin \
		-o "$built" "$vm/$1.c" -lpthread || fail "$1.c does not compile"
}

# boot_test SCRIPT [OPTION...] [-- ARGUMENT...]: boots with tests/vm/SCRIPT, which must pass. What it
# said is in `guest_said` then.
boot_test() {
	local script=$1 status=0 begin=$SECONDS options=()
	shift
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	[ $# -eq 0 ] || shift
	TMPDIR=$work "$vm/boot" --kernel "$kernel" --with "$vm/guest.sh" --with "$HAK_LIB" "${options[@]}" \
		"$vm/$script" "$@" >"$work/guest.out" 2>"$work/guest.err" || status=$?
	cat "$work/guest.out"
	[ $status -eq 0 ] || fail "$script: status $status"
	tail -n 1 "$work/guest.out" | grep -q '^guest: [1-9][0-9]* checks passed$' ||
		fail "$script ended early"
	say "$script: $((SECONDS - begin)) s"
	guest_said=$(cat "$work/guest.out")
	rm -f "$work"/guest.*
}
