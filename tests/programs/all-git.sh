#!/bin/bash
# all-git.sh: git under the library: commits, branches, merges, a threaded repack, clone, diff and
# fsck of a repository made twice, with and without; all object names must be the same.
# timeout: 240
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

fetch_package git git
git=$program
export HOME=$work GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_COMMITTER_NAME=c
export GIT_COMMITTER_EMAIL=c@example.org
export GIT_AUTHOR_DATE='1700000000 +0000' GIT_COMMITTER_DATE='1700000000 +0000'
if [[ $git == "$root"/* ]]; then
	export GIT_EXEC_PATH=$root/usr/lib/git-core GIT_TEMPLATE_DIR=$root/usr/share/git-core/templates
fi

history() { # history DIRECTORY COMMAND...: makes the repository with git run by COMMAND
	local at=$1 i n
	shift
	mkdir -p "$at/tree"
	cd "$at/tree" || exit 1
	"$@" "$git" init -q -b main .
	for i in 1 2 3 4 5 6 7 8; do
		mkdir -p "d$i"
		for ((n = 0; n < 60; n++)); do
			seq $((i * n)) $((i * n + 40 * n)) >"d$i/f$n"
		done
		seq 1 $((40000 * i)) >big
		"$@" "$git" add -A
		"$@" "$git" commit -q -m "commit $i"
		[ "$i" != 4 ] || "$@" "$git" branch side
	done
	"$@" "$git" checkout -q side
	echo side >d1/side
	sed -i '5s/^/changed /' d2/f20
	"$@" "$git" add -A
	"$@" "$git" commit -q -m side
	"$@" "$git" checkout -q main
	"$@" "$git" merge -q --no-edit side
	"$@" "$git" -c pack.threads=4 repack -q -a -d -f --depth=20 --window=20
	"$@" "$git" fsck --full --strict --no-progress
	"$@" "$git" clone -q --no-local . "$at/clone"
	"$@" "$git" -C "$at/clone" log --stat --format=%H%n%T%n%s
	"$@" "$git" -C "$at/clone" diff HEAD~6 HEAD | cksum
	"$@" "$git" blame -s d2/f20 | cksum
	"$@" "$git" grep -c 12345 | cksum
	"$@" "$git" -C "$at/clone" status --porcelain
	"$@" "$git" rev-list --objects --all | sort | cksum
	"$@" "$git" archive --format=tar HEAD | cksum
	cd "$top" || exit 1
}

history "$work/without" plain >"$work/without.out" 2>"$work/without.err"
history "$work/with" only_preloaded >"$work/with.out" 2>"$work/with.err"
diff "$work/without.out" "$work/with.out" || fail "the histories differ"
assert_silent "$work/with.err"
assert_same "commits" 10 "$(grep -c '^commit [1-8]$\|^side$\|^Merge' "$work/with.out")"

preloaded "$git" -C "$work/with/tree" log -p >"$work/log" 2>"$work/log.err"
for file in "$work"/bindings.*; do
	assert_bound "$file"
done
assert_same "log -p" "$(plain "$git" -C "$work/with/tree" log -p | cksum)" "$(cksum <"$work/log")"
say "passed: $(grep -cE '^[0-9a-f]{40}$' "$work/with.out") lines of object names the same"
