"""From the door to the wire, octet by octet: which addresses are taken and how they are sent, and what becomes of content. The server is a small one of ours that
notes every command and every octet, and offers what a test wants it to."""
import base64, email, quopri, socketserver

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
    f.stop()


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
    for text in ('a@b..c', 'Mr. X <>', 'Team:;', 'a@-b.example', 'Backup Script <a@b@c>'):
        got = handed_in(f, server, f'From: {text}\nTo: to@example.org\nSubject: x\n\nx\n', '-t')
        check(f'From: {text}', got and got['sender'] == own and f'From: {text}\r\n'.encode() in got['content'], got or f.shown())
    check('nothing waits', f.empty(), f.shown())
