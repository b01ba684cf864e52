# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Who may do what: each kind of caller at each entrance, over the real daemon (frank-security(7)). Needs root, to be several users."""
import sqlite3

from harness import *

GAMES = pwd.getpwnam('games').pw_uid
NAMELESS, NOBODY = 64301, 65534  # without a name; of another user namespace


def run(ground, options):
    if os.getuid() != 0:
        return as_root('rights')
    w = World()
    try:
        if check('frankd starts', w.f.start(), w.f.log()[-800:]):
            hand_in(w)
            lists(w)
            asks(w)
            flushes(w)
            control(w)
            keeper(w)
            old_spool(w)
            names(w)
            terminals(w)
            limits(w)
            checks(w)
    finally:
        w.f.stop()
        w.stop()


class Closed:
    """A server that hangs up at once, and counts: its account's mail waits."""

    def __init__(self):
        self.s, self.count = socket.create_server(('127.0.0.1', 0)), 0
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                c, _ = self.s.accept()
                self.count += 1
                c.close()


class World:
    def __init__(self):
        self.kept = tempfile.mkdtemp(prefix='kept-', dir=harness_dir())
        self.sink, self.closed = Fault('smtp', '--tls', 'none', '--keep', self.kept), Closed()
        self.login = Fault('smtp', '--tls', 'none', '--mode', 'auth_in_clear')
        secret = {'provider': 'generic', 'mailbox': 'daemon@example.test', 'grant': 'password', 'auth': ['PLAIN'], 'tls': 'none', 'allow-plaintext-secret': True,
                  'submit': f'127.0.0.1:{self.login.port}'}
        relay = {'provider': 'generic', 'mailbox': 'billing@example.test', 'grant': 'none', 'tls': 'none'}
        self.f = Frank('rights', {'waits': dict(relay, submit=f'127.0.0.1:{self.closed.port}'), 'goes': dict(relay, submit=f'127.0.0.1:{self.sink.port}'),
                                   'secret': secret},
                       {'clerks': dict(users=['daemon', 'bin'], accounts=['secret'], senders=['daemon@example.test']),
                        'crew': dict(users=['root', 'games', str(NAMELESS)], accounts=['waits'], senders=['crew@example.test']),
                        'box': dict(socket=True, accounts=['waits'], senders=['box@example.test'], **{'socket-mode': '0666'}),
                        'out': dict(socket=True, accounts=['goes'], senders=['out@example.test'], **{'socket-mode': '0666'}),
                        'far': dict(socket=True, mode='capture', accounts=['goes'], senders=['far@example.test'], **{'socket-mode': '0666'})})
        with open(self.f.conf_file, 'a') as out:
            out.write(block('limits', None, {'messages': '20/min'}))
        self.ids = {}

    def stop(self):
        self.closed.s.close()
        self.sink.stop()
        self.login.stop()

    def path(self, service=None):
        return self.f.path(f'run/services/{service}/submit.sock' if service else 'run/submit.sock')

    def ask(self, uid, *lines, service=None):
        """What one session of this user is answered, as text."""
        return as_user(uid, lambda: talk(self.path(service), 'EHLO x\r\n' + ''.join(line + '\r\n' for line in lines) + 'QUIT\r\n'))

    def mail(self, uid, mark, service=None, header='Subject: %s\r\n\r\nx\r\n'):
        text = header % mark if '%s' in header else header
        return self.ask(uid, 'MAIL FROM:<>', 'RCPT TO:<r@far.test>', f'BDAT {len(text)} LAST', text.removesuffix('\r\n'), service=service)

    def frank(self, uid, *args):
        frank = self.f.path('frank')
        if not os.path.exists(frank):
            shutil.copy(program('frank'), frank)
        return subprocess.run([frank, *args], capture_output=True, text=True, env=self.f.env, timeout=60, user=uid, group=uid, extra_groups=[])


def as_user(uid, work):
    """The text that `work` returns in a child which is that user, in no group but its own."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.write(into, work().encode()[:60000])
        except Exception as e:
            os.write(into, f'{type(e).__name__}: {e}'.encode())
        finally:
            os._exit(0)
    os.close(into)
    with open(out, 'rb') as f:
        text = f.read().decode(errors='replace')
    os.waitpid(pid, 0)
    return text


def talk(path, text):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(path)
        s.sendall(text.encode())
        s.shutdown(socket.SHUT_WR)
        out = b''
        with contextlib.suppress(OSError):
            while more := s.recv(65536):
                out += more
        return out.decode(errors='replace')


CALLERS = {'root': (0, None), 'games': (GAMES, None), 'nameless': (NAMELESS, None), 'box root': (0, 'box'), 'box games': (GAMES, 'box'), 'box nameless': (NAMELESS, 'box'),
           'box nobody': (NOBODY, 'box'), 'far root': (0, 'far')}


def hand_in(w):
    """One message of each caller; nobody hands in none by the common socket."""
    for name, (uid, service) in CALLERS.items():
        said = w.mail(uid, marker('mine'), service)
        found = re.search(r'queued as ([0-9A-F]+)', said)
        check(f'{name} hands in mail', found, said)
        w.ids[name] = found and found.group(1)
    said = w.mail(NOBODY, 'x')
    check('nobody hands in none by the common socket', '\n550 5.7.1' in said, said)


def shown(w, text):
    return {name for name, i in w.ids.items() if i in text}


def lists(w):
    for name, (uid, service) in CALLERS.items():
        said = w.ask(uid, 'XFRANK LIST', service=service)
        want = set(CALLERS) if name == 'root' else {name}
        check(f'mailq of {name} lists what is its own', shown(w, said) == want, (shown(w, said), said[-300:]))
    said = w.ask(NOBODY, 'XFRANK LIST')
    check('and that of nobody nothing', not shown(w, said) and '\n550 5.7.1' in said, said)


def asks(w):
    for name, (uid, service) in CALLERS.items():
        said = w.ask(uid, 'XFRANK ALIASES', service=service)
        check(f'newaliases of {name}', ('\n550 5.7.1' not in said) == (name == 'root'), said)


def flushes(w):
    """Only an administrator of this host puts a server that refuses to the test."""
    wait_for(lambda: w.closed.count > 0, 20)
    wait_for(lambda: w.f.account('waits').get('state') == 'unreachable', 20)
    count = w.closed.count
    for _ in range(20):
        for name, (uid, service) in CALLERS.items():
            if name != 'root':
                w.ask(uid, 'XFRANK FLUSH', service=service)
    check('sendmail -q through a socket, or of a user, makes no logins', wait_for(lambda: w.closed.count > count + 1, 2) is False, (count, w.closed.count))
    count = w.closed.count
    w.ask(0, 'XFRANK FLUSH')
    check('root of this host may', wait_for(lambda: w.closed.count > count, 20), w.f.log()[-500:])


def control(w):
    for name, uid in (('games', GAMES), ('nameless', NAMELESS)):
        r = w.frank(uid, 'queue', '--json')
        check(f'control.sock shows {name} its own', r.returncode == 0 and shown(w, r.stdout) == {name}, r)
        for other in set(CALLERS) - {name}:
            r = w.frank(uid, 'queue', 'show', w.ids[other])
            check(f'{name} sees nothing of {other}', r.returncode != 0 and w.ids[other] not in r.stdout, r)
            r = w.frank(uid, 'queue', 'delete', w.ids[other])
            check(f'{name} deletes nothing of {other}', r.returncode == 77, r)
        r = w.frank(uid, 'queue', 'delete', '--service', 'box')
        check(f'{name} deletes nothing of a service', shown(w, w.f.frank('queue', '--json').stdout) == set(CALLERS), r)
    r = w.frank(NOBODY, 'queue')
    check('nobody is answered nothing', r.returncode == 77 and not shown(w, r.stdout), r)
    rows = {m['id']: m for m in w.f.queue()}
    check('an administrator sees all, and whose a uid is', set(w.ids.values()) <= set(rows) and rows[w.ids['box root']].get('socket') == 'box'
          and rows[w.ids['box root']]['uid'] == 0 and 'socket' not in rows[w.ids['root']], rows)
    r = w.frank(GAMES, 'queue', 'delete', w.ids['games'])
    check('and everybody deletes its own', r.returncode == 0, r)
    said = w.ask(GAMES, 'XFRANK LIST', service='box')
    check('which leaves what has the same number in a container', shown(w, said) == {'box games'}, said)


def keeper(w):
    """keeper.sock: only administrators do more than have tokens of their service; nobody has none, whatever a service says."""
    for name, uid in (('games', GAMES), ('nameless', NAMELESS), ('nobody', NOBODY)):
        for args in (['token', 'goes'], ['secret', 'set', 'secret'], ['key', 'list'], ['account', 'revoke', 'goes'], ['authorize', 'goes', '--no-browser']):
            r = subprocess.run([w.f.path('frank'), *args], input='x\n', capture_output=True, text=True, env=w.f.env, timeout=60, user=uid, group=uid, extra_groups=[])
            check(f'{name} is refused frank {" ".join(args[:2])}', r.returncode == 77, r)
            if args[0] == 'authorize':
                check(f'{name} is told who may authorize', 'needs an administrator of Frank' in r.stderr, r.stderr)
        r = w.frank(uid, 'reload')
        check(f'{name} is refused frank reload', r.returncode == 77, r)
    check('root is not', w.f.frank('key', 'list').returncode == 0)


def old_spool(w):
    """Messages of a version that did not tell a container's uid from a user's."""
    w.f.stop()
    with contextlib.closing(sqlite3.connect(glob.glob(w.f.path('state') + '/**/spool.db', recursive=True)[0])) as db, db:
        db.execute('UPDATE message SET flags = flags & 127')
    check('frankd starts with them', w.f.start(), w.f.log()[-500:])
    said = w.ask(NAMELESS, 'XFRANK LIST')
    check('a user has its own of them', shown(w, said) == {'nameless'}, said)
    for name in ('box nameless', 'box root'):
        said = w.ask(CALLERS[name][0], 'XFRANK LIST', service='box')
        check(f'those of {name} are shown to administrators alone', not shown(w, said) and 'is empty' in said, said)
    check('who see them all', set(w.ids.values()) - {w.ids['games']} <= {m['id'] for m in w.f.queue()})


def names(w):
    """No name of this host's users gets into the mail of a container."""
    mark = marker('name')
    said = w.mail(GAMES, mark, 'out')
    got = wait_for(lambda: [t for t in (open(p, encoding='latin-1').read() for p in glob.glob(w.kept + '/*.eml')) if mark in t], 20, 0.1)
    check('its From is that of the service', got and re.search(r'^From: <?out@example\.test>?\r?$', got[0], re.M), (said, got))
    check('and no user of this host is in it', got and 'games' not in got[0], got)


def terminals(w):
    """What a sender writes does nothing to the terminal of whoever looks."""
    bad = re.compile('[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]')
    mark = marker('terminal')
    text = f'Subject: {mark} \x9b31m \u202e \u2028 \u2066 \x7f end\r\n\r\nx\r\n'
    said = w.ask(GAMES, 'MAIL FROM:<> SMTPUTF8 BODY=8BITMIME', 'RCPT TO:<r@far.test>', 'RCPT TO:<"r\u202er"@far.test>', 'RCPT TO:<s\x9bs@far.test>',
                 f'BDAT {len(text.encode())} LAST', text.removesuffix('\r\n'))
    if 'queued as' not in said:  # addresses of that kind are refused
        said = w.ask(GAMES, 'MAIL FROM:<> SMTPUTF8 BODY=8BITMIME', 'RCPT TO:<r@far.test>', f'BDAT {len(text.encode())} LAST', text.removesuffix('\r\n'))
    found = re.search(r'queued as ([0-9A-F]+)', said)
    if not check('such a subject is taken', found, said):
        return
    for args in (['queue', '--json'], ['queue'], ['queue', 'show', found.group(1), '--json'], ['queue', 'show', found.group(1)]):
        r = w.f.frank(*args)
        check(f'frank {" ".join(args[:2])}{" --json" * ("--json" in args)} prints no controls', r.returncode == 0 and not bad.search(r.stdout), repr(bad.search(r.stdout)))
    rows = [m for m in w.f.queue() if m['id'] == found.group(1)]
    check('and JSON keeps what was written', rows and mark in rows[0].get('subject', '') and '\u202e' in rows[0]['subject'], rows)
    listed = w.ask(GAMES, 'XFRANK LIST').replace('\r\n', '\n')
    check('mailq prints no controls', found.group(1) in listed and not bad.search(listed), repr(bad.search(listed)))


def limits(w):
    said = w.ask(0, *[line for _ in range(30) for line in ('MAIL FROM:<>', 'RSET')])
    check('root of this host is held to no rate', said.count('\n250 2.1.0') == 30, said[-300:])
    for i in range(30):
        said = w.mail(0, 'x', 'box')
        if 'queued as' not in said:
            break
    check('root of a container is held to it like a user', '\n452 4.7.1 This user hands in more' in said, (i, said))


def checks(w):
    """frank check of a user is a login at the provider: some in ten minutes, none after one that was refused, and root's in between."""
    daemon, bin_ = pwd.getpwnam('daemon').pw_uid, pwd.getpwnam('bin').pw_uid
    r = w.f.frank('secret', 'set', 'secret', input='a password of sixteen\n')
    secrets.add('a password of sixteen')
    logins = lambda: (lambda s: s['auth_ok'] + s['auth_fail'])(w.login.stats())

    def ask(uid, count):
        crowd = [subprocess.Popen([w.f.path('frank'), 'check', 'secret'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=w.f.env, user=uid, group=uid, extra_groups=[])
                 for _ in range(count)]
        said = [p.communicate(timeout=90)[1] for p in crowd]
        return [p.returncode for p in crowd], said

    before = logins()
    for _ in range(6):
        status, said = ask(daemon, 8)
    check('48 checks of a user are some logins', 0 < logins() - before <= 5, (logins() - before, status, said))
    check('and who asked is told', set(status) == {75} and all('often enough' in s for s in said), (status, said))
    status, said = ask(bin_, 1)
    check('they count for the account as well', status == [75] and 'often enough' in said[0], (status, said))
    before = logins()
    check('root may check all the same', w.f.frank('check', 'secret').returncode == 0 and logins() > before, w.f.log()[-500:])
    w.f.stop()
    check('frankd starts', w.f.start(), w.f.log()[-500:])
    w.login.mode('auth_in_clear,auth_fail')
    before = logins()
    status = [ask(daemon, 1)[0][0] for _ in range(4)]
    check('a login that is refused is the last one for now', status == [77, 75, 75, 75] and logins() - before <= 2, (status, logins() - before))
    check('and the account waits as after one of its mail', w.f.account('secret').get('state') in ('refused', 'needs-authorization'), w.f.account('secret'))
