#!/usr/bin/perl
# coverage.pl -- lines of the codec that tests and corpus reached, by gcov.
#
#   coverage.pl MIN_PERCENT SRCDIR FOLDER... -- NOT_THIS_FILE...
#
# Run in a build folder of --enable-coverage when the tests have run (`make
# coverage` does all of it).  Prints a table, file by file, and every line that
# nothing reached, with its reason from uncovered.txt beside this program.
# Writes coverage/report.txt and coverage/index.html with a page for each file.
#
# Exit 1: under MIN_PERCENT of the lines, or a line without a reason.  A stated
# line that was reached is told, and no more: some are reached on some days.
# Exit 2: it could not tell.
#
# uncovered.txt: "FILE FUNCTION: reason" and, below it and indented, the lines
# as the source has them, in their order.  Numbers of lines play no part, so
# the statement outlives what moves the lines; white space does not count.  A
# line of some length is found in another function of its file too, and that is
# told.  Reasons may go on over lines that begin with "|".
use strict;
use warnings;
use File::Find;
use JSON::PP;

sub stop { print STDERR @_; exit 2 }

my ($min, $src, @folders) = @ARGV;
splice @ARGV, 0, 2;
my (%not, %want);
my $to = \%want;
for (@ARGV) {
    if ($_ eq '--') { $to = \%not; next }
    $to->{$_} = 1;
}
stop "usage: coverage.pl MIN_PERCENT SRCDIR FOLDER... -- FILE...\n"
    unless %want && -d $src;

# ---- what gcov counted ---------------------------------------------------
# A header's line counts once, wherever it was compiled in.
my (%count, %func);
my @notes;
find({ no_chdir => 1,
       wanted => sub { push @notes, $_ if /\.gcno$/ } }, keys %want);
stop "coverage.pl: no object built for gcov here\n" unless @notes;
for my $note (sort @notes) {
    # Its remarks on objects that never ran say nothing new.
    open my $gcov, '-|', "gcov --stdout --json-format '$note' 2>/dev/null"
        or stop "gcov: $!\n";
    local $/;
    my $text = <$gcov>;
    close $gcov or stop "gcov $note failed\n";
    for my $f (@{ decode_json($text)->{files} }) {
        my ($name) = $f->{file} =~ m{(modules/core/.*)} or next;
        my ($dir, $base) = $name =~ m{(.*)/(.*)};
        next if !$want{$dir} || $not{$name} || $base =~ /^test_/;
        for my $l (@{ $f->{lines} }) {
            $count{$name}{ $l->{line_number} } += $l->{count};
            $func{$name}{ $l->{line_number} } = $l->{function_name};
        }
    }
}

# ---- what is stated ------------------------------------------------------
sub plain { my $t = shift; $t =~ s/\s+/ /g; $t =~ s/^ | $//g; return $t }

my $list = "$src/test-scenarios/coverage/uncovered.txt";
my @stated; # { file, func, reason, text, at, used }
open my $in, '<', $list or stop "$list: $!\n";
my ($file, $fn, $reason, $has);
while (my $l = <$in>) {
    next if $l =~ /^#|^\s*$/;
    if ($l =~ /^(\S+) (\w+): (.*\S)$/) {
        stop "$list:$.: no line below the one before\n" if $file && !$has;
        ($file, $fn, $has) = ($1, $2, 0);
        my $r = $3;
        $reason = \$r;
    } elsif ($reason && !$has && $l =~ /^\|\s*(.*\S)$/) {
        $$reason .= " $1";
    } elsif ($reason && $l =~ /^\s+\S/) {
        push @stated, { file => $file, func => $fn, reason => $reason,
                        text => plain($l), at => $. };
        $has = 1;
    } else {
        stop "$list:$.: what is this?\n";
    }
}
close $in;

# The reasons of the lines that were not reached, by file and number; first
# where the function is the stated one, then wherever the line moved to.
my (%source, %why, @moved);
sub match {
    my ($name, $i, $anywhere) = @_;
    my $text = plain($source{$name}[$i - 1]);
    return if $anywhere && length $text < 20; # "return NULL;" is everywhere
    for my $s (@stated) {
        if (!$s->{used} && $s->{file} eq $name && $s->{text} eq $text
            && ($anywhere || $s->{func} eq $func{$name}{$i})) {
            $s->{used} = 1;
            push @moved, "uncovered.txt:$s->{at}: now in "
                . "$func{$name}{$i}(): $s->{file} $s->{func}\n"
                if $anywhere;
            return ${ $s->{reason} };
        }
    }
    return;
}
for my $name (sort keys %count) {
    open my $s, '<', "$src/$name" or stop "$name: $!\n";
    $source{$name} = [<$s>];
    close $s;
}
for my $anywhere (0, 1) {
    for my $name (sort keys %count) {
        for my $i (sort { $a <=> $b } keys %{ $count{$name} }) {
            if (!$count{$name}{$i} && !defined $why{$name}{$i}) {
                $why{$name}{$i} = match($name, $i, $anywhere);
            }
        }
    }
}

# ---- the report ----------------------------------------------------------
sub escaped {
    my $t = shift;
    $t =~ s/&/&amp;/g;
    $t =~ s/</&lt;/g;
    return $t;
}
sub page {
    my ($path, $title, $body) = @_;
    open my $out, '>', $path or stop "$path: $!\n";
    print $out "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n",
        "<title>$title</title>\n<style>pre,td{font:13px monospace}",
        "td{padding-right:2em}.m{background:#fbb}.r{background:#fe9}",
        "</style>\n<h1>$title</h1>\n$body";
    close $out or stop "$path: $!\n";
}

mkdir 'coverage';
my ($all, $hit, $without, @rows) = (0, 0, 0);
my ($report, $misses, $index) = ('', '', "<table>\n");
for my $name (sort keys %count) {
    my $c = $count{$name};
    my @text = @{ $source{$name} };
    my $n = keys %$c;
    my $h = grep { $_ } values %$c;
    $all += $n;
    $hit += $h;
    my $row = sprintf '%-36s %5d of %5d  %5.1f %%', $name, $h, $n,
        100 * $h / $n;
    $report .= "$row\n";
    my $html = '<pre>';
    my $before = '';
    for my $i (1 .. @text) {
        my ($mark, $said) = ('', '');
        if (defined $c->{$i} && !$c->{$i}) {
            my $f = $func{$name}{$i};
            my $r = $why{$name}{$i};
            my $head = "$name $f: " . ($r // 'NO REASON');
            $without++ if !defined $r;
            $misses .= "\n$head\n" if $head ne $before;
            $before = $head;
            $misses .= sprintf '%6d  %s', $i, $text[$i - 1];
            ($mark, $said) = defined $r ? ('r', $r) : ('m', 'NO REASON');
        }
        $html .= sprintf '%5d %9s  ', $i, $c->{$i} // '';
        my $t = escaped($text[$i - 1]);
        chomp $t;
        $html .= $mark ? "<span class=$mark title=\"" . escaped($said)
            . "\">$t</span>\n" : "$t\n";
    }
    (my $p = "$name.html") =~ s{/}{_}g;
    page("coverage/$p", $name, "$html</pre>\n");
    $index .= "<tr><td><a href=\"$p\">$name</a><td>$h<td>$n<td>"
        . sprintf("%.1f %%\n", 100 * $h / $n);
}
my $total = sprintf '%-36s %5d of %5d  %5.2f %%', 'the codec', $hit, $all,
    100 * $hit / $all;
$report .= "$total\n";
$index .= "</table>\n<p>$total</p>\n<pre>" . escaped($misses) . "</pre>\n";
page('coverage/index.html', 'Coverage of the codec', $index);

my $told = join '', @moved;
for my $s (grep { !$_->{used} } @stated) {
    $told .= "uncovered.txt:$s->{at}: reached, or gone: $s->{file} "
        . "$s->{func}: $s->{text}\n";
}
$report .= $misses ? "\nLines that nothing reached:\n$misses" : '';
$report .= $told ? "\n$told" : '';
open my $out, '>', 'coverage/report.txt' or stop "coverage/report.txt: $!\n";
print $out $report;
close $out or stop "coverage/report.txt: $!\n";
print $report;
printf "%s: %d lines not reached, %d of them without a reason "
    . "(coverage/index.html)\n", $total, $all - $hit, $without;
my $bad = 100 * $hit < $min * $all;
print STDERR "FAILED: under $min % of the codec's lines\n" if $bad;
print STDERR "FAILED: $without lines without a reason in uncovered.txt\n"
    if $without;
exit($bad || $without ? 1 : 0);
