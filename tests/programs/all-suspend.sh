#!/bin/bash
# all-suspend.sh: ten thousand times a thread is stopped inside the allocator, and all others go on.
# timeout: 240
set -eu -o pipefail
cd "$(dirname "$0")/../.."
cc=${CC:-gcc}
program=build/$cc-release/stress/stress_suspend
env -u MAKEFLAGS -u MAKELEVEL make -s -j2 CC="$cc" BUILD=release "$program"
SUSPEND_STOPS=10000 "$program" --seconds 90
