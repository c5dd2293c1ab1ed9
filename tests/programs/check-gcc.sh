#!/bin/bash
# check-gcc.sh: the compilers under the library, with all the programs they start (cc1, cc1plus,
# as, collect2, ld): objects and programs must be byte for byte those made without it.
# timeout: 240
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

if ! command -v gcc >/dev/null || ! command -v g++ >/dev/null; then
	skip "no gcc or no g++"
fi
cd "$top" || exit 1

cat >"$work/many.cc" <<'CODE'
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

template <int N> struct chain { enum { value = N + chain<N - 1>::value }; };
template <> struct chain<0> { enum { value = 0 }; };

int main()
{
	std::map<std::string, std::vector<int>> lists;
	for (int i = 0; i < 1000; i++) {
		std::ostringstream name;
		name << "list" << i % 37;
		lists[name.str()].push_back(i);
	}
	std::regex pattern("list(1+)");
	long sum = chain<500>::value;
	for (auto &entry : lists)
		if (std::regex_match(entry.first, pattern))
			for (int number : entry.second)
				sum += number;
	std::cout << sum << std::endl;
}
CODE

compile() { # compile DIRECTORY COMMAND...: everything into DIRECTORY
	local into=$1 file
	shift
	mkdir "$into"
	# Names that the outputs contain must not depend on where they go.
	for file in bench/kv_*.c; do
		"$@" gcc -std=gnu11 -O2 -D_GNU_SOURCE -frandom-seed=1 -pipe -c -o "$into/$(basename "$file").o" "$file"
	done
	"$@" gcc -O3 -flto -w -D_GNU_SOURCE -frandom-seed=1 -flto-partition=one -c -o "$into/lto.o" bench/kv_table.c
	"$@" gcc -o "$into/kv_server" "$into"/kv_*.o -lpthread -Wl,--build-id=none
	"$@" g++ -std=c++17 -O2 -frandom-seed=1 -c -o "$into/many.o" "$work/many.cc"
	"$@" g++ -o "$into/many" "$into/many.o" -Wl,--build-id=none
	! "$@" gcc -c -o "$into/bad.o" -x c - <<<'int f(void) { return undeclared; }' 2>"$into/errors"
}

compile "$work/without" plain 2>"$work/without.err"
compile "$work/with" only_preloaded 2>"$work/with.err"
assert_silent "$work/with.err" "$work/with/errors"
diff -r "$work/without" "$work/with" || fail "the compilers' outputs differ"
grep -q undeclared "$work/with/errors" || fail "the error message is missing"
assert_same "output of the C++ program" "$(plain "$work/without/many")" \
	"$(only_preloaded "$work/with/many")"
only_preloaded "$work/with/kv_server" --seconds 1 >"$work/kv.out" 2>"$work/kv.err" ||
	fail "the compiled server fails under the library"
assert_silent "$work/kv.err"

# The compiler proper, which is what allocates, is bound to the library like its driver.
preloaded gcc -O2 -c -o "$work/one.o" -x c - <<<'int one(void) { return 1; }'
count=0
for file in "$work"/bindings.*; do
	assert_bound "$file"
	count=$((count + 1))
done
[ "$count" -ge 3 ] || fail "only $count of gcc, cc1 and as ran under the library"
say "passed: $(find "$work/with" -type f | wc -l) files identical"
