# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""From the door to the wire, octet by octet: which addresses are taken and how they are sent, and what becomes of content. The server is a small one of ours that
notes every command and every octet, and offers what a test wants it to."""
import base64, email, email.policy, quopri, random, socketserver

from harness import *

OFFER = ('PIPELINING', '8BITMIME', 'SMTPUTF8', 'SIZE 50000000')


class Server(socketserver.ThreadingTCPServer):
    """Takes everything. `offer`: the keywords of its EHLO; `taken`: a dict of sender, recipients and content for each message."""
    allow_reuse_address = daemon_threads = True

    def __init__(self, *offer):
        super().__init__(('127.0.0.1', 0), Session)
        self.offer, self.taken, self.port = offer, [], self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def account(self, mailbox='box@example.test'):
        return dict(provider='generic', mailbox=mailbox, grant='none', tls='none', submit=f'127.0.0.1:{self.port}')


class Session(socketserver.StreamRequestHandler):
    def say(self, *lines):
        self.wfile.write(b''.join(line.encode() + b'\r\n' for line in lines))

    def content(self):
        out = b''
        while (line := self.rfile.readline()) not in (b'.\r\n', b''):
            out += line[1:] if line[:1] == b'.' else line
        return out

    def handle(self):
        message = {}
        self.say('220 sink.test')
        while line := self.rfile.readline():
            verb, rest = line[:4].upper(), line[5:].strip()
            if verb == b'EHLO':
                keywords = ['sink.test', *self.server.offer]
                self.say(*[f'250-{k}' for k in keywords[:-1]], f'250 {keywords[-1]}')
            elif verb == b'MAIL':
                message = dict(sender=rest[5:].split(b'>')[0].lstrip(b'<'), mail=rest, recipients=[])
                self.say('250 ok')
            elif verb == b'RCPT':
                message['recipients'].append(re.sub(rb'^TO:<(.*)>.*?$', rb'\1', rest, flags=re.I))
                self.say('250 ok')
            elif verb == b'DATA':
                self.say('354 go on')
                message['content'] = self.content()
                self.server.taken.append(message)
                self.say('250 ok')
            elif verb == b'QUIT':
                return self.say('221 bye')
            else:
                self.say('250 ok')


def run(ground, options):
    server = Server(*OFFER)
    f = Frank('content', {'a': server.account()})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    addresses(f, server)
    senders(f, server)
    lines_in_front(f, server)
    header(f, server)
    octets(f, server)
    trees(f, server, 1)
    f.stop()
    checked_senders(server)
    lesser_servers()


def handed_in(f, server, text, *args, rc=0):
    """Hands a message in and returns what the server got of it, or None: the exit status is not `rc`, or nothing came."""
    before = len(server.taken)
    r = f.sendmail('-i', *args, body=text)
    if r.returncode != rc:
        print(f'     sendmail: {r.returncode}: {r.stderr.decode(errors="replace").strip()}', flush=True)
        return None
    if rc:
        return {}
    wait_for(lambda: len(server.taken) > before, 20)
    return server.taken[-1] if len(server.taken) > before else None


LONG = 'bounces+1234567-abcd-someone.with.a.long.name=some.long.domain.example.org@em.example.test'
ADDRESSES = [('a..b@example.org', '"a..b"@example.org'), ('.a@example.org', '".a"@example.org'), ('a.@example.org', '"a."@example.org'),
             ('"a b"@example.org', '"a b"@example.org'), ('"a.b"@example.org', 'a.b@example.org'), ('a@example.org.', 'a@example.org'), (LONG, LONG),
             ('x' * 200 + '@example.org', 'x' * 200 + '@example.org'), ('a@[192.0.2.1]', 'a@[192.0.2.1]'), ('a%b@example.org', 'a%b@example.org'),
             ('b!a@example.org', 'b!a@example.org'), ('ä@bücher.example', 'ä@bücher.example')]
NONE = ['a@b..c', 'a@', '@b', 'a@b@c', 'a@-b', '"a@b', 'a@' + 'x' * 64 + '.test', 'x' * 1000 + '@example.org', b'\xff@example.org']


def addresses(f, server):
    """What is taken goes out, as a recipient and as a sender, from the arguments, from the header and in SMTP; what no server could take is refused at once."""
    for given, wire in ADDRESSES:
        wire = wire.encode()
        got = handed_in(f, server, 'From: box@example.test\nSubject: x\n\nx\n', given)
        check(f'recipient {given[:40]}: from the arguments', got and got['recipients'] == [wire], got or f.shown())
        got = handed_in(f, server, f'From: box@example.test\nTo: X <{given}>, {given}\n\nx\n', '-t')
        check(f'recipient {given[:40]}: from the header, once', got and got['recipients'] == [wire], got or f.shown())
        got = handed_in(f, server, 'From: box@example.test\n\nx\n', '-f', given, 'to@example.org')
        check(f'sender {given[:40]}: of -f', got and got['sender'] == wire, got or f.shown())
        got = handed_in(f, server, f'From: {given}\nTo: to@example.org\n\nx\n', '-t')
        check(f'sender {given[:40]}: of From, which stays', got and got['sender'] == wire and (given.encode() in got['content']), got or f.shown())
    for given in NONE:
        shown = given[:40]
        given = given.encode() if isinstance(given, str) else given
        for what, args in (('recipient', [given]), ('sender', ['-f', given, 'to@example.org'])):
            r = f.sendmail('-i', *args, body='From: box@example.test\n\nx\n')
            check(f'{what} {shown}: refused', r.returncode in (64, 65, 67, 68) and r.stderr, r)
    said = ''.join(f'MAIL FROM:<{a}>\r\nRCPT TO:<{a}>\r\nRCPT TO:<a@b..c>\r\nRCPT TO:<ok@example.org>\r\nRSET\r\n' for a, _ in ADDRESSES if a.isascii())
    r = subprocess.run([program('sendmail'), '-bs'], input=f'EHLO x\r\n{said}QUIT\r\n'.encode(), capture_output=True, env=f.env, timeout=60)
    codes = [line[:3] for line in r.stdout.decode().split('\r\n') if line[3:4] == ' ']
    check('in SMTP each address is judged by itself', codes == ['220', '250'] + ['250', '250', '553', '250', '250'] * sum(a.isascii() for a, _ in ADDRESSES) + ['221'], codes)
    check('nothing waits', f.empty(), f.shown())


def senders(f, server):
    """A From that names no usable sender stays, and the caller's own address stands in."""
    own = (pwd.getpwuid(os.getuid()).pw_name + '@example.test').encode()
    for text in ('Backup Script', '"Backup Script"', 'Doe, Jane', '=?utf-8?q?Backup?=', 'a@b..c', 'Mr. X <>', 'Team:;', 'a@-b.example', 'Backup Script <a@b@c>'):
        got = handed_in(f, server, f'From: {text}\nTo: to@example.org\nSubject: x\n\nx\n', '-t')
        check(f'From: {text}', got and got['sender'] == own and f'From: {text}\r\n'.encode() in got['content'], got or f.shown())
    check('nothing waits', f.empty(), f.shown())


def said(f, text, port=None):
    """The codes of the replies to a dialogue, by sendmail -bs or at a listener."""
    if port is None:
        out = subprocess.run([program('sendmail'), '-bs'], input=text.encode(), capture_output=True, env=f.env, timeout=60).stdout
    else:
        with socket.create_connection(('127.0.0.1', port), 20) as s:
            s.sendall(text.encode())
            out = b''
            while piece := s.recv(65536):
                out += piece
    return [line[:3] for line in out.decode().split('\r\n') if line[3:4] == ' ']


def lines_in_front(f, server):
    """The line of mbox files is dropped at every entrance, with a date or without."""
    port = free_port()
    f.listeners = {'l': dict(address=f'127.0.0.1:{port}')}
    f.stop()
    f.write_conf()
    check('frankd starts with a listener', f.start(), f.log()[-500:])
    fields = 'From: box@example.test\nTo: a@example.org\nSubject: x\n\nFrom here\n'
    for front in ('From ops@example.test\n', 'From ops@example.test Mon Jan  1 00:00:00 2024\n', '>From ops\n', 'From ops\n>From me\n>From you\n'):
        text = front + fields
        dialogue = 'EHLO x\r\nMAIL FROM:<box@example.test>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n' + text.replace('\n', '\r\n') + '.\r\nQUIT\r\n'
        for how, hand in (('-t', lambda: f.sendmail('-t', '-i', body=text)), ('arguments', lambda: f.sendmail('-i', 'a@example.org', body=text)),
                          ('-bs', lambda: said(f, dialogue)), ('a listener', lambda: said(f, dialogue, port))):
            before = len(server.taken)
            r = hand()
            wait_for(lambda: len(server.taken) > before, 20)
            got = server.taken[-1] if len(server.taken) > before else {}
            names = [line.partition(b':')[0] for line in got.get('content', b'').partition(b'\r\n\r\n')[0].split(b'\r\n')]
            check(f'{front!r} by {how}', {b'From', b'To', b'Subject'} <= set(names) and got['content'].endswith(b'\r\n\r\nFrom here\r\n') and
                  got['recipients'] == [b'a@example.org'], (r, got))
    # the drop directory
    f.stop()
    r = f.sendmail('-t', '-i', body='From ops\n' + fields)
    before = len(server.taken)
    f.start()
    wait_for(lambda: len(server.taken) > before, 30)
    check('by the drop directory', r.returncode == 0 and len(server.taken) > before and b'Subject: x' in server.taken[-1]['content'], (r, f.shown()))
    got = handed_in(f, server, 'From here on\nit is all text\n', 'a@example.org')
    check('a text that begins so stays', got and got['content'].endswith(b'\r\n\r\nFrom here on\r\nit is all text\r\n'), got)


def header(f, server):
    """What is mended in the header is mended where it stands, and what is signed is not mended."""
    got = handed_in(f, server, 'From: box@example.test\nTo: Team: alice, bob (b);\nReply-To: Some Body\nSubject: x\n\nx\n', 'a@example.org')
    check('groups, comments and layout stay', got and b'\r\nTo: Team: alice@example.test, bob@example.test (b);\r\n' in got['content'] and
          b'\r\nReply-To: Some Body\r\n' in got['content'], got)
    got = handed_in(f, server, 'From: box@example.test\nSubject: \u4e2d\u6587\nMIME-Version: 1.0\nContent-Type: text/plain; charset=gb2312\n\nx\n'.encode('gb2312'), 'a@example.org')
    check('raw text of a header is in the charset of the message', got and str(email.message_from_bytes(got['content'], policy=email.policy.default)['subject']) == '\u4e2d\u6587', got)
    signed = 'DKIM-Signature: v=1; a=rsa-sha256; d=example.test; s=x;\n h=From:To:Cc:Subject:Date:Reply-To; bh=x; b=x\nFrom:  box@example.test\nTo: alice,  bob\nCc: \nSubject: K\u00f6ln\n'
    got = handed_in(f, server, signed + 'X-Other: K\u00f6ln\n\nx\n', 'a@example.org')
    check('what is signed stays, also empty and absent', got and signed.encode().replace(b'\n', b'\r\n') in got['content'] and b'\r\nDate:' not in got['content'] and
          b'X-Other: =?UTF-8?B?' in got['content'], got)


def checked_senders(server):
    """Where senders are checked, no From that can be read as another goes out, and no signature that the rewriting breaks stays."""
    readings = ['ceo@evil.test <box@example.test>', '"ceo@evil.test" <box@example.test>', '<@evil.test:box@example.test>', 'box@example.test (ceo@evil.test)',
                '=?utf-8?q?ceo=40evil.test?= <box@example.test>', '=?utf-8?b?Y2VvQGV2aWwudGVzdA==?= <box@example.test>', '(ceo@evil.test) box@example.test']
    single = ['box@example.test', 'Box <box@example.test>', 'box@example.test <box@example.test>', '=?utf-8?q?B=C3=B6x?= <box@example.test>']
    account = server.account()
    f = Frank('readings', {'a': account}, {'all': dict(users=['*'], accounts=['a'], senders=['box@example.test'])})
    if not check('frankd starts', f.start(), f.log()[-500:]):
        return
    for text in single:
        got = handed_in(f, server, f'From: {text}\nTo: a@example.org\n\nx\n', '-t')
        check(f'rewrite: {text} stays', got and f'From: {text}\r\n'.encode() in got['content'] and b'X-Original' not in got['content'], got)
    for text in readings:
        got = handed_in(f, server, f'From: {text}\nTo: a@example.org\n\nx\n', '-t')
        check(f'rewrite: {text}', got and b'\r\nFrom: box@example.test\r\n' in got['content'] and b'Reply-To' not in got['content'] and
              f'X-Original-From: {text}\r\n'.encode() in got['content'], got)
    got = handed_in(f, server, 'From: Backup Script\nTo: a@example.org\n\nx\n', '-t')
    check('rewrite: words are a display name', got and b'\r\nFrom: Backup Script <box@example.test>\r\n' in got['content'] and b'Reply-To' not in got['content'], got)
    got = handed_in(f, server, 'From: box@example.test\nFrom: ceo@evil.test\nTo: a@example.org\n\nx\n', '-t')
    check('rewrite: of two From fields one goes out', got and got['content'].count(b'\r\nFrom: ') == 1 and b'\r\nFrom: box@example.test\r\n' in got['content'], got)
    got = handed_in(f, server, 'DKIM-Signature: v=1; d=evil.test; s=x; h=from; bh=x; b=x\nARC-Seal: i=1\nFrom: ceo@evil.test\nTo: a@example.org\n\nx\n', '-t')
    check('rewrite: a signature that it breaks is put aside', got and b'\r\nDKIM-Signature:' not in got['content'] and b'\r\nARC-Seal' not in got['content'] and
          b'\r\nX-Original-DKIM-Signature: v=1; d=evil.test;' in got['content'], got)
    check('and the log says so', wait_for(lambda: 'X-Original-DKIM-Signature' in f.log(), 10), f.log()[-800:])
    got = handed_in(f, server, 'From: ceo@evil.test\nTo: a@example.org\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b--\n', '-t')
    check('rewrite: of content that another has signed', got and wait_for(lambda: 'signed by a sender whose From is replaced' in f.log(), 10), f.log()[-800:])
    f.services['all']['from'] = 'refuse'
    f.stop()
    f.write_conf()
    check('frankd starts again', f.start(), f.log()[-500:])
    for text in single:
        check(f'refuse: {text} goes', handed_in(f, server, f'From: {text}\nTo: a@example.org\n\nx\n', '-t') is not None)
    for text in readings + ['ceo@evil.test']:
        check(f'refuse: {text}', handed_in(f, server, f'From: {text}\nTo: a@example.org\n\nx\n', '-t', rc=77) is not None)
    f.stop()


def decoded(message, *path):
    """The octets of a part: its place among the parts, level by level."""
    part = email.message_from_bytes(message['content'], policy=email.policy.compat32)
    for i in path:
        part = part.get_payload(i)
    return part.get_payload(decode=True)


def octets(f, server):
    """Content that lines cannot hold arrives octet by octet, or is refused; nothing is changed silently."""
    data = bytes(range(256)) * 3 + b'\r\n\n\r\r\n\0\r\n' + b'x' * 2000 + b'\n'
    head = b'From: box@example.test\nSubject: x\nMIME-Version: 1.0\n'
    binary = b'Content-Type: image/jpeg\nContent-Transfer-Encoding: binary\n'
    fits = lambda got: got and not re.search(rb'\0|\r(?!\n)|(?<!\r)\n|[^\r\n]{999}', got['content'])
    got = handed_in(f, server, head + binary + b'\n' + data, 'a@example.org')
    check('a binary body', fits(got) and decoded(got) == data, got)
    got = handed_in(f, server, head + b'Content-Type: application/octet-stream\n\n' + data, 'a@example.org')
    check('a body of a type that is no text', fits(got) and decoded(got) == data, got)
    multi = lambda *parts: b''.join(b'--b\n' + p + b'\n' for p in parts) + b'--b--\n'
    got = handed_in(f, server, head + b'Content-Type: multipart/mixed; boundary=b\n\n' + multi(b'\ntext\n', binary + b'\n' + data, b'\nlast\0\n'), 'a@example.org')
    check('a binary part', fits(got) and decoded(got, 1) == data and decoded(got, 0).split() == [b'text'] and decoded(got, 2).rstrip() == b'last\0', got)
    inner = b'Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: multipart/mixed; boundary=c\n\n--c\n' + binary + b'\n' + data + b'\n--c--\n'
    got = handed_in(f, server, head + b'Content-Type: multipart/mixed; boundary=b\n\n' + multi(inner), 'a@example.org')
    check('a binary part of an attached message', fits(got) and decoded(got, 0, 0, 0) == data, got)
    text = b'progress 1\rprogress 2\r' + b'y' * 1200 + b'\nend\n'
    got = handed_in(f, server, b'From: box@example.test\n\n' + text, 'a@example.org')
    check('a text with lone CRs and a long line', fits(got) and decoded(got) == text.replace(b'\n', b'\r\n'), got)
    wide = 'one\ntwo \u010a\n'.encode('utf-16-le')
    got = handed_in(f, server, head + b'Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: binary\n\n' + wide, 'a@example.org')
    check('a text in two octets a character', fits(got) and decoded(got) == wide, got)
    got = handed_in(f, server, head + b'Content-Type: text/plain\n\na\0b\n', 'a@example.org')
    check('a NUL in a text part', fits(got) and decoded(got) == b'a\0b\r\n', got)
    got = handed_in(f, server, b'From: box@example.test\n\na\0b\n', 'a@example.org')
    check('a NUL in a message without MIME fields is removed, and the log says so', got and got['content'].endswith(b'\r\n\r\nab\r\n') and
          wait_for(lambda: 'NUL, or CR alone' in f.log(), 10), got)
    for name, content in (('multipart/signed', b'Content-Type: multipart/signed; boundary=b\n\n' + multi(b'\na\0b\n')), ('S/MIME', b'Content-Type: application/pkcs7-mime\n\na\rb\n'),
                          ('an unknown encoding', b'Content-Type: text/plain\nContent-Transfer-Encoding: x-uuencode\n\na\0b\n'),
                          ('a DKIM-Signature', b'DKIM-Signature: v=1; h=from; d=x; s=y\n\na\0b\n')):
        r = f.sendmail('-i', 'a@example.org', body=head + content)
        check(f'{name}: refused', r.returncode == 65 and b'encode' in r.stderr, r)
    signed = b'Content-Type: multipart/signed; boundary=b\n\n' + multi(b'\n\xc3\xa4 \t\n' + b'z' * 1100 + b'\n')
    got = handed_in(f, server, head + signed, 'a@example.org')
    check('what is signed and may pass stays octet by octet', got and got['content'].endswith(signed.partition(b'\n\n')[2].replace(b'\n', b'\r\n')), got)


def lesser_servers():
    """For a server that takes less than a message needs it is changed so far as no signature covers it, and returned where one does."""
    server = Server('PIPELINING')
    f = Frank('lesser', {'a': server.account()})
    if not check('frankd starts', f.start(), f.log()[-500:]):
        return
    got = handed_in(f, server, 'From: box@example.test\nTo: user@b\u00fccher.example\nSubject: x\n\nK\u00f6ln\n', '-t')
    check('a domain goes as its A-label, in the envelope and in the header', got and got['recipients'] == [b'user@xn--bcher-kva.example'] and
          b'\r\nTo: user@xn--bcher-kva.example\r\n' in got['content'] and b'SMTPUTF8' not in got['mail'], got or f.shown())
    check('and content as 7 bits', got and got['content'].isascii() and b'BODY=' not in got['mail'] and decoded(got) == 'K\u00f6ln\r\n'.encode(), got)
    got = handed_in(f, server, 'From: box@b\u00fccher.example\nTo: a@example.org\n\nx\n', '-t')
    check('a sender likewise', got and got['sender'] == b'box@xn--bcher-kva.example', got or f.shown())
    body = b'\xff\xfe\xfd' * 100 + b'\n'
    parts = b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nplain\n--b\nContent-Type: image/x\nContent-Transfer-Encoding: binary\n\n' + body + b'\n--b--\n'
    got = handed_in(f, server, b'From: box@example.test\n' + parts, 'a@example.org')
    check('parts likewise', got and got['content'].isascii() and decoded(got, 1) == body, got)
    big = 'From: box@example.test\n\n' + 'K\u00f6ln\n' * 40000
    got = handed_in(f, server, big, 'a@example.org')
    check('also of a large message', got and got['content'].isascii() and decoded(got) == ('K\u00f6ln\r\n' * 40000).encode(), got and len(got['content']))
    signed = 'From: box@example.test\nMIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nK\u00f6ln\n--b--\n'
    got = handed_in(f, server, signed, '-f', 'box@example.test', 'a@example.org')
    check('what is signed comes back, and the report says why', got and got['recipients'] == [b'box@example.test'] and b'signature covers the content' in
          got['content'].replace(b'=\r\n', b'').replace(b'\r\n', b' '), got or f.shown())
    got = handed_in(f, server, 'From: box@example.test\n\nx\n', '-f', 'box@example.test', '\u00e4@example.org')
    check('so does what is for a local part that is not ASCII', got and got['recipients'] == [b'box@example.test'] and b'local part' in
          got['content'].replace(b'=\r\n', b'').replace(b'\r\n', b' '), got or f.shown())
    trees(f, server, 2)
    check('nothing waits', f.empty(), f.shown())
    f.stop()


class Tree:
    """Messages of parts within parts, of octets that lines can hold and cannot, in every encoding; and what must arrive of them."""

    def __init__(self, seed):
        self.random, self.boundaries = random.Random(seed), 0

    def octets(self):
        return b''.join(self.random.choice([bytes([self.random.randrange(256)]), b'\r\n', b'\n', b'\r', b'\0']) for _ in range(self.random.randrange(60)))

    def text(self):
        words = [b'a', b'word ', b'\xc3\xa4', b'\r', b'\0', b'.', b'=', b'x' * 400, b'\n', b'\n', b'--', b'From ', b' \n', b'\t\n']
        return b''.join(self.random.choice(words) for _ in range(self.random.randrange(60)))

    def leaf(self):
        text, octets = self.text(), self.octets()
        plain = re.sub(rb'[\r\0]', b'', text)
        return self.random.choice([
            (b'Content-Type: text/plain; charset=utf-8\n' + self.random.choice([b'', b'Content-Transfer-Encoding: 8bit\n', b'Content-Transfer-Encoding: binary\n']) + b'\n', text, text),
            (b'Content-Type: image/png\nContent-Transfer-Encoding: binary\n\n', octets, octets),
            (b'Content-Type: application/x\nContent-Transfer-Encoding: base64\n\n', base64.b64encode(octets), octets),
            (b'Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n', quopri.encodestring(plain), plain),
            (b'\n', text, text)])

    def entity(self, depth=3):
        """Header, body, and what it is: octets, or the list of such."""
        kind = self.random.random() if depth else 1
        if kind < .15:
            header, body, what = self.entity(depth - 1)
            return b'Content-Type: message/rfc822\n\n', b'Subject: within\nMIME-Version: 1.0\n' + header + body, [what]
        if kind > .5:
            return self.leaf()
        self.boundaries += 1
        name, parts = b'b%d' % self.boundaries, [self.entity(depth - 1) for _ in range(self.random.randrange(1, 4))]
        body = b''.join(b'--' + name + b'\n' + h + b + b'\n' for h, b, _ in parts) + b'--' + name + b'--\n'
        return b'Content-Type: multipart/mixed; boundary="' + name + b'"\n\n', body, [what for _, _, what in parts]


def is_whole(part, what):
    if isinstance(what, list):
        parts = part.get_payload()
        return isinstance(parts, list) and len(parts) == len(what) and all(map(is_whole, parts, what))
    got = part.get_payload(decode=True)
    lines = lambda data: re.sub(rb'\r*\n', b'\n', data + b'\n').rstrip(b'\n')
    return got == what if part.get_content_maintype() != 'text' else lines(got) == lines(what)


def trees(f, server, seed):
    """Whatever the server offers, every octet of every part is there."""
    wrong, tree = [], Tree(seed)
    for _ in range(40):
        header, body, what = tree.entity()
        text = b'From: box@example.test\nMIME-Version: 1.0\n' + header + body
        got = handed_in(f, server, text, 'a@example.org')
        content = got['content'] if got else b'\0'
        if re.search(rb'\0|\r(?!\n)|(?<!\r)\n|[^\r\n]{999}', content) or ('8BITMIME' not in server.offer and not content.isascii()) or \
                not is_whole(email.message_from_bytes(content, policy=email.policy.compat32), what):
            wrong.append((text, got))
    check(f'40 messages of parts within parts ({len(server.offer)} keywords): every octet arrives', not wrong, wrong[:1])
