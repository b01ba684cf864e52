<?php // Symfony Mailer: its default `sendmail -bs`, two messages through one process with a ping between; and `-t -i`
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
require '/usr/share/php/Symfony/Component/Mime/autoload.php';
use Symfony\Component\Mailer\Transport\SendmailTransport;
use Symfony\Component\Mime\Email;
[, $to, $from, $body] = $argv;
$mail = fn ($name) => (new Email())->from("Shop <$from>")->to("Kunde Grün <$to-$name@example.test>")->bcc("$to-$name-bcc@example.test")
    ->subject("Symfony, $name")->text(file_get_contents($body));
$session = new SendmailTransport();
foreach (['bs', 'again'] as $name) {
    $session->send($mail($name));
    sleep(1); // the next message comes after a NOOP
}
unset($session);
(new SendmailTransport('/usr/sbin/sendmail -t -i'))->send($mail('pipe'));
(new SendmailTransport('/usr/sbin/sendmail -t'))->send($mail('dots'));
