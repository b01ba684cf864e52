# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""A full disk: mail is refused in time, what was taken is delivered, and everything that mends it works.

The state folder lies on a small file system that is really filled: by a flood of mail, and by a neighbour outside of Frank. It is
mounted in a namespace of its own, in which frankd runs.
"""
import pwd, sqlite3

from harness import *

SERVICES = {'one': dict(users=['root'], accounts=['a'], **{'from': 'keep', 'senders': ['*']}),
            'two': dict(users=['daemon'], accounts=['a'], **{'from': 'keep', 'senders': ['*']})}


def damaged():
    """A spool with damage in the middle: frankd says what happened and what to do, and doing it saves the mail."""
    f = Frank('damaged', {'a': {'provider': 'generic', 'mailbox': 'a@example.test', 'grant': 'none', 'submit': '127.0.0.1:1', 'tls': 'none'}})
    check('damage: frankd starts', f.start(), f.log()[-500:])
    sent = [f.send('a@example.test', 'x@example.test', marker('damage')) for _ in range(60)]
    before = len(f.queue())
    f.stop()
    path = f.path('state/spool/spool.db')
    db = sqlite3.connect(path)
    page, size = db.execute("SELECT rootpage, (SELECT page_size FROM pragma_page_size) FROM sqlite_schema WHERE name='attempt_message'").fetchone()
    db.execute("UPDATE meta SET value=0 WHERE key='clean'")
    db.commit()
    db.close()
    with open(path, 'r+b') as file:
        file.seek((page - 1) * size)
        file.write(b'\x55' * size)
    check('damage: frankd does not start, and ends with 74', not f.start() and f.p.wait(20) == 74, (f.p.poll(), f.log()[-800:]))
    told = f.log()
    found = re.search(r'in the folder of that file: (.*?); then start it again', told)
    check('damage: it says what happened and what to do', 'the spool is damaged' in told and found and 'Bad message' not in told, told[-800:])
    if not found or not shutil.which('sqlite3'):
        return
    r = subprocess.run(found.group(1), shell=True, cwd=f.path('state/spool'), capture_output=True, text=True)
    check('damage: the step works', r.returncode == 0, r)
    check('damage: frankd starts again', f.start(), f.log()[-800:])
    check('damage: and has the mail', len(f.queue()) == before == len(sent), (len(f.queue()), before, f.log()[-500:]))
    f.stop()


class Small(Frank):
    """A frankd whose state folder is a file system of so many megabytes."""

    def __init__(self, name, accounts, megabytes, kind, **more):
        super().__init__(name, accounts, **more)
        image = self.path('image')
        mount = f'mount -t tmpfs -o size={megabytes}m,mode=755 tmpfs "$1"'
        if kind == 'ext4':
            mount = f'truncate -s {megabytes}M "$2" && mkfs.ext4 -q -m 0 "$2" && mount -o loop "$2" "$1"'
        script = f'{mount} && chown nobody: "$1" && chmod 755 "$1" && echo ready && exec cat'
        self.holder = subprocess.Popen(['unshare', '-m', '--propagation', 'private', 'sh', '-c', script, 'sh', self.path('state'), image],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.ready = self.holder.stdout.readline() == b'ready\n'
        self.state = f'/proc/{self.holder.pid}/root' + self.path('state')

    def start(self, wait=True):
        self.starts += 1
        with open(self.log_file, 'ab') as log:
            self.p = subprocess.Popen(['nsenter', '-t', str(self.holder.pid), '-m', '--', program('frankd'), '-c', self.conf_file, '--foreground'],
                                      stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, start_new_session=True)
        return wait_for(lambda: self.p.poll() is not None or self.listening(), 30, 0.05) and self.p.poll() is None

    def fill(self):
        """A neighbour takes every block there is."""
        with open(self.state + '/neighbour', 'ab') as f:
            for size in (1 << 20, 1 << 16, 4096, 512):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(f.fileno(), b'x' * size)

    def free(self):
        os.unlink(self.state + '/neighbour')

    def available(self):
        v = os.statvfs(self.state)
        return v.f_bavail * v.f_frsize

    def hand_in(self, size, user=None, to='x@example.test'):
        """sendmail's exit status for a message of so many octets."""
        body = b'Subject: flood\n\n' + (b'y' * 70 + b'\n') * (size // 71 + 1)
        drop = None
        if user:
            p = pwd.getpwnam(user)
            drop = lambda: (os.setgroups([]), os.setgid(p.pw_gid), os.setuid(p.pw_uid))
        env = dict(self.env, FRANK_DROP_DIR='/nonexistent')
        return subprocess.run([program('sendmail'), '-i', '-f', 'a@example.test', to], input=body, env=env, preexec_fn=drop, cwd='/', capture_output=True,
                              timeout=60).returncode

    def end(self):
        self.stop()
        self.holder.stdin.close()
        self.holder.wait(20)


def run(ground, options):
    if os.getuid() != 0:
        as_root('disk')
        return
    damaged()
    for kind, megabytes in (('tmpfs', 48), ('ext4', 64)):
        sink = Fault('smtp', '--tls', 'none')
        f = Small('disk-' + kind, {'a': {'provider': 'generic', 'mailbox': 'a@example.test', 'grant': 'none', 'submit': f'127.0.0.1:{sink.port}', 'tls': 'none'},
                                   'b': password_account(ground)}, megabytes, kind, services=SERVICES)
        try:
            if not f.ready:
                check.skip(kind, 'it cannot be mounted here: ' + f.holder.stderr.read().decode()[-200:])
            else:
                full(kind, f, sink)
        finally:
            f.end()
            sink.stop()


def full(kind, f, sink):
    if not check(f'{kind}: frankd starts', f.start(), f.log()[-800:]):
        return
    f.frank('account', 'hold', 'a')
    taken = flood(kind, f)
    neighbour(kind, f, sink, taken)
    deliveries(kind, f, sink)
    restart(kind, f)
    back(kind, f, sink)


def flood(kind, f):
    """One service floods: it is stopped while there is room for others, and the floor holds."""
    codes = []
    while not codes or (codes[-1] == 0 and len(codes) < 200):
        codes.append(f.hand_in(1 << 20))
    check(f'{kind}: a flood is told to come later ({len(codes) - 1} MB taken)', codes[-1] == 75 and len(codes) > 5, codes)
    total = os.statvfs(f.state).f_blocks * os.statvfs(f.state).f_frsize
    check(f'{kind}: another service still has room', f.hand_in(1 << 20, 'daemon') == 0, f.log()[-500:])
    services = {s['service']: s for s in f.json('service', 'list').get('services', [])}
    check(f'{kind}: what each has is known', services.get('one', {}).get('queued_octets', 0) > len(codes[:-1]) << 20, services)
    more = 0
    while f.hand_in(1 << 20, 'daemon') == 0 and more < 200:
        more += 1
    check(f'{kind}: a tenth of the disk stays free', f.available() >= total // 10 - (1 << 20), (f.available(), total))
    return len(codes) + more


def ids(f):
    return [m.get('queue_id', m.get('id')) for m in f.queue()]


def acted(f):
    return len(re.findall(r'A person acts on a message', f.log()))


def neighbour(kind, f, sink, taken):
    """Not a block is left: mail is refused, people are told, and what people do is done."""
    f.fill()
    check(f'{kind}: the disk is full', f.available() < 4096, f.available())
    check(f'{kind}: mail is refused for now', f.hand_in(100) == 75 and f.hand_in(100000, 'daemon') == 75)
    check(f'{kind}: people are told', wait_for(lambda: 'disk-full' in f.frank('events').stdout, 20, 0.5), f.frank('events').stdout + f.log()[-500:])
    status = f.frank('status')
    check(f'{kind}: frank status shows it', 'nearly full' in status.stdout, status)
    r = f.frank('secret', 'set', 'b', input='a password for the test\n')
    check(f'{kind}: a secret can be set', r.returncode == 0, r)
    mine = ids(f)
    before = acted(f)
    for verb in ('hold', 'release', 'delete'):
        r = f.frank('queue', verb, mine[0])
        check(f'{kind}: frank queue {verb}', r.returncode == 0, (r, f.log()[-500:]))
    check(f'{kind}: each has its line', acted(f) == before + 3, f.log()[-800:])
    r = f.frank('queue', 'delete', 'FFFFFFF')
    check(f'{kind}: what was not done has none', r.returncode != 0 and acted(f) == before + 3, r)
    # the space of the one that was deleted goes to the neighbour as well
    f.fill()


def deliveries(kind, f, sink):
    left = len(ids(f))
    r = f.frank('account', 'release', 'a')
    check(f'{kind}: the account is released', r.returncode == 0, r)
    check(f'{kind}: what was taken is delivered, with the disk full', wait_for(lambda: sink.stats()['messages'] >= left or f.fill(), 60, 0.2), (sink.stats(), left, f.log()[-800:]))
    check(f'{kind}: and that is on record', f.empty(20), f.shown()[-800:])
    check(f'{kind}: nothing was sent twice', sink.stats()['messages'] == left, (sink.stats(), left))


def restart(kind, f):
    """Also after a restart."""
    f.free()
    f.frank('account', 'hold', 'a')
    check(f'{kind}: with space there is mail again', wait_for(lambda: f.hand_in(100) == 0, 10, 0.3), f.log()[-500:])
    for _ in range(20):
        f.hand_in(2000)
    f.fill()
    f.stop()
    f.fill()
    check(f'{kind}: it starts on a full disk', f.start(), f.log()[-800:])
    f.kill()
    check(f'{kind}: and after kill -9', f.start(), f.log()[-800:])
    r = f.frank('queue', 'delete', '--all')
    check(f'{kind}: and all can be deleted', r.returncode == 0 and f.empty(10), (r, f.log()[-800:]))


def back(kind, f, sink):
    f.free()
    check(f'{kind}: it recovers', wait_for(lambda: 'recovered' in f.frank('events').stdout, 20, 0.5), f.frank('events').stdout)
    f.frank('account', 'release', 'a')
    n = sink.stats()['messages']
    check(f'{kind}: mail goes on', f.hand_in(100) == 0 and wait_for(lambda: sink.stats()['messages'] == n + 1, 20, 0.1), f.shown())
    shrinks(kind, f)


def shrinks(kind, f):
    """After a flood of small mail the database gives its space back."""
    f.frank('account', 'hold', 'a')
    body = b'Subject: x\n\n' + b'z' * 20000
    size = lambda: os.stat(f.state + '/spool/spool.db').st_size
    with socket.socket(socket.AF_UNIX) as s, s.makefile('rwb') as files:
        s.connect(f.path('run/submit.sock'))
        files.readline()
        files.write(b'EHLO x\r\n')
        files.flush()
        while files.readline()[3:4] == b'-':
            pass
        for _ in range(600):
            files.write(b'MAIL FROM:<a@example.test>\r\nRCPT TO:<x@example.test>\r\nBDAT %d LAST\r\n' % len(body) + body)
            files.flush()
            if [files.readline()[:3] for _ in range(3)][-1] != b'250':
                break
    r = f.frank('queue', 'delete', '--all')
    high = size()
    check(f'{kind}: the database gives space back ({high >> 20} MB)', high > 9 << 20 and wait_for(lambda: size() < 5 << 20, 60, 0.5), (high, size(), r, f.log()[-500:]))
