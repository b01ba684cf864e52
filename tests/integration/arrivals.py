# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""What is to arrive at the ground's Postfix and Dovecot, noted while it is sent and looked at when all has been sent."""
import email, email.policy

from harness import *

FROM = 'shop@example.test'
# What careless programs lose: lines of dots, a line that looks like an mbox separator, letters outside ASCII, space at the end.
BODY = 'Grüße aus Köln\n.\n..two\n.dot first\nFrom here on\n\n  indented = 100% \nlast line\n'
# Without dots: for programs that call `sendmail -t` without -i, where a dot ends the message, and those that end at one themselves.
PLAIN = 'Grüße aus Köln\nFrom here on\n\n  indented = 100% \nlast line\n'


class Post:
    """What is to arrive, looked at when everything has been sent."""

    def __init__(self, ground):
        self.ground, self.wanted = ground, []
        self.old = set(glob.glob(ground.mail + '/*/Maildir/new/*'))  # of another topic, or of an earlier run beside the same servers

    def expect(self, name, to, sender=FROM, body=BODY, **fields):
        """A message in each mailbox of `to` (without its domain, or an address); fields with _ for -; None: the field is absent."""
        self.wanted.append((name, [t if '@' in t else t + '@example.test' for t in ([to] if isinstance(to, str) else to)], sender, body, fields))

    def verify(self):
        end = time.monotonic() + 40
        wanted, self.wanted = self.wanted, []
        for name, to, sender, body, fields in wanted:
            wrong = []
            for address in to:
                box = os.path.join(self.ground.mail, address, 'Maildir', 'new')
                files = wait_for(lambda: list(set(glob.glob(box + '/*')) - self.old), end - time.monotonic(), 0.05)
                if len(files) != 1:
                    wrong.append(f'{address}: {len(files)} messages')
                    continue
                with open(files[0], 'rb') as f:
                    raw = f.read()
                wrong += [f'{address}: {what}' for what in self.faults(raw, sender, body, fields)]
                if wrong:
                    wrong.append(raw.decode(errors='replace')[:1200])
                    break
            check(f'{name}: arrived right', not wrong, '; '.join(wrong))

    @staticmethod
    def faults(raw, sender, body, fields):
        m = email.message_from_bytes(raw, policy=email.policy.default)
        if sender is not None and m['Return-Path'] != f'<{sender}>':
            yield f'envelope sender {m["Return-Path"]}'
        for name in ('From', 'Date', 'Message-ID', 'Subject', 'To'):
            if len(m.get_all(name, [])) != 1 and fields.get(name, '') is not None:
                yield f'{len(m.get_all(name, []))} fields {name}'
        for name, value in {'Bcc': None, **fields}.items():
            got = m[name.replace('_', '-')]
            if (got is not None) if value is None else (got is None or not re.search(value, str(got))):
                yield f'{name} is {got}'
        part = m
        while part.is_multipart():
            part = part.get_payload(0)
        text = part.get_payload(decode=True).decode(part.get_content_charset('utf-8'), 'replace').replace('\r\n', '\n')
        if isinstance(body, str) and text.rstrip('\n') != body.rstrip('\n'):
            yield f'body {text!r}'
        if hasattr(body, 'search') and not body.search(text):
            yield f'body {text!r}'
