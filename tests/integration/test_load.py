# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""A long queue for many accounts, of which one is held, one is throttled and one has a server that hangs: the others go at full speed,
each message once; memory stays bounded, and a restart is quick. 2,500 messages; 100,000 with --full. Then what people do to a queue:
look at a part of it, move it to another account, flush it."""
from harness import *

ACCOUNTS, BATCH = 50, 100
HELD, SLOW, HANGING = 'a00', 'a01', 'a02'
SPECIAL = (HELD, SLOW, HANGING)
BODY = ('Subject: load\r\nMessage-ID: <{0}.load@example.test>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nFrom: <{1}@example.test>\r\nTo: <to@example.test>\r\n\r\n' +
        'The quick brown fox jumps over the lazy dog.\r\n' * 20)


class Sink:
    """tests/ground/fault sink: counts."""

    def __init__(self, port, *args):
        self.port = port
        self.p = subprocess.Popen([GROUND_HOME + '/fault', 'sink', '-p', str(port), *map(str, args)], stdout=subprocess.PIPE, text=True)
        self.p.stdout.readline()

    def counts(self):
        with socket.create_connection(('127.0.0.1', self.port), 5) as s:
            lines = s.makefile('rb')
            lines.readline()
            s.sendall(b'XSTAT\r\nQUIT\r\n')
            return json.loads(lines.readline()[4:])

    def stop(self):
        self.p.terminate()
        self.p.wait(10)


class Hanging:
    """Takes connections and never says a word."""

    def __init__(self):
        self.s = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.port, self.taken = self.s.getsockname()[1], []
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        with contextlib.suppress(OSError):
            while True:
                self.taken.append(self.s.accept()[0])

    def stop(self):
        self.s.close()
        for c in self.taken:
            c.close()


def fill(f, names, each):
    """Hands in `each` messages for each account over the Unix socket, pipelined, the accounts mixed."""
    failed = 0
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(120)
        s.connect(f.path('run/submit.sock'))
        lines = s.makefile('rb')

        def reply():
            while True:
                line = lines.readline()
                if line[3:4] != b'-':
                    return line
        reply()
        s.sendall(b'EHLO load.test\r\n')
        reply()
        todo = [(n, i) for i in range(each) for n in names]
        for at in range(0, len(todo), BATCH):
            part = todo[at:at + BATCH]
            out = b''
            for n, i in part:
                body = BODY.format(f'{n}-{i}', n).encode()
                out += f'MAIL FROM:<{n}@example.test>\r\nRCPT TO:<to@example.test>\r\nBDAT {len(body)} LAST\r\n'.encode() + body
            s.sendall(out)
            failed += sum(not reply().startswith(b'250') for _ in range(3 * len(part)))
        s.sendall(b'QUIT\r\n')
    return failed


def waiting(f):
    rows = f.json('status')
    return {r['account']: r.get('queued', 0) for r in rows['accounts']}


def memory(f):
    """PSS of all of its processes in MiB."""
    total = 0
    for pid in f.pids():
        with contextlib.suppress(OSError):
            total += sum(int(line.split()[1]) for line in open(f'/proc/{pid}/smaps_rollup') if line.startswith('Pss:'))
    return total / 1024


def load(n):
    each, port, hanging = n // ACCOUNTS, free_port(), Hanging()
    names = [f'a{i:02}' for i in range(ACCOUNTS)]
    plain = lambda name, **k: dict(provider='generic', grant='none', mailbox=f'{name}@example.test', submit=f'127.0.0.1:{port}', tls='none', sessions=2, **k)
    accounts = {name: plain(name) for name in names}
    accounts[SLOW]['rate'] = '30/min'
    accounts[HANGING]['submit'] = f'127.0.0.1:{hanging.port}'
    f = Frank('load', accounts, top={'log-level': 'warning'})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    for name in names:
        f.frank('account', 'hold', name)
    before, t = memory(f), time.monotonic()
    failed = fill(f, names, each)
    took = time.monotonic() - t
    check(f'{n} messages are taken', failed == 0 and sum(waiting(f).values()) == n, (failed, waiting(f)))
    full = memory(f)
    print(f'     {n} messages taken at {n / took:.0f}/s; {before:.0f} MiB before, {full:.0f} MiB with the queue full', flush=True)
    f.stop()
    t = time.monotonic()
    up = f.start()
    took = time.monotonic() - t
    print(f'     started again with {n} messages in {took:.2f} s', flush=True)
    check('it starts again', up and took < 15, took)
    check('and knows them all', sum(waiting(f).values()) == n, waiting(f))
    sink, t = Sink(port), time.monotonic()
    for name in names:
        if name != HELD:
            f.frank('account', 'release', name)
    fast = [x for x in names if x not in SPECIAL]
    peak = [0]

    def drained():
        peak[0] = max(peak[0], memory(f))
        w = waiting(f)
        return not any(w.get(x) for x in fast)
    done = wait_for(drained, 60 + n / 100, 0.5)
    took = time.monotonic() - t
    w, c = waiting(f), sink.counts()
    check('all others are drained', done, w)
    print(f'     {each * len(fast)} messages of {len(fast)} accounts delivered at {each * len(fast) / took:.0f}/s; {peak[0]:.0f} MiB at most', flush=True)
    check('what is held stays', w.get(HELD) == each, w)
    check('what the hanging server was given is kept', w.get(HANGING) == each, w)
    gone = each - w.get(SLOW, 0)
    check('what is throttled goes at its rate', 0 < gone <= 30 + took / 2 + 5, (gone, took))
    c = sink.counts()
    check('each message arrived once', c['messages'] - (each * len(fast) + each - waiting(f).get(SLOW, 0)) in (-1, 0, 1), (c, waiting(f)))
    # AddressSanitizer keeps what was freed for a while, some hundred MiB of it
    most_full, most = (300, 600) if f.is_sanitized() else (16, 64)
    check('memory is bounded: it does not grow with the queue', full - before < most_full and peak[0] - before < most, (before, full, peak[0]))
    hands(f, sink, each)
    f.stop()
    sink.stop()
    hanging.stop()


def hands(f, sink, each):
    """What people do to a queue: parts of it, by age and service, and moving it."""
    before = sink.counts()['messages']
    r = f.frank('queue', '--account', HELD, '--older', '1s', '--json')
    rows = json.loads(r.stdout or '{}').get('messages', [])
    check('queue --account --older shows its part', len(rows) == each and all(m['account'] == HELD for m in rows), (len(rows), each, r.stdout[:600] + r.stderr))
    if not rows:
        return
    r = f.frank('queue', '--account', HELD, '--older', '2d', '--json')
    check('nothing is two days old', json.loads(r.stdout)['messages'] == [], r.stdout[:300])
    check('an age must be one', f.frank('queue', '--older', 'old').returncode == 64)
    one = rows[0]['id']
    r = f.frank('queue', 'move', one, 'a05')
    check('a message moves to another account and goes', r.returncode == 0 and wait_for(lambda: f.frank('queue', 'show', one).returncode != 0 or
          'delivered' in f.frank('queue', 'show', one).stdout, 20, 0.2), (r, f.frank('queue', 'show', one).stdout))
    r = f.frank('queue', 'move', rows[1]['id'], 'nobody')
    check('not to an account that there is not', r.returncode != 0 and 'no account' in r.stderr, r)
    f.services = {'all': dict(users=['*'], accounts=[HELD, HANGING], senders=['*'], **{'from': 'keep'})}
    f.write_conf()
    check('a narrower configuration is taken', f.frank('reload').returncode == 0, f.log()[-500:])
    r = f.frank('queue', 'move', rows[1]['id'], 'a05')
    check('nor to one that its service may not use', r.returncode == 77 and 'may not send through' in r.stderr, r)
    f.services = None
    f.write_conf()
    f.frank('reload')
    r = f.frank('queue', 'hold', '--all', '--account', HANGING, '--service', 'nobody', '--json')
    check('--all with a service that has none touches nothing', json.loads(r.stdout).get('count') == 0, r)
    r = f.frank('queue', 'move', '--all', '--account', HELD, '--older', '1s', 'a06', '--json')
    check('all of an account moves', r.returncode == 0 and json.loads(r.stdout).get('count') == each - 1, r)
    moved = wait_for(lambda: sink.counts()['messages'] >= before + each, 60, 0.3)
    check('and goes by the other', moved and waiting(f).get(HELD) == 0, (sink.counts(), before, waiting(f).get(HELD)))


def run(ground, options):
    load(100000 if options.full else 2500)
