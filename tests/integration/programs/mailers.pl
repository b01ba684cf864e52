#!/usr/bin/perl
# What Perl programs send with: MIME::Lite, Email::Sender, Mail::Mailer (MailTools), MIME::Entity, and a pipe of their own.
use strict;
use warnings;
my ($to, $from, $file) = @ARGV;
open my $in, '<', $file or die $!;
my $text = do { local $/; <$in> };
(my $plain = $text) =~ s/^\..*\n//mg; # for those that call sendmail without -i, where a dot ends the message
my $for = sub { "$to-$_[0]\@example.test" };

use MIME::Lite;
my $lite = MIME::Lite->new(From => "Shop <$from>", To => $for->('lite'), Bcc => $for->('lite-bcc'), Subject => 'MIME::Lite', Type => 'multipart/mixed');
$lite->attach(Type => 'text/plain; charset=utf-8', Encoding => 'quoted-printable', Data => $text);
$lite->attach(Type => 'application/octet-stream', Encoding => 'base64', Filename => 'data.bin', Data => join('', map chr, 0 .. 255));
$lite->send('sendmail', FromSender => $from) or die 'MIME::Lite';

use Email::Simple;
use Email::Sender::Simple qw(sendmail);
use Email::Sender::Transport::Sendmail;
my $simple = Email::Simple->create(header => [From => "Shop <$from>", To => $for->('sender'), Subject => 'Email::Sender',
    'Content-Type' => 'text/plain; charset=utf-8'], body => $text);
sendmail($simple, { from => 'bounce@example.test', to => [$for->('sender'), $for->('sender-more')],
    transport => Email::Sender::Transport::Sendmail->new });

use Mail::Mailer;
my $mailer = Mail::Mailer->new('sendmail');
$mailer->open({ From => "Shop <$from>", To => join(', ', $for->('tools'), $for->('tools-two')), Subject => 'Mail::Mailer', 'Content-Type' => 'text/plain; charset=utf-8' });
print $mailer $plain;
$mailer->close or die 'Mail::Mailer';

use MIME::Entity;
MIME::Entity->build(From => "Shop <$from>", To => $for->('entity'), Subject => 'MIME::Entity', Type => 'text/plain', Charset => 'utf-8',
    Encoding => 'quoted-printable', Data => $plain)->send('sendmail') or die 'MIME::Entity';

open my $pipe, '|-', '/usr/sbin/sendmail -oi -t' or die $!;
print $pipe "From: Shop <$from>\nTo: ", $for->('pipe'), "\nSubject: a pipe\nContent-Type: text/plain; charset=utf-8\n\n$text";
close $pipe or die "sendmail: $?";
