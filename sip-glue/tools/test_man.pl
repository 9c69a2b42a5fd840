#!/usr/bin/perl
# test_man.pl -- mcx.conf(5) names every setting that there is, with each word
# and the default it may have, and no others.  Settings are read from where
# modules and programs declare them.  Run by `make check`; $srcdir names the
# source.
use strict;
use warnings;

my $src = $ENV{srcdir} // '.';
my ($failed, $known) = (0, 0);

sub slurp {
    my ($path) = @_;
    open my $fh, '<', $path or die "$path: $!\n";
    local $/;
    return scalar <$fh>;
}
sub bad {
    print "FAIL: @_\n";
    $failed++;
}

# Section -> setting -> its text.
my %man;
for (split /^\.Ss Settings of /m, slurp("$src/sip-glue/tools/mcx.conf.5")) {
    my ($head, $rest) = /^(.*?)\n(.*?)^\.El$/ms or next;
    my @items = split /^\.It Cm /m, $rest;
    shift @items;
    for my $item (@items) {
        my ($names, $text) = split /\n/, $item, 2;
        for my $name (split / , /, $names) {
            bad("$head: $name twice") if $man{$head}{$name};
            $man{$head}{$name} = $text;
        }
    }
}

my %said; # section -> settings that were declared
sub judge {
    my ($section, $name, $fallback, $words) = @_;
    my $text = $man{$section}{$name};
    $known++;
    $said{$section}{$name} = 1;
    if (!defined $text) {
        bad("\"Settings of $section\": $name is missing");
        return;
    }
    for my $word (split ' ', $words // '') {
        $text =~ /^\.Cm \Q$word\E\b/m
            or bad("$section: $name does not say $word");
    }
    # "no" may go without saying where "yes" is explained, and so on.
    if (defined $fallback && !defined $words) {
        $text =~ /(?<![\w-])\Q$fallback\E(?![\w-])/
            or bad("$section: $name does not say its default, $fallback");
    } elsif (defined $fallback) {
        $text =~ /default/ or bad("$section: $name has no default");
    }
}

# Modules: { .name = "x", .type = MCX_OPT_..., .fallback = "y", ... }
my @modules = glob "$src/modules/*/*_module.c";
die "no modules\n" unless @modules > 4;
for my $file (@modules) {
    my ($section) = $file =~ m{modules/([^/]+)/};
    my $c = slurp($file);
    while ($c =~ /\{ \.name = "([^"]+)", \.type = MCX_OPT_(.*?)\},?$/gms) {
        my ($name, $more) = ($1, $2);
        my ($fallback) = $more =~ /\.fallback = "([^"]*)"/;
        my ($words) = $more =~ /\.words = "([^"]*)"/;
        judge("module $section", $name, $fallback, $words);
    }
}
# Programs: { "x", MCX_OPT_..., "y" or NULL, min, max, "words" or NULL, ...
my %where = ('sip-glue/tools/ua_main.c' => ['mcx-ua'],
    'sip-glue/tools/pf_main.c' => ['mcx-pf'],
    'sip-glue/tools/app_config.h' =>
        ['the library and of both programs', 'mcx-ua and mcx-pf']);
for my $file (sort keys %where) {
    my $c = slurp("$src/$file");
    my @of = @{$where{$file}};
    my $n = 0;
    while ($c =~ /\{ "([^"]+)", MCX_OPT_\w+, (NULL|"[^"]*"), [^,]+, [^,]+,[\s\\]*(NULL|"[^"]*"),/g) {
        my ($name, $fallback, $words) = ($1, $2, $3);
        my ($section) = grep { $man{$_}{$name} } @of;
        s/^"(.*)"$/$1/ for $fallback, $words;
        judge($section // $of[-1], $name,
            $fallback eq 'NULL' ? undef : $fallback,
            $words eq 'NULL' ? undef : $words);
        $n++;
    }
    die "$file: no settings\n" unless $n;
}
# And nothing that nobody reads; "role" is for programs that are not ours.
delete $man{'a peer'};
delete $man{'the library and of both programs'}{role};
for my $section (sort keys %man) {
    for (sort keys %{$man{$section}}) {
        bad("\"Settings of $section\": nobody reads $_") unless $said{$section}{$_};
    }
}
print "$known settings, $failed failed\n";
exit($failed || $known < 60 ? 1 : 0);
