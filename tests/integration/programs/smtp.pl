#!/usr/bin/perl
# The listener by Perl: Net::SMTP with STARTTLS and TLS and a login, Mail::Sendmail and MIME::Lite by whose the connection is.
use strict;
use warnings;
my ($to, $from, $file) = @ARGV;
open my $in, '<', $file or die $!;
my $text = do { local $/; <$in> };

use Net::SMTP;
for my $way ('start', 'tls') {
    my $smtp = Net::SMTP->new('localhost', Port => $ENV{ uc $way }, SSL => $way eq 'tls') or die "$way: $@";
    $way eq 'tls' or $smtp->starttls or die 'starttls: ' . $smtp->message;
    $smtp->auth($ENV{LOGIN}, $ENV{PASSWORD}) or die 'auth: ' . $smtp->message;
    $smtp->mail($from) && $smtp->to("$to-$way\@example.test", "$to-$way-two\@example.test")
        && $smtp->data("From: Shop <$from>\nTo: $to-$way\@example.test\nSubject: Net::SMTP\nContent-Type: text/plain; charset=utf-8\n\n$text")
        or die $smtp->message;
    $smtp->quit;
}

use Mail::Sendmail;
sendmail(smtp => 'localhost', port => $ENV{PLAIN}, From => "Shop <$from>", To => "$to-sendmail\@example.test", Subject => 'Mail::Sendmail',
    'Content-Type' => 'text/plain; charset=utf-8', Message => $text) or die $Mail::Sendmail::error;

use MIME::Lite;
MIME::Lite->new(From => $from, To => "$to-lite\@example.test", Subject => 'MIME::Lite', Type => 'text/plain; charset=utf-8', Encoding => 'quoted-printable', Data => $text)
    ->send('smtp', 'localhost', Port => $ENV{PLAIN}) or die 'MIME::Lite';
