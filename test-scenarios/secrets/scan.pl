#!/usr/bin/perl
# scan.pl -- searches memory of processes, and files, for secrets.
#
#   scan.pl NEEDLES [dump:NAME:PID | all:NAME:PID | file:PATH ...]
#
# NEEDLES: lines "name hexadecimal".  Each is searched as octets, as hexadecimal
# digits of either case, and as base64.  "dump" is what a core dump would hold,
# that is every mapping the kernel may write to one; "all" is all of it.  Prints
# a line for each secret and place; exit 0 nothing found, 1 found, 2 could not
# look.  Called by test_secrets.sh; knows nothing of what the secrets are.
use strict;
use warnings;
no warnings 'portable'; # addresses have 64 bits
use MIME::Base64 qw(encode_base64);

my ($file, @places) = @ARGV;
my (%forms, $found, $longest);
$found = $longest = 0;
open my $in, '<', $file or exit 2;
while (<$in>) {
    my ($name, $hex) = /^(\S+) ([0-9a-fA-F]{32,})$/ or die "needle: $_";
    my $raw = pack 'H*', $hex;
    my %f = (octets => $raw, digits => lc $hex, DIGITS => uc $hex);
    # The last group depends on what follows; the needle may begin anywhere.
    for my $skip (0 .. 2) {
        my $part = substr $raw, $skip;
        $part = substr $part, 0, 3 * int(length($part) / 3);
        $f{"base64+$skip"} = encode_base64($part, '');
    }
    $forms{$name} = \%f;
    for (values %f) {
        $longest = length if length > $longest;
    }
}
die "no needles\n" unless %forms;

my %seen;
sub search {
    my ($text, $where, $start) = @_;
    for my $name (sort keys %forms) {
        for my $form (sort keys %{$forms{$name}}) {
                my $i = index $$text, $forms{$name}{$form};
            next if $i < 0 || $seen{"$name $form $where"}++;
            printf "%s as %s in %s, at %#x\n", $name, $form, $where, $start + $i;
            $found = 1;
        }
    }
}

# In pieces that overlap, so that nothing hides at a border.
sub stream {
    my ($fh, $from, $to, $where) = @_;
    my ($tail, $at, $read) = ('', $from, 0);
    while (!defined $to || $at < $to) {
        my $want = 1 << 20;
        $want = $to - $at if defined $to && $to - $at < $want;
        sysseek $fh, $at, 0 or return $read;
        my $piece;
        my $n = sysread $fh, $piece, $want;
        return $read unless $n;
        $read += $n;
        $at += $n;
        $tail .= $piece;
        search(\$tail, $where, $at - length $tail);
        $tail = substr $tail, -$longest if length $tail > $longest;
    }
    return $read;
}

sub memory {
    my ($pid, $name, $all) = @_;
    my (@maps, $cur);
    open my $smaps, '<', "/proc/$pid/smaps" or die "$name: no process $pid\n";
    while (<$smaps>) {
        if (/^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/) {
            $cur = { from => hex $1, to => hex $2, mode => $3, what => $4 };
            push @maps, $cur;
        } elsif (/^VmFlags:(.*)$/) {
            $cur->{dump} = $1 !~ /\bdd\b/;
        }
    }
    open my $mem, '<', "/proc/$pid/mem" or die "$name: $!\n";
    my $read = 0;
    for my $m (@maps) {
        # Guard pages cannot be read; code and data of files hold no secret
        # unless written to, and then they are private and writable.
        next if $m->{mode} !~ /^r/ || $m->{what} =~ /^\[v(var|dso|syscall)/;
        next if $m->{mode} !~ /w/ && !$all;
        next if !$all && !$m->{dump};
        next if $m->{to} - $m->{from} > 1 << 32; # a sanitizer's shadow
        $read += stream($mem, $m->{from}, $m->{to},
            "$name (" . ($m->{what} || 'anonymous') . ')');
    }
    die "$name: nothing could be read\n" unless $read;
}

for my $place (@places) {
    if ($place =~ /^(dump|all):([^:]+):(\d+)$/) {
        memory($3, $2, $1 eq 'all');
    } elsif ($place =~ /^file:(.+)$/) {
        open my $fh, '<:raw', $1 or die "$1: $!\n";
        stream($fh, 0, undef, $1);
    } else {
        die "what is $place?\n";
    }
}
exit $found;
