#!/usr/bin/perl
# unseal.pl -- prints what is in sealed files of module kms, as a thief with
# the key file would: XAES-256-GCM as C2SP describes it, with the openssl
# command for AES, and no code of ours.  The tag is not looked at.
#
#   unseal.pl KEY-FILE FILE...
#
# Called by test_secrets.sh.
use strict;
use warnings;
use IPC::Open2;

sub slurp {
    my ($path) = @_;
    open my $fh, '<:raw', $path or die "$path: $!\n";
    local $/;
    return scalar <$fh>;
}
# openssl enc; @mode names cipher and key.
sub aes {
    my ($in, @mode) = @_;
    my $pid = open2(my $out, my $to, 'openssl', 'enc', @mode);
    binmode $_ for $out, $to;
    # Files here are smaller than a pipe's buffer.
    print $to $in;
    close $to;
    local $/;
    my $text = <$out>;
    waitpid $pid, 0;
    die "openssl\n" if $? || length $text != length $in;
    return $text;
}

my ($key_file, @files) = @ARGV;
my ($key) = slurp($key_file) =~ /^([0-9a-fA-F]{64})\s*$/ or die "key file\n";
my @ecb = ('-aes-256-ecb', '-nopad', '-K', $key);
# K1 of CMAC: L doubled in GF(2^128).
my $bits = unpack 'B*', aes("\0" x 16, @ecb);
my $k1 = pack 'B*', substr($bits, 1) . '0';
$k1 ^= "\0" x 15 . "\x87" if $bits =~ /^1/;
for my $file (@files) {
    my $sealed = slurp($file);
    next if length $sealed <= 40;
    my $nonce = substr $sealed, 0, 24;
    my $blocks = join '', map { pack('CCA1C', 0, $_, 'X', 0)
        . substr $nonce, 0, 12 } 1, 2;
    my $derived = unpack 'H*', aes($blocks ^ ($k1 x 2), @ecb);
    my $first = unpack('H*', substr $nonce, 12) . '00000002';
    print aes(substr($sealed, 24, -16), '-aes-256-ctr', '-K', $derived,
        '-iv', $first), "\n";
}
