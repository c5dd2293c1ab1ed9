# shellcheck shell=bash disable=SC2034
# tests/busy.sh: more time on a machine that has more to do than it can. Sourced by the runners.

# give_time LIMIT: sets `seconds`, for what may take LIMIT on a machine with nothing else to do: as
# many times that as there are tasks for a processor, up to four.
give_time() {
	local load processors
	processors=$(nproc)
	read -r load _ <"${HAK_TEST_LOADAVG:-/proc/loadavg}" || load=0
	seconds=$(($1 * ${load%.*} / processors))
	[ "$seconds" -ge "$1" ] || seconds=$1
	[ "$seconds" -le $(($1 * 4)) ] || seconds=$(($1 * 4))
}
