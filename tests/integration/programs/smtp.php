<?php // The listener by PHPMailer and Symfony Mailer: by whose the connection is, and with a login over STARTTLS and over TLS
require '/usr/share/php/libphp-phpmailer/autoload.php';
require '/usr/share/php/Symfony/Component/Mailer/autoload.php';
require '/usr/share/php/Symfony/Component/Mime/autoload.php';
[, $to, $from, $body] = $argv;
$text = file_get_contents($body);
foreach (['PLAIN' => '', 'START' => 'tls', 'TLS' => 'ssl'] as $port => $secure) {
    $m = new PHPMailer\PHPMailer\PHPMailer(true);
    $m->isSMTP();
    $m->Host = 'localhost';
    $m->Port = getenv($port);
    $m->SMTPSecure = $secure;
    $m->SMTPAutoTLS = $m->SMTPAuth = $secure !== '';
    [$m->Username, $m->Password, $m->CharSet] = [getenv('LOGIN'), getenv('PASSWORD'), 'utf-8'];
    $m->setFrom($from, 'Shop');
    $m->addAddress("$to-mailer-" . strtolower($port) . '@example.test');
    $m->addBCC("$to-mailer-" . strtolower($port) . '-bcc@example.test');
    [$m->Subject, $m->Body] = ["PHPMailer at $port", $text];
    $m->send();
}
$login = rawurlencode(getenv('LOGIN')) . ':' . rawurlencode(getenv('PASSWORD')) . '@';
foreach (['plain' => 'smtp://localhost:' . getenv('PLAIN'), 'start' => "smtp://{$login}localhost:" . getenv('START'), 'tls' => "smtps://{$login}localhost:" . getenv('TLS')] as $name => $dsn) {
    $transport = Symfony\Component\Mailer\Transport::fromDsn($dsn);
    $transport->send((new Symfony\Component\Mime\Email())->from("Shop <$from>")->to("$to-symfony-$name@example.test")->bcc("$to-symfony-$name-bcc@example.test")
        ->subject("Symfony, $name")->text($text));
}
