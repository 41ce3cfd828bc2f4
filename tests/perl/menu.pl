#!/usr/bin/perl
# A menu made of Net::SIP, whose SIP, RTP and ears for digits are its own. One call at a time: it says
# menu, the key 3 says about, the key * menu again, the key # goodbye, after which it hangs up.
#
#   menu.pl udp|tcp PORT FOLDER      the folder has menu.alaw, about.alaw, goodbye.alaw
use strict;
use warnings;
use Net::SIP;

$| = 1;
my ($proto, $port, $folder) = @ARGV;
my %prompts = map { $_ => read_all("$folder/$_.alaw") } qw(menu about goodbye);
my ($saying, $at, $leaving) = ('', 0, 0);

sub read_all {
    my ($file) = @_;
    open(my $handle, '<:raw', $file) or die "$file: $!";
    local $/;
    return scalar <$handle>;
}

sub say_prompt { ($saying, $at) = ($prompts{ $_[0] }, 0) }

# 20 ms: of what is said, or else silence; nothing at all hangs up.
sub payload {
    my $part = substr($saying, $at, 160);
    $at += length $part if length $part;
    return $part if length $part == 160;
    return $leaving ? undef : "\xd5" x 160;
}

sub key {
    my ($key) = @_;
    print "key $key\n";
    return if $leaving;
    if    ($key eq '3') { say_prompt('about') }
    elsif ($key eq '*') { say_prompt('menu') }
    elsif ($key eq '#') { $leaving = 1; say_prompt('goodbye') }
}

my $ua = Net::SIP::Simple->new(
    from => 'sip:menu@127.0.0.1',
    leg  => Net::SIP::Leg->new(proto => $proto, addr => '127.0.0.1', port => $port),
);
$ua->listen(
    cb_create  => sub { $leaving = 0; say_prompt('menu'); print "call\n"; 1 },
    init_media => $ua->rtp('send_recv', \&payload, -1),
    rtp_param  => [8, 160, 160 / 8000],
    cb_dtmf    => \&key,
);
print "listening\n";
$ua->loop;
