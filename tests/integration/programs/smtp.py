# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The listener by smtplib: by whose the connection is; with a login over STARTTLS and over TLS; and as logging's SMTPHandler does it."""
import logging, logging.handlers, os, smtplib, ssl, sys
from email.message import EmailMessage

to, sender, file = sys.argv[1:]
trust = ssl.create_default_context()
for way in ('plain', 'start', 'tls'):
    m = EmailMessage()
    m['From'], m['To'], m['Bcc'], m['Subject'] = f'Shop <{sender}>', f'{to}-{way}@example.test', f'{to}-{way}-bcc@example.test', 'smtplib'
    m.set_content(open(file, encoding='utf-8').read())
    port = int(os.environ[way.upper()])
    with smtplib.SMTP_SSL('localhost', port, context=trust) if way == 'tls' else smtplib.SMTP('localhost', port) as s:
        if way == 'start':
            s.starttls(context=trust)
        if way != 'plain':
            s.login(os.environ['LOGIN'], os.environ['PASSWORD'])
        s.send_message(m)

log = logging.getLogger('program')
log.addHandler(logging.handlers.SMTPHandler(('localhost', int(os.environ['START'])), sender, [f'{to}-log@example.test'], 'a log line', (os.environ['LOGIN'], os.environ['PASSWORD']), ()))
logging.raiseExceptions = True
log.error('something happened')
