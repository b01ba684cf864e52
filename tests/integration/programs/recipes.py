# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""What Python's documentation and a thousand scripts do: EmailMessage into a pipe of sendmail, as bytes and as text; os.popen."""
import os, subprocess, sys
from email.message import EmailMessage
from email.mime.text import MIMEText

to, sender, file = sys.argv[1:]
text = open(file, encoding='utf-8').read()

m = EmailMessage()
m['From'], m['To'], m['Bcc'], m['Subject'] = f'Shop <{sender}>', f'Kunde Grün <{to}-message@example.test>', f'{to}-message-bcc@example.test', 'EmailMessage'
m.set_content(text)
subprocess.run(['/usr/sbin/sendmail', '-t', '-oi'], input=m.as_bytes(), check=True)

m = MIMEText(text, _charset='utf-8')
m['From'], m['To'], m['Subject'] = sender, f'{to}-text@example.test', 'MIMEText'
p = subprocess.Popen(['/usr/sbin/sendmail', '-t', '-oi'], stdin=subprocess.PIPE, universal_newlines=True)
p.communicate(m.as_string())
assert p.returncode == 0

p = os.popen('/usr/sbin/sendmail -t -i', 'w')
p.write(f'From: Shop <{sender}>\nTo: {to}-popen@example.test\nSubject: popen\nContent-Type: text/plain; charset=utf-8\n\n{text}')
assert p.close() is None
