# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Listeners: programs that speak nothing but SMTP, known by whose the connection is or by a service's password; TLS; no relay for
anybody else. As several users: needs root."""
import encodings.idna, smtplib, traceback  # idna: loaded before a child changes to a user who may not read where Python is
from harness import *

ALICE, BOB, STRANGER = 64111, 64112, 64119


def certificate(folder, name, days=2):
    """A self-signed certificate for localhost, with its key in the same file."""
    path = os.path.join(folder, name + '.pem')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', path + '.key', '-out', path + '.crt', '-days', str(days), '-subj', '/CN=' + name,
                    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1'], check=True, capture_output=True)
    with open(path, 'w') as f:
        f.write(open(path + '.crt').read() + open(path + '.key').read())
    os.chmod(path, 0o600)
    return path


class World:
    def __init__(self):
        self.ports = {n: free_port() for n in ('plain', 'start', 'tls', 'strict', 'crlf')}
        self.dir = tempfile.mkdtemp(prefix='listener-', dir=harness_dir())
        self.pem = certificate(self.dir, 'first')
        self.in_use = os.path.join(self.dir, 'in-use.pem')
        shutil.copy(self.pem, self.in_use)
        p = self.ports
        self.f = Frank('listener', {'a': {'provider': 'generic', 'mailbox': 'billing@example.test', 'grant': 'none', 'submit': '127.0.0.1:1', 'tls': 'none'}},
                       {n: dict(accounts=['a'], senders=[n + '@example.test'], mode='capture', **k) for n, k in (
                           ('alice', dict(users=[str(ALICE)])), ('bob', dict(users=[str(BOB)], recipients=['*@example.test'])), ('grafana', dict(password=True)),
                           ('jenkins', dict(password=True)))},
                       listeners={'plain': dict(address=loopback(p["plain"])),
                                  'start': dict(address=[f'127.0.0.1:{p["start"]}'], certificate=self.in_use),
                                  'tls': dict(address=[f'127.0.0.1:{p["tls"]}'], tls='implicit', certificate=self.in_use),
                                  'strict': dict(address=[f'127.0.0.1:{p["strict"]}'], auth='required'),
                                  'crlf': dict(address=[f'127.0.0.1:{p["crlf"]}'], **{'line-ends': 'crlf'})})
        self.context = ssl.create_default_context(cafile=self.pem + '.crt')

    def connect(self, listener, host='127.0.0.1'):
        if listener == 'tls':
            s = smtplib.SMTP_SSL('localhost', self.ports[listener], timeout=30, context=self.context)
        else:
            s = smtplib.SMTP(host, self.ports[listener], timeout=30)
        if listener == 'start':
            s.starttls(context=self.context)
        s.ehlo('program.example.test')
        return s

    def as_user(self, uid, listener, host='127.0.0.1', login=None, to='r@example.test', mark='x', how=None):
        """One message from that user: None, or the reply that refused it as (code, text)."""
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                os.write(into, json.dumps(self.talk(listener, host, login, to, mark, how)).encode())
                status = 0
            except BaseException:
                os.write(into, json.dumps(traceback.format_exc()).encode())
            finally:
                os._exit(status)
        os.close(into)
        with os.fdopen(out) as f:
            text = f.read()
        os.waitpid(pid, 0)
        return json.loads(text) if text else 'the client died'

    def talk(self, listener, host='127.0.0.1', login=None, to='r@example.test', mark='x', how=None):
        try:
            with self.connect(listener, host) as s:
                if login and how:
                    s.user, s.password = login
                    s.auth(how, getattr(s, 'auth_' + how.lower()), initial_response_ok=how == 'PLAIN')
                elif login:
                    s.login(*login)
                s.sendmail('program@else.test', [to], f'From: Program <program@else.test>\nSubject: {mark}\n\nhello\n')
        except smtplib.SMTPRecipientsRefused as e:
            code, text = list(e.recipients.values())[0]
            return code, text.decode()
        except smtplib.SMTPResponseException as e:
            return e.smtp_code, e.smtp_error.decode() if isinstance(e.smtp_error, bytes) else str(e.smtp_error)
        except (OSError, smtplib.SMTPException) as e:
            return 0, f'{type(e).__name__}: {e}'

    def row(self, mark):
        return next((q for q in self.f.queue() if q.get('subject') == mark), {})

    def stored(self, mark, service, uid=None):
        """Is the message there, handed in by that service, with its sender?"""
        q = self.row(mark)
        return q.get('service') == service and q.get('sender') == service + '@example.test' and q.get('uid') == uid

    def raw(self, listener, data, wait=5):
        """What a client that writes just this gets, to the end or until it is quiet."""
        with socket.create_connection(('127.0.0.1', self.ports[listener]), 10) as s:
            s.settimeout(wait)
            s.sendall(data)
            out = b''
            with contextlib.suppress(TimeoutError, OSError):
                while d := s.recv(65536):
                    out += d
            return out

    def password(self, service, *args):
        r = self.f.frank('service', 'password', service, *args)
        secrets.add(r.stdout.strip() if not args else '')
        return r


def run(ground, options):
    if os.getuid() != 0:
        return as_root('listener')
    w = World()
    try:
        if check('frankd starts', w.f.start(), w.f.log()[-800:]):
            by_uid(w)
            by_password(w)
            no_relay(w)
            smuggling(w)
            devices(w)
            closed_before(w)
            tls(w)
            crowd(w)
            configuration(w)
    finally:
        w.f.stop()


def by_uid(w):
    for listener, host in (*(('plain', a.rpartition(':')[0].strip('[]')) for a in loopback(w.ports['plain'])), ('start', '127.0.0.1'), ('tls', 'localhost')):
        for uid, service in ((ALICE, 'alice'), (BOB, 'bob')):
            mark = marker('uid')
            r = w.as_user(uid, listener, host, mark=mark)
            check(f'{listener} at {host}: uid {uid} is {service}', r is None and w.stored(mark, service, uid), (r, w.row(mark), w.f.log()[-400:]))
    r = w.as_user(BOB, 'plain', to='r@far.test')
    check('the rules of the service hold: its recipients', r and r[0] == 550 and 'recipient' in r[1], r)
    r = w.as_user(STRANGER, 'plain')
    check('a user without a service: 530, and what to do', r and r[0] == 530 and 'log in' in r[1], r)
    check('and an audit line', re.search(r'A message is refused\..*uid=64119.*endpoint=127\.0\.0\.1:', w.f.log()), w.f.log()[-500:])
    r = w.as_user(ALICE, 'strict')
    check('auth = required: whose the connection is does not count', r and r[0] == 530, r)


def by_password(w):
    r = w.password('grafana')
    secret = r.stdout.strip()
    check('a password: 160 bits that can be read, alone on standard output', r.returncode == 0 and re.fullmatch(r'([a-km-np-z2-9]{8}-){3}[a-km-np-z2-9]{8}', secret), r.stderr)
    check('it is said once', 'shown once' in r.stderr and wait_for(lambda: w.f.log().count('gets a password') == 1, 10), (r.stderr, w.f.log()[-300:]))
    other = w.password('jenkins').stdout.strip()
    for listener in ('strict', 'start', 'tls'):
        for how in ('PLAIN', 'LOGIN'):
            mark = marker('auth')
            r = w.as_user(STRANGER, listener, login=('grafana', secret), how=how, mark=mark)
            check(f'{listener}: AUTH {how} makes anybody the service', r is None and w.stored(mark, 'grafana'), (r, w.row(mark), w.f.log()[-400:]))
    mark = marker('both')
    r = w.as_user(ALICE, 'plain', login=('jenkins', other), mark=mark)
    check('a login counts before the user', r is None and w.stored(mark, 'jenkins'), (r, w.row(mark)))
    for name, login in (('a wrong password', ('grafana', secret[:-1] + ('a' if secret[-1] != 'a' else 'b'))), ("another service's", ('grafana', other)),
                        ('a service without', ('alice', secret)), ('no service', ('nothing', secret))):
        t = time.monotonic()
        r = w.as_user(STRANGER, 'strict', login=login, how='PLAIN')
        check(f'{name}: 535, after a while', r and r[0] == 535 and time.monotonic() - t > 1.5, r)
    check('audit lines name the service and the connection, and no password', len(re.findall(r'A login is refused\. service=grafana uid=64119 endpoint=127', w.f.log())) >= 2
          and secret not in w.f.log() and 'nothing' not in w.f.log(), w.f.log()[-800:])
    with w.connect('strict') as s:
        codes = [s.docmd('AUTH', 'PLAIN AGdyYWZhbmEAeA==')[0] for _ in range(3)]
    check('three failures end the session', codes == [535, 535, 421], codes)
    rows = {s['service']: s for s in w.f.json('service', 'list')['services']}
    check('service list shows its age', abs(rows['grafana']['password_made'] - time.time()) < 120 and 'password_made' not in rows['alice'], rows)
    w.f.stop()
    check('it starts again', w.f.start(), w.f.log()[-500:])
    check('a restart keeps it', w.talk('strict', login=('grafana', secret)) is None)
    r = w.password('grafana')
    new = r.stdout.strip()
    check('a new one: the old one ends', 'no longer works' in r.stderr and (w.talk('strict', login=('grafana', secret)) or [0])[0] == 535 and w.talk('strict', login=('grafana', new)) is None, r.stderr)
    with w.connect('strict') as s:
        s.login('grafana', new)
        r = w.password('grafana', '--revoke')
        try:
            s.sendmail('a@b.test', ['c@d.test'], 'Subject: late\n\nx\n')
            check('a session that stood sends no more', False)
        except smtplib.SMTPException as e:
            check('a session that stood sends no more', '530' in str(e), e)
    check('revoked', r.returncode == 0 and (w.talk('strict', login=('grafana', new)) or [0])[0] == 535, r)
    check('revoked twice says so', w.password('grafana', '--revoke').returncode == 67)
    check('a service that has no password = true gets none', w.password('alice').returncode == 67)
    barred(w, other)
    frank = w.f.path('frank')
    shutil.copy(program('frank'), frank)
    r = subprocess.run([frank, 'service', 'password', 'jenkins'], capture_output=True, text=True, env=w.f.env, user=ALICE, group=ALICE, extra_groups=[])
    check('only administrators make passwords', r.returncode == 77 and not r.stdout and w.talk('strict', login=('jenkins', other)) is None, r)
    with open(w.f.path('state/spool.db'), 'rb') as f:
        kept = f.read() + b''.join(open(p, 'rb').read() for p in glob.glob(w.f.path('state/spool/*-wal')))
    check('on disk is its digest alone', secret.encode() not in kept and other.encode() not in kept)


def barred(w, good):
    """Many failures at once: that user waits, and others do not."""
    sessions = [threading.Thread(target=lambda: w.as_user(64118, 'strict', login=('jenkins', 'wrong'), how='PLAIN')) for _ in range(21)]
    for t in sessions:
        t.start()
    for t in sessions:
        t.join()
    r = w.as_user(64118, 'strict', login=('jenkins', good), how='PLAIN')
    check('a user whose logins fail too often has to wait', r and r[0] == 421 and re.search(r'Logins of this caller fail too often.*uid=64118', w.f.log()), (r, w.f.log()[-400:]))
    check('others do not', w.as_user(pwd.getpwnam('games').pw_uid, 'strict', login=('jenkins', good), how='PLAIN') is None)
    # once it is known that it has no name, which a first session may not wait for
    count = lambda: (lambda r: r if r and r[0] == 421 else None)(w.as_user(STRANGER, 'strict', login=('jenkins', good), how='PLAIN'))
    check('but for those who have no name either, who count as one', wait_for(count, 20))


def no_relay(w):
    before = len(w.f.queue())
    for name, data, want in (
            ('MAIL at once', b'EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nQUIT\r\n', b'530 '),
            ('XFRANK parameters', b'EHLO x\r\nMAIL FROM:<> XCALLER\r\nQUIT\r\n', b'\r\n5'),
            ('XFRANK LIST', b'EHLO x\r\nXFRANK LIST\r\nQUIT\r\n', b'\r\n500 '),
            ('XFRANK FLUSH', b'EHLO x\r\nXFRANK FLUSH\r\nQUIT\r\n', b'\r\n500 '),
            ('a percent hack', b'EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c%d.test@localhost>\r\nQUIT\r\n', b'\r\n530 '),
            ('a browser', b'POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nEHLO x\r\nMAIL FROM:<a@b.test>\r\n', b'\r\n421 ')):
        out = w.raw('plain', data)
        check(f'no relay: {name}', want in out and b'\r\n354' not in out and b'XFRANK' not in out.split(b'QUIT')[0].replace(b'XFRANK not', b''), out)
    check('and nothing is stored', len(w.f.queue()) == before)


def smuggling(w):
    w.f.services['root'] = dict(users=['root'], accounts=['a'], senders=['root@example.test'], mode='capture')
    w.f.write_conf()
    check('reload: a service for root', w.f.frank('reload').returncode == 0)
    before = len(w.f.queue())
    start = b'EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n'
    second = b'MAIL FROM:<evil@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n'
    dots = {'LF.LF': b'\n.\n', 'LF.CRLF': b'\n.\r\n', 'CR.CR': b'\r.\r', 'CRLF.LF': b'\r\n.\n', 'LF.CR': b'\n.\r', 'CRLF.CR': b'\r\n.\r', 'LF.CRCRLF': b'\n.\r\r\n'}
    session = lambda dot, mark: start + b'Subject: ' + mark.encode() + b'\r\n\r\nx' + dot + second + b'Subject: t\r\n\r\ny\r\n.\r\nQUIT\r\n'
    for name, dot in dots.items():
        out = w.raw('crlf', session(dot, 's'))
        check(f'line-ends = "crlf": {name} is refused', out.count(b'\r\n250 2.0.0 queued') == 0 and out.count(b'354') == 1 and b'\r\n550 ' in out, out)
    check('and nothing of it is stored', len(w.f.queue()) == before)
    for name, dot in dots.items():
        mark = marker('dots')
        out = w.raw('plain', session(dot, mark))
        if dot[:1] == b'\r' and dot[1:2] != b'\n':  # a CR alone is no line end of anybody's
            check(f'smuggling by {name}: at most one message', out.count(b'354') == 1 and out.count(b'\r\n250 2.0.0 queued') <= 1, out)
            continue
        check(f'smuggling by {name}: it is one message', out.count(b'\r\n250 2.0.0 queued') == 1 and out.count(b'354') == 1 and out.count(b'\r\n221 ') == 1, out)
        check(f'smuggling by {name}: with all of it as text', w.row(mark).get('size', 0) > len(start) + len(second) and not [q for q in w.f.queue() if q.get('subject') == 't'], w.row(mark))
    out = w.raw('start', b'EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@b.test>\r\n')
    check('nothing may follow STARTTLS in clear', b'\r\n554 ' in out and b'220 2.0.0' not in out, out)


def devices(w):
    """What libraries and devices write, and Postfix takes: lines that end in LF or CR CR LF, no HELO, no name in it, no angle brackets."""
    envelope = b'MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n'
    for name, data in (('bare LF', b'EHLO x\r\n' + envelope + b'Subject: MARK\r\n\r\none\ntwo\r\n.\r\nQUIT\r\n'),
                       ('LF in the header', b'EHLO x\r\n' + envelope + b'Subject: MARK\nX-Two: 2\n\none\ntwo\n\r\n.\r\nQUIT\r\n'),
                       ('CR CR LF', b'EHLO x\r\n' + envelope + b'Subject: MARK\r\r\n\r\r\none\r\r\ntwo\r\r\n.\r\nQUIT\r\n'),
                       ('no angle brackets', b'EHLO x\r\nMAIL FROM: a@b.test\r\nRCPT TO: c@d.test\r\nDATA\r\nSubject: MARK\r\n\r\none\r\n.\r\nQUIT\r\n'),
                       ('HELO without a name', b'HELO\r\n' + envelope + b'Subject: MARK\r\n\r\none\r\n.\r\nQUIT\r\n'),
                       ('no HELO', envelope + b'Subject: MARK\r\n\r\none\r\n.\r\nQUIT\r\n')):
        mark = marker('device')
        out = w.raw('plain', data.replace(b'MARK', mark.encode()))
        check(f'a device: {name}', out.count(b'\r\n250 2.0.0 queued') == 1 and w.row(mark), out)


def closed_before(w):
    """Who is gone before he is asked about is nobody: the kernel says uid 0 of his socket, and root has a service here."""
    pid = next(p for p in w.f.pids() if b'frank-queue' in open(f'/proc/{p}/cmdline', 'rb').read())
    before = len(w.f.queue())
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            s = socket.create_connection(('127.0.0.1', w.ports['plain']))
            s.sendall(b'EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nBDAT 17 LAST\r\nSubject: gone\r\n\r\nxQUIT\r\n')
            s.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    check('a connection closed before it is accepted is nobody', wait_for(lambda: len(re.findall(r'No service is configured for the user who calls.*endpoint', w.f.log())) >= 5, 10)
          and len(w.f.queue()) == before, (w.f.log()[-600:], w.f.queue()[before:]))


def peer_name(w, listener):
    with w.connect(listener) as s:
        return dict(x[0] for x in s.sock.getpeercert()['subject'])['commonName']


def role_pid(w, name):
    for p in w.f.pids():
        with contextlib.suppress(OSError):
            if os.path.basename(open(f'/proc/{p}/cmdline').read().split('\0')[0]) == name:
                return p


def tls(w):
    check('the certificate is checked by the client, and good', peer_name(w, 'tls') == 'first' and peer_name(w, 'start') == 'first')
    pid = role_pid(w, 'frank-tls')
    status = open(f'/proc/{pid}/status').read()
    links = []
    for fd in glob.glob(f'/proc/{pid}/fd/*'):
        with contextlib.suppress(OSError):
            links.append(os.readlink(fd))
    check('frank-tls is confined, and has no file open', 'Seccomp:\t2' in status and 'NoNewPrivs:\t1' in status and not [x for x in links if x.startswith('/') and x not in ('/dev/null', w.f.log_file)], links)
    out = w.raw('tls', b'EHLO x\r\n')
    check('clear text on the port for TLS gets nothing', b'250' not in out and b'220' not in out, out)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with contextlib.suppress(ValueError, ssl.SSLError):
        old.set_ciphers('DEFAULT:@SECLEVEL=0')
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        try:
            smtplib.SMTP_SSL('localhost', w.ports['tls'], timeout=30, context=old).quit()
            check('TLS 1.1 is refused', False)
        except (ssl.SSLError, OSError) as e:
            check('TLS 1.1 is refused', True, e)
    body = 'x' * 70 + '\n'
    with w.connect('tls') as s:
        big = 'Subject: big\n\n' + body * 60000
        r = s.sendmail('a@b.test', ['c@d.test'], big)
        again = [s.sendmail('a@b.test', ['c@d.test'], f'Subject: again {i}\n\nx\n') for i in range(5)]
    check('4 MB and five more in one TLS session', r == {} and again == [{}] * 5 and w.row('big').get('size', 0) > 4000000, w.row('big'))
    new = certificate(w.dir, 'second')
    with w.connect('tls') as s:
        os.rename(new, w.in_use)
        r = w.f.frank('reload')
        w.context.load_verify_locations(new + '.crt')
        check('reload: the next connection sees the new certificate', r.returncode == 0 and peer_name(w, 'tls') == 'second' and peer_name(w, 'start') == 'second', r)
        check('and one that stood goes on', s.noop()[0] == 250)
    good = open(w.in_use).read()
    with open(w.in_use, 'w') as f:
        f.write(good.replace('MII', 'XXX'))
    r = w.f.frank('reload')
    check('a certificate that is no good: the old one stays, and the log says so', wait_for(lambda: 'the certificate that it had stays in use' in w.f.log(), 10) and peer_name(w, 'tls') == 'second', w.f.log()[-600:])
    r = subprocess.run([program('frankd'), '-c', w.f.conf_file, '--check'], capture_output=True, text=True, env=w.f.env, timeout=20)
    check('a certificate that is damaged inside: --check says where', r.returncode == 0 and
          re.search(r'frank\.conf:\d+: warning: listener "tls": the certificate file holds no certificate \(PEM\): no TLS is possible', r.stderr), r.stderr)
    with open(w.in_use, 'w') as f:
        f.write('no certificate\n')
    r = subprocess.run([program('frankd'), '-c', w.f.conf_file, '--check'], capture_output=True, text=True, env=w.f.env, timeout=20)
    check('a file that holds neither certificate nor key: --check says where', r.returncode == 0 and
          all(re.search(rf'frank\.conf:\d+: warning: listener "{n}": file:{w.in_use} holds no {what} \(PEM\)', r.stderr) for n in ('start', 'tls') for what in ('certificate', 'private key')), r.stderr)
    with open(w.in_use, 'w') as f:
        f.write(good)
    r = subprocess.run([program('frankd'), '-c', w.f.conf_file, '--check'], capture_output=True, text=True, env=w.f.env, timeout=20)
    check('and nothing of a good one', r.returncode == 0 and 'PEM' not in r.stderr, r.stderr)
    w.f.frank('reload')
    os.kill(role_pid(w, 'frank-tls'), signal.SIGKILL)
    check('frank-tls killed: the next connection has it again', wait_for(lambda: w.talk('tls') is None, 20, 0.5), w.f.log()[-600:])


def crowd(w):
    """A user who opens connections and says nothing, where TLS comes first: others still get through."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            os.setresgid(STRANGER, STRANGER, STRANGER)
            os.setresuid(STRANGER, STRANGER, STRANGER)
            held = []
            for _ in range(300):
                held.append(socket.create_connection(('127.0.0.1', w.ports['tls'])))
            os.write(into, b'x')
            time.sleep(60)
        os._exit(0)
    try:
        check('300 silent connections of one user', os.read(out, 1) == b'x')
        mark = marker('crowd')
        r = w.as_user(BOB, 'tls', mark=mark)
        check('do not keep another one out', r is None and w.stored(mark, 'bob', BOB), (r, w.f.log()[-500:]))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(out)
        os.close(into)


def configuration(w):
    path = w.f.path('wrong.conf')
    for name, text, want in (
            ('an address of other machines wants to be meant', 'address = "0.0.0.0:2525"', r'wrong\.conf:1: .*remote = true'),
            ('remote wants TLS', 'address = "0.0.0.0:2525" remote = true', r'wrong\.conf:1: .*wants TLS'),
            ('remote wants a login', f'address = "0.0.0.0:2525" remote = true certificate = "{w.in_use}" auth = "optional"', r'wrong\.conf:1: .*auth'),
            ('TLS wants a certificate', 'address = "127.0.0.1:2525" tls = "starttls"', r'wrong\.conf:1: .*certificate'),
            ('a name is no address', 'address = "localhost:2525"', r'wrong\.conf:1: .*IP address'),
            ('a key that is not there', 'address = "127.0.0.1:2525" certificate = "/nowhere.pem"', r'wrong\.conf:1: .*nowhere\.pem')):
        with open(path, 'w') as c:
            c.write(f'listener "x" {{ {text} }}\n'.replace(' tls =', '\n tls =').replace(' remote =', '\n remote =').replace(' certificate =', '\n certificate =').replace(' auth =', '\n auth =')
                    .replace('\n', '\n '))
        r = subprocess.run([program('frankd'), '-c', path, '--check'], capture_output=True, text=True, env=w.f.env)
        check('--check: ' + name, r.returncode == 78 and re.search(want.replace(':1:', r':\d+:'), r.stderr), r.stderr)
