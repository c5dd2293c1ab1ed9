#!/bin/bash
# man.sh: fills in docs/hakmem.7.in from the table of options and the public header.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n 's/^#define HAK_VERSION_STRING "\(.*\)"/\1/p' include/hakmem.h)

# The preprocessor reads the table, as the library's own build does.
options() {
	local entry='.TP\n\\fBHAKMEM_%s\\fR (%s, default %s%s)\n%s\n'
	{
		echo '#define OPTION(name, kind, value, least, most, when, text) @@ name @ kind @ value @ when @ text'
		echo '#include "src/base/options.def"'
	} | cpp -P -DKIB=K -DMIB=M -DGIB=G -DTIB=T -DGUARD_SAMPLE_DEFAULT=0 -I. - | tr '\n' ' ' | sed 's/@@/\n/g' |
		while IFS=@ read -r name kind value when text || [ -n "$name" ]; do
			[ -n "${text// /}" ] || continue
			name=$(tr -d ' ' <<<"$name" | tr '[:lower:]' '[:upper:]')
			kind=$(tr -d ' ' <<<"$kind" | tr '[:upper:]' '[:lower:]')
			value=$(sed 's/ \* //; s/ //g' <<<"$value")
			[ "$kind" != nodes ] || value=system
			[ "$kind" != policy ] || value=learn
			[ "$kind" != path ] || value=none
			[ "$kind" != numa ] || value=preferred
			case $when in *START*) when=', at start-up only' ;; *) when= ;; esac
			text=$(sed 's/" *"//g; s/^ *"//; s/" *$//' <<<"$text")
			# shellcheck disable=SC2059
			printf "$entry" "$name" "$kind" "$value" "$when" "$text"
		done
}

sed "s/@VERSION@/$version/" docs/hakmem.7.in | while IFS= read -r line; do
	if [ "$line" = @OPTIONS@ ]; then options; else printf '%s\n' "$line"; fi
done
