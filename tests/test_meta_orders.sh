#!/bin/bash
# test_meta_orders.sh: the order table of src/segments/types.h says what covers each pair of
# accesses, and what it says exists: models that claim to prove the entry, stress programs, tests.
# Whatever the sources cite stands in the table.
set -eu -o pipefail
cd "$(dirname "$0")/.."
table=src/segments/types.h
wrong=0
say() {
	echo "$1"
	wrong=$((wrong + 1))
}

# An entry begins with its tag at the start of a line of the comment or after a full stop.
tags=$(grep -oE '^ \*  \[[A-Z][0-9]\]|\. \[[A-Z][0-9]\] x_' "$table" | grep -oE '[A-Z][0-9]' | sort -u)
[ "$(wc -w <<<"$tags")" -ge 25 ] || say "$table: only $(wc -w <<<"$tags") entries are found"

# text TAG: the entry, on one line.
text() {
	sed -n "/^ \*  \[$1\]/,/^ \*\/\|^ \*  \[/p" "$table" | sed '1!{/^ \*  \[\|^ \*\//d}' |
		tr -d '\n*' | tr -s ' '
}

# The models and what they prove: "NAME TAG TAG".
proofs=$(sed -nE -e 's/.*\.model = "([a-z]+)".*/\1/p' -e 's/.*\.proves = "([^"]*)".*/\t\1/p' \
	-e 's/.*SCENARIO\("([a-z]+)", "[^"]*", "([A-Z][^"]*)".*/\1\n\t\2/p' stress/model/*.c |
	awk '/^\t/ { print name $0; next } { name = $1 }')

for tag in $tags; do
	entry=$(text "$tag")
	[ -n "$entry" ] || continue # it stands in the entry before it
	if [[ $entry != *'[T]'* ]]; then
		say "$table: [$tag] does not say what covers it: [T]"
		continue
	fi
	covers=${entry##*'[T]'}
	for word in $(tr -c 'a-z_\n' ' ' <<<"$covers" | sed 's/none .*/none/'); do
		case $word in
		model) ;;
		none) break ;;
		stress_*) [ -f "stress/$word.c" ] || say "[$tag]: there is no stress/$word.c" ;;
		test_*) [ -n "$(compgen -G "tests/$word.*")" ] || say "[$tag]: there is no tests/$word" ;;
		*) grep -qE "^$word	(.* )?$tag[*=]?( |$)" <<<"$proofs" ||
			say "[$tag]: no model $word proves it" ;;
		esac
	done
done

# What a model is said to prove names it.
while read -r model proven; do
	for tag in $proven; do
		tag=${tag%[*=]}
		text "$tag" | grep -qE "\[T\] model $model\b" || say "$table: [$tag] does not name the model $model"
	done
done <<<"$proofs"

# Citations.
for tag in $(grep -rhoE '\[[A-Z][0-9]\+?\]' src --include='*.[ch]' | tr -d '[]+' | sort -u); do
	grep -qx "$tag" <<<"$tags" || say "src cites [$tag], which is not in the order table"
done
[ $wrong -eq 0 ] || exit 1
echo "$(wc -w <<<"$tags") entries are covered as they say"
