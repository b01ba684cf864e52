<?php // SwiftMailer: `-bs` (EHLO first), and `-t`, where it stuffs the dots itself
require '/usr/share/php/Egulias/EmailValidator/autoload.php';
require '/usr/share/php/Swift/swift_required.php';
[, $to, $from, $body] = $argv;
foreach (['bs' => '/usr/sbin/sendmail -bs', 'pipe' => '/usr/sbin/sendmail -t', 'oi' => '/usr/sbin/sendmail -oi -t'] as $name => $command) {
    $mail = (new Swift_Message("Swift, $name", file_get_contents($body)))->setFrom([$from => 'Shop'])->setReturnPath("bounce@example.test")
        ->setTo(["$to-$name@example.test" => 'Kunde'])->setBcc("$to-$name-bcc@example.test");
    $sent = (new Swift_Mailer(new Swift_SendmailTransport($command)))->send($mail);
    if ($sent === 0) {
        exit(1);
    }
}
