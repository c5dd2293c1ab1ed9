#!/bin/bash
# A program with more rights than its caller (set-group-id): works, and ignores HAKMEM_*.
# shellcheck source=tests/shell.sh
. "$(dirname "$0")/shell.sh"
program=${HAK_TEST_LINKED:?names prog_work linked with the library}
[ -x "$program" ] || skip "there is no $program (only built for this project's library)"
[ "$(id -u)" = 0 ] || skip "only root can make a program set-group-id to another group"
group=65534
cp "$program" "$dir/plain"
cp "$program" "$dir/secure"
chmod 755 "$dir" && chgrp $group "$dir/secure" && chmod 2755 "$dir/secure"

expect "without variables" ok "$dir/plain" libhakmem
export HAKMEM_NO_SUCH_OPTION=1 HAKMEM_PURGE_BYTES=bad HAKMEM_STATS=1
"$dir/plain" libhakmem >"$dir/out" 2>"$dir/err" || fail "plain: $(cat "$dir/err")"
grep -q HAKMEM_NO_SUCH_OPTION "$dir/err" || fail "plain: the variables are not read: $(cat "$dir/err")"
said=$("$dir/secure" libhakmem 2>"$dir/err") || fail "secure: $(cat "$dir/err")"
[ "$said" != ok ] || skip "this file system ignores set-group-id"
[ "$said" = "ok secure" ] || fail "secure: said '$said'"
[ ! -s "$dir/err" ] || fail "secure: the environment is not ignored: $(cat "$dir/err")"
