<?php // PHPMailer: isSendmail() with and without a sender, and isMail()
require '/usr/share/php/libphp-phpmailer/autoload.php';
[, $to, $from, $body] = $argv;
foreach (['sendmail', 'mail', 'nosender'] as $way) {
    $m = new PHPMailer\PHPMailer\PHPMailer(true);
    $m->CharSet = 'utf-8';
    $m->Encoding = 'quoted-printable';
    if ($way === 'mail') {
        $m->isMail();
    } else {
        $m->isSendmail();
    }
    $m->setFrom($from, 'Shop', $way !== 'nosender');
    if ($way !== 'nosender') {
        $m->Sender = "bounce-$way@example.test";
    }
    $m->addAddress("$to-$way@example.test", 'Grüße, Kunde');
    $m->addBCC("$to-$way-bcc@example.test");
    $m->Subject = "PHPMailer by $way";
    $m->Body = file_get_contents($body);
    $m->addStringAttachment(random_bytes(1) . str_repeat("\0\r\n.\n", 200), 'data.bin');
    $m->send();
}
