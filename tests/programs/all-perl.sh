#!/bin/bash
# all-perl.sh: perl under the library: hashes, regular expressions, sorting, strings that grow,
# forks, pipes and threads must print what they print without.
# timeout: 180
# shellcheck source=tests/programs/lib.sh
source "$(dirname "$0")/lib.sh"

fetch_package perl perl-base
perl=$program
# A small machine has perl without its modules.
if ! "$perl" -Mthreads -e1 2>/dev/null; then
	# shellcheck disable=SC2016
	version=$("$perl" -MConfig -e 'print $Config{version} =~ /^(\d+\.\d+)/')
	unpack "libperl$version" "perl-modules-$version" || skip "perl's modules cannot be downloaded"
	export PERL5LIB=$root/usr/lib/x86_64-linux-gnu/perl/$version:$root/usr/share/perl/$version
fi

cat >"$work/script" <<'PERL'
use strict; use warnings;
my %count; my $state = 1;
sub random { $state = ($state * 1103515245 + 12345) % 2147483648; return $state % $_[0] }
for (1 .. 200000) { $count{ "word" . random(30000) }++ }
my @top = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print scalar(@top), " @top[0..4]\n";
my $text = join ",", map { $_ x (1 + $count{$_} % 9) } @top;
my $n = () = $text =~ /(w\w+?)(\d)\2/g;
print length($text), " $n\n";
(my $changed = $text) =~ s/word(\d+)/<$1>/g;
print length($changed), " ", unpack("%32C*", $changed), "\n";
my @tree; push @{ $tree[ random(500) ]{ "k" . random(50) } }, "v" x random(3000) for 1 .. 40000;
my $bytes = 0;
for my $branch (@tree) { next unless $branch; for (values %$branch) { $bytes += length for @$_ } }
print "$bytes\n";
undef $tree[$_] for grep { $_ % 3 } 0 .. $#tree;
my @pids;
for my $child (1 .. 6) {
	pipe(my $read, my $write) or die;
	my $pid = fork // die;
	if (!$pid) { my %own = map { $_ => "x" x ($_ % 700) } 1 .. 20000; my $s = 0;
		$s += length for values %own; print $write "$child $s\n"; close $write; exit $child }
	close $write; my $line = <$read>; print $line; waitpid $pid, 0; print $? >> 8, "\n";
}
use threads;
my @threads = map { my $id = $_; threads->create(sub {
	my %own; for (1 .. 20000) { $own{ $_ * $id % 7001 } .= "y" x ($_ % 5) }
	my $sum = 0; $sum += length for values %own; return $sum }) } 1 .. 5;
print "thread ", $_->join, "\n" for @threads;
my $big = ""; $big .= pack("N", $_) for 1 .. 500000;
print length($big), " ", unpack("%32N*", $big), "\n";
local $SIG{ALRM} = sub { print "alarm\n" }; kill ALRM => $$; select undef, undef, undef, 0.01;
exit 9;
PERL

for form in without with; do
	run=plain
	[ $form = without ] || run=preloaded
	status=0
	PERL_HASH_SEED=0 $run "$perl" "$work/script" >"$work/$form.out" 2>"$work/$form.err" ||
		status=$?
	assert_same "exit status $form" 9 "$status"
done
diff "$work/without.out" "$work/with.out" || fail "the outputs differ"
[ ! -s "$work/with.err" ] || fail "something on standard error"
for file in "$work"/bindings.*; do
	assert_bound "$file"
done
assert_same "threads" 5 "$(grep -c '^thread' "$work/with.out")"
say "passed: $(wc -l <"$work/with.out") lines"
