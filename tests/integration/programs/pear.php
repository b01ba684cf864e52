<?php // PEAR Mail: popen of `sendmail -i -fFROM -- TO...`
require 'Mail.php';
[, $to, $from, $body] = $argv;
$sent = Mail::factory('sendmail')->send(["$to-one@example.test", "$to-two@example.test"],
    ['From' => "Shop <$from>", 'To' => "$to-one@example.test", 'Subject' => 'PEAR Mail', 'Content-Type' => 'text/plain; charset=utf-8'],
    file_get_contents($body));
if ($sent !== true) {
    fwrite(STDERR, $sent->getMessage() . "\n");
    exit(1);
}
