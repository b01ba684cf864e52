<?php // PHP's own mail(): with the built-in sendmail_path, and with a fifth argument
[, $to, $from, $body] = $argv;
$text = file_get_contents($body);
$headers = "From: Shop <$from>\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nBcc: $to-bcc@example.test";
$plain = mail("$to-plain@example.test", "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?= von mail()", $text, $headers);
$fifth = mail("$to-fifth@example.test, Second <$to-second@example.test>", "fifth argument", $text,
    ['From' => $from, 'Content-Type' => 'text/plain; charset=utf-8'], "-f$from");
exit($plain && $fifth ? 0 : 1);
