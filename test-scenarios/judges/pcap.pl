#!/usr/bin/perl
# pcap.pl -- hexadecimal messages, one a line, to a capture file in which each
# is a UDP datagram to port 2269 (MIKEY's).  Nothing was captured.
use strict;
use warnings;

binmode STDOUT;
print pack('VvvVVVV', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101); # raw IP
while (my $line = <STDIN>) {
    chomp $line;
    my $msg = pack('H*', $line);
    my $udp = pack('nnnn', 40000, 2269, 8 + length($msg), 0) . $msg;
    my $ip = pack('CCnnnCCnNN', 0x45, 0, 20 + length($udp), 1, 0, 64, 17, 0,
                  0x7f000001, 0x7f000001) . $udp;
    print pack('VVVV', 1, 0, length($ip), length($ip)), $ip;
}
