# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Callers who mean harm, or loop: while each of them is at it, others get through; and what they try to smuggle in stays out."""
import select

from harness import *

EACH = 120  # connections of one uid: within its limit
UIDS = range(20001, 20010)


def run(ground, options):
    if os.getuid() != 0:
        return check.needs_root('hostile callers', 'needs root, to be several users')
    sink = Fault('smtp', '--tls', 'none')
    relay = {'provider': 'generic', 'mailbox': 'billing@example.test', 'grant': 'none', 'submit': f'127.0.0.1:{sink.port}', 'tls': 'none', 'sessions': 4}
    port = free_port()
    f = Frank('hostile', {'a': relay, 'b': dict(relay)},
              {'mail': dict(users=['root', 'games'], accounts=['a'], senders=['*'], **{'from': 'keep'}),
               'crowd': dict(users=['*'], accounts=['b'], senders=['*'], **{'from': 'keep'})}, spool={'max-size': '2M'})
    f.limits = {'messages': '60/min', 'in-flight': '8M'}
    f.listener = {'address': [f'127.0.0.1:{port}'], 'auth': 'optional'}
    write_conf(f)
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return sink.stop()
    check('a bystander gets through while nothing happens', bystander(f, sink, 'before'), f.shown())
    for attack in (silent, slow, halves, dropped, recipients, flood, garbage, lists):
        crowd = Crowd(f, attack)
        good = bystander(f, sink, attack.__name__)
        said = crowd.stop()
        check(f'{attack.__doc__.splitlines()[0][:-1]}: a bystander gets through', good, (said, f.log()[-600:]))
        check(f'{attack.__name__}: the attack was one', all(said), said)
    check('nothing of all this brought a role down', 'died' not in f.log() and f.listening(), f.log()[-800:])
    flood_is_bounded(f, sink)
    crowds(f, sink)
    envelopes(f, sink)
    log_flood(f)
    injection(f, sink)
    smuggling(f, sink, port)
    f.stop()
    sink.stop()


def write_conf(f):
    f.write_conf()
    with open(f.conf_file, 'a') as out:
        out.write(block('limits', None, f.limits) + block('listener', 'tcp', f.listener))


def bystander(f, sink, tag):
    """One message of an ordinary user, from sendmail's start to the provider. Whether it arrived in time."""
    mid = f'<by-{tag}-{time.time_ns():x}@hostile>'
    copy = f.path('sendmail')
    if not os.path.exists(copy):
        shutil.copy(program('sendmail'), copy)
        os.chmod(copy, 0o755)
    r = subprocess.run(['sendmail', '-i', '-f', 'games@example.test', 'x@example.test'], executable=copy, cwd='/', timeout=60, capture_output=True, env=f.env,
                       input=f'From: games@example.test\nMessage-ID: {mid}\n\nx\n'.encode(), preexec_fn=lambda: become(pwd.getpwnam('games').pw_uid))
    return r.returncode == 0 and wait_for(lambda: mid in [m['id'] for m in sink.messages()], 40, 0.1)


def become(uid):
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)


class Crowd:
    """One process for each of UIDS, which runs the attack until it is told to stop; says whether it got anywhere."""

    def __init__(self, f, attack):
        self.children = []
        for uid in UIDS:
            ours, theirs = socket.socketpair()
            pid = os.fork()
            if pid == 0:
                ours.close()
                try:
                    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                    become(uid)
                    attack(f, theirs)
                finally:
                    os._exit(0)
            theirs.close()
            self.children.append((pid, ours))
        for _, ours in self.children:  # all of them are at it
            ours.settimeout(60)
            ours.recv(1)

    def stop(self):
        said = []
        for pid, ours in self.children:
            with contextlib.suppress(OSError):
                ours.send(b'x')
                said.append(ours.recv(1) == b'+')
            ours.close()
            os.waitpid(pid, 0)
        return said


def connect(f):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(f.path('run/submit.sock'))
    return s


def many(f):
    out = []
    for _ in range(EACH):
        with contextlib.suppress(OSError):
            out.append(connect(f))
    return out


def busy(end, work):
    """Says that it has begun, works until it is told to stop, and says whether there was anything to do."""
    end.send(b'.')
    done = 0
    while not select.select([end], [], [], 0)[0]:
        done += bool(work())
    end.send(b'+' if done else b'-')


def idle(end, sockets):
    end.send(b'.')
    end.recv(1)
    end.send(b'+' if len(sockets) > EACH // 2 else b'-')


def silent(f, end):
    """A thousand connections that say nothing."""
    idle(end, many(f))


BEGIN = b'EHLO x\r\nMAIL FROM:<x@example.test>\r\nRCPT TO:<y@example.test>\r\nBDAT 1000000 LAST\r\nSubject: x\r\n\r\n'


def slow(f, end):
    """A thousand callers who write an octet now and then."""
    sockets = many(f)
    for s in sockets:
        with contextlib.suppress(OSError):
            s.send(BEGIN)

    def work():
        for s in sockets:
            with contextlib.suppress(OSError):
                s.send(b'x', socket.MSG_DONTWAIT)
        time.sleep(0.2)
        return True
    busy(end, work)


def halves(f, end):
    """Half messages, a megabyte each, never finished."""
    sockets = many(f)[:20]
    for s in sockets:
        with contextlib.suppress(OSError):
            s.sendall(BEGIN + b'line of text\r\n' * 60000)
    idle(end, sockets * 6)


def dropped(f, end):
    """Connections that break off in mid-message, again and again."""
    def work():
        with contextlib.suppress(OSError):
            s = connect(f)
            s.sendall(BEGIN + b'x\r\n' * 5000)
            s.close()
            return True
    busy(end, work)


def recipients(f, end):
    """A million recipients in all."""
    block_ = b''.join(b'RCPT TO:<u%d@example.test>\r\n' % i for i in range(2000))

    def work():
        with contextlib.suppress(OSError):
            s = connect(f)
            s.sendall(b'EHLO x\r\nMAIL FROM:<x@example.test>\r\n')
            for _ in range(60):
                s.sendall(block_)
                while select.select([s], [], [], 0)[0]:
                    s.recv(1 << 20)
            return True
    busy(end, work)


def flood(f, end):
    """Messages as fast as they go."""
    text = b''.join(b'MAIL FROM:<x@example.test>\r\nRCPT TO:<y@example.test>\r\nBDAT 3 LAST\r\n\nx\n' for _ in range(50))

    def work():
        with contextlib.suppress(OSError):
            s = connect(f)
            s.sendall(b'EHLO x\r\n' + text + b'QUIT\r\n')
            while s.recv(65536):
                pass
            return True
    busy(end, work)


def garbage(f, end):
    """Noise instead of SMTP."""
    def work():
        with contextlib.suppress(OSError):
            s = connect(f)
            s.sendall(os.urandom(60000))
            s.close()
            return True
    busy(end, work)


def lists(f, end):
    """Everybody asks for the queue, all the time."""
    def work():
        with contextlib.suppress(OSError):
            s = connect(f)
            s.sendall(b'EHLO x\r\n' + b'XFRANK LIST\r\nXFRANK FLUSH\r\n' * 20 + b'QUIT\r\n')
            while s.recv(65536):
                pass
            return True
    busy(end, work)


def talk(where, text, seconds=20):
    """All that is said to these octets."""
    s = connect(where) if isinstance(where, Frank) else socket.create_connection(('127.0.0.1', where), 20)
    with s:
        s.settimeout(seconds)
        with contextlib.suppress(OSError):
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
        out = b''
        with contextlib.suppress(OSError):
            while more := s.recv(65536):
                out += more
        return out.decode(errors='replace')


def flood_is_bounded(f, sink):
    """Each of the crowd got its messages a minute, and not more; the log was not flooded either."""
    got = sum(m.get('service') == 'crowd' for m in f.queue()) + sum('x@example.test' in str(m.get('from', m.get('mail', ''))) for m in sink.messages())
    lines = [line for line in f.log().splitlines() if 'This user hands in more' in line]
    check('a flood of uids without a name is held to the messages a minute of one user', 0 < got <= 300, got)
    check('and takes some lines a minute in the log', 1 <= len(lines) <= 50, len(lines))
    f.frank('queue', 'delete', '--account', 'b')


SUBORDINATE = 2000000  # whoever has a range of such uids has thousands of them, none with a name


class Range:
    """One process with many connections, each of another uid: `count` uids, `each` connections to this socket."""

    def __init__(self, path, kind, count, each):
        self.ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self.ours.close()
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
                os.setgroups([])
                self.take(path, kind, count, each)
                theirs.send(b'.')
                theirs.recv(1)
            finally:
                os._exit(0)
        theirs.close()
        self.ours.settimeout(60)
        self.ours.recv(1)

    def take(self, path, kind, count, each):
        self.sockets = []
        for n in range(count * each):
            s = socket.socket(socket.AF_UNIX, kind)
            s.settimeout(20)
            os.setresuid(SUBORDINATE + n // each, SUBORDINATE + n // each, 0)  # by the effective uid the kernel names the peer
            with contextlib.suppress(OSError):
                s.connect(path)
            os.setresuid(0, 0, 0)
            self.sockets.append(s)

    def stop(self):
        self.ours.close()
        os.waitpid(self.pid, 0)


def crowds(f, sink):
    """A range of subordinate uids on each socket; root, and a user with a name, get through."""
    games = pwd.getpwnam('games').pw_uid
    frank = f.path('frank')
    shutil.copy(program('frank'), frank)
    for name, kind, count, each in (('submit', socket.SOCK_STREAM, 1200, 1), ('control', socket.SOCK_SEQPACKET, 100, 8), ('keeper', socket.SOCK_SEQPACKET, 20, 64)):
        crowd = Range(f.path(f'run/{name}.sock'), kind, count, each)
        for who, uid in (('root', 0), ('a user', games)):
            for args in (['queue'], ['status']):
                r = subprocess.run([frank, *args], capture_output=True, text=True, env=f.env, timeout=60, user=uid, group=uid, extra_groups=[])
                check(f'{count * each} connections of {count} uids on {name}.sock: {who} gets the answer of frank {args[0]}', r.returncode == 0, r)
        check(f'{name}.sock: and mail through', bystander(f, sink, 'crowd-' + name), f.log()[-500:])
        crowd.stop()


def recipients_of(f, count, lines):
    """In a child that is an ordinary user: connections with these recipients each. Stays until it is told to go; how many were taken, and refused."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        taken = refused = 0
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            become(pwd.getpwnam('games').pw_uid)
            sockets = [connect(f) for _ in range(count)]
            for s in sockets:
                threading.Thread(target=s.sendall, args=(b'EHLO x\r\nMAIL FROM:<games@example.test>\r\n' + lines + b'NOOP\r\n',), daemon=True).start()
                said = b''
                while not re.search(rb'^250 2\.0\.0', said, re.M):
                    said += s.recv(1 << 20) or b'250 2.0.0'
                taken += said.count(b'\n250 2.1.5')
                refused += said.count(b'\n452 4.5.3 This user')
            theirs.send(json.dumps((taken, refused)).encode())
            theirs.recv(1)
        except Exception as e:
            theirs.send(json.dumps((taken, refused, repr(e))).encode())
        finally:
            os._exit(0)
    theirs.close()
    ours.settimeout(300)
    return pid, ours, json.loads(ours.recv(500) or b'[0, 0]')


def resident(f, role):
    """Octets of memory of its own that a role has."""
    for pid in f.pids():
        with contextlib.suppress(OSError):
            if os.path.basename(os.readlink(f'/proc/{pid}/exe').removesuffix(' (deleted)')) == role:
                return int(re.search(r'RssAnon:\s*(\d+)', open(f'/proc/{pid}/status').read()).group(1)) * 1024


def envelopes(f, sink):
    """One user with many connections and 10,000 recipients on each."""
    lines = b''.join(b'RCPT TO:<recipient%05d@some.where.example.test>\r\n' % i for i in range(10000))
    before = resident(f, 'frank-queue')
    pid, ours, said = recipients_of(f, EACH, lines)
    grown = resident(f, 'frank-queue') - before
    check('the recipients that one user hands in at once are bounded', 10000 < said[0] < 500000 and said[1] > 0, said)
    if not f.is_sanitized():
        check('and so is the memory of the queue', grown < 100 << 20, grown)
    check('a bystander gets through meanwhile', f.send('root@example.test', 'x@example.test', marker('envelopes')) == 0)
    ours.close()
    os.waitpid(pid, 0)
    pid, ours, said = recipients_of(f, 1, lines)
    check('and when they are gone it may hand in as many again', said == [10000, 0], said)
    ours.close()
    os.waitpid(pid, 0)


def log_flood(f):
    """What is refused again and again is counted, and a name that is no account's is cut."""
    before, count = os.path.getsize(f.log_file), 20000
    statuses = [subprocess.run([f.path('frank'), 'token', 'a' * 3000], capture_output=True, env=f.env, timeout=60, user=20001, group=20001, extra_groups=[]).returncode
                for _ in range(60)]
    pid = os.fork()
    if pid == 0:
        try:
            become(65534)
            s = connect(f)
            threading.Thread(target=s.sendall, args=(b'EHLO x\r\n' + b'MAIL FROM:<x@example.test>\r\nNOOP\r\n' * count + b'QUIT\r\n',), daemon=True).start()
            while s.recv(1 << 20):
                pass
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    f.stop()
    log = open(f.log_file, errors='replace').read()[before:]
    check('60 refused tokens are some lines, each short', set(statuses) == {77} and 1 <= log.count('An access token was asked for. account=') <= 12
          and max(map(len, log.splitlines())) < 1500, (set(statuses), log[-500:]))
    check('and a count', re.search(r'An access token was asked for\. \d+ more like this, of uids without a name\.', log), log[-800:])
    check('thousands of refused messages are some lines', log.count('A message is refused.') < 30 and len(log) < 40000, (len(log), log[-500:]))
    check('and a count', re.search(r'A message is refused\. \d{2,} more like this, of uids without a name\.', log), log[-800:])
    check('frankd starts', f.start(), f.log()[-500:])


def stored(f, sink):
    return len(f.queue()) + len(sink.messages())


def injection(f, sink):
    """Commands within an address, a name, a header; a NUL in an envelope."""
    wait_for(lambda: not f.queue(), 60, 0.3)
    before = stored(f, sink)
    for args in (['x@example.test>\r\nRCPT TO:<eve@example.test'], ['-f', 'x@example.test>\r\nRCPT TO:<eve@example.test', 'y@example.test'],
                 ['y@example.test> NOTIFY=NEVER ORCPT=rfc822;x'], ['-f', 'a@example.test> SIZE=1', 'y@example.test']):
        r = f.sendmail('-i', *args)
        check(f'{max(args, key=len)[:30]!r} is refused', r.returncode in (64, 65, 67), r)
    r = f.sendmail('-t', body='To: y@example.test>\r\nRCPT TO:<eve@example.test\r\n\r\nx\r\n')
    check('an address field that holds commands is refused', r.returncode in (64, 65), r)
    for line in (b'MAIL FROM:<x@example.test\0>\r\n', b'MAIL FROM:<x@example.test>\r\nRCPT TO:<y@exa\0mple.test>\r\n', b'MAIL FROM:<x@example.test>\r\nRCPT TO:<y\r@example.test>\r\n'):
        out = talk(f, b'EHLO x\r\n' + line + b'DATA\r\nQUIT\r\n')
        check(f'{line[-32:]!r} is refused', '\n500 5.5.2 Control characters' in out and '354' not in out, out)
    check('nothing of it was stored', stored(f, sink) == before, (before, f.shown()))
    mark = marker('name')
    r = f.sendmail('-i', '-F', 'Eve\r\nBcc: eve@example.test\r\nX-Mine: 1', '-V', 'id\r\nRCPT TO:<eve@example.test>', 'y@example.test', body=f'Subject: {mark}\n\nx\n')
    check('a full name and an envelope id that hold lines are data', r.returncode == 0, r)
    got = wait_for(lambda: [m for m in sink.messages() if mark in json.dumps(m)], 20, 0.2)
    check('and make neither a recipient nor a field', not got or 'eve@example.test' not in json.dumps([m.get('to', m.get('rcpt')) for m in got]), got)
    mark = marker('subject')
    r = f.sendmail('-t', body=f'To: y@example.test\nSubject: {mark}\r\r\nBcc: eve@example.test\n\nx\n')
    check('a Bcc behind an odd line end is a recipient once, by the rules, or text; never half of both', r.returncode == 0, r)


def smuggling(f, sink, port):
    """A dot between bare line ends ends no content, on no entrance of SMTP (CVE-2023-51764 and its kin)."""
    inner = b'MAIL FROM:<eve@example.test>\r\nRCPT TO:<eve@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n'
    for end in (b'\n.\n', b'\n.\r\n', b'\r\n.\n', b'\r.\r', b'\r.\r\n', b'\r\n.\r', b'\r\n\0.\r\n', b'\r\n.\r\r\n'):
        for name, where in (('the listener', port), ('the socket', f)):
            out = talk(where, b'EHLO x\r\nMAIL FROM:<x@example.test>\r\nRCPT TO:<y@example.test>\r\nDATA\r\nSubject: outer\r\n\r\ntext' + end + inner + b'QUIT\r\n')
            check(f'{name}: {end!r} ends no content', out.count('354 ') == 1, out)
    time.sleep(0.2)
    check('nothing was smuggled', not [m for m in sink.messages() if 'eve@example.test' in json.dumps([m.get('from'), m.get('to'), m.get('mail'), m.get('rcpt')])] and
          not [m for m in f.queue() if m.get('sender') == 'eve@example.test'], f.shown())
