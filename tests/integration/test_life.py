# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The daemon's life: stop, reload, a second one, a role that dies, the configuration's errors."""
from harness import *


def run(ground, options):
    one_account(ground)
    sink = Fault('smtp', '--tls', 'none', '--mode', 'slow_dot=300')
    relay = lambda port: {'provider': 'generic', 'mailbox': 'billing@example.test', 'grant': 'none', 'submit': f'127.0.0.1:{port}', 'tls': 'none'}
    f = Frank('life', {'a': relay(sink.port)})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    sigterm(f, sink)
    second(f)
    reload(f, sink)
    roles(f, sink)
    limits(f)
    leftover(f)
    f.stop()
    down(f, sink)
    errors(f)
    lapses(ground, sink)
    sink.stop()


def lapses(ground, sink):
    """One small thing that is gone since stops its own block at a start, loudly, and nothing else."""
    f = Frank('lapses', {'a': {'provider': 'generic', 'mailbox': 'billing@example.test', 'grant': 'none', 'submit': f'127.0.0.1:{sink.port}', 'tls': 'none'},
                         'gone': password_account(ground, mailbox_='gone@example.test')})
    secret = os.path.join(harness_dir(), 'gone.secret')  # not where the search for secrets looks
    f.accounts['gone']['password'] = 'file:' + secret
    f.services = {'all': dict(users=['*', 'no-such-user-here'], accounts=['a', 'gone'], senders=['*'], **{'from': 'keep'})}
    f.write_conf()
    check('lapse: --check is strict', subprocess.run([program('frankd'), '-c', f.conf_file, '--check'], capture_output=True, env=f.env).returncode == 78)
    if not check('lapse: frankd starts all the same', f.start(), f.log()[-800:]):
        return
    n = sink.stats()['messages']
    check('lapse: mail of the rest goes out', f.send('billing@example.test', 'x@example.test', marker('rest')) == 0 and wait_for(lambda: sink.stats()['messages'] == n + 1, 15, 0.1), f.shown())
    check('lapse: mail of that account waits', f.send('gone@example.test', 'x@example.test', marker('gone')) == 0 and f.account('gone').get('state') == 'configuration'
          and wait_for(lambda: len(f.queue()) == 1, 15), f.shown())
    status = f.frank('status').stdout
    check('lapse: frank status names both', 'gone.secret' in status and 'no-such-user-here' in status, status)
    check('lapse: they are events', wait_for(lambda: f.frank('events').stdout.count('out-of-force') == 2, 10, 0.2), f.frank('events').stdout)
    check('lapse: a reload is strict', f.frank('reload').returncode != 0)
    with open(secret, 'w') as file:
        file.write(ground.password + '\n')
    os.chmod(secret, 0o600)
    f.services['all']['users'] = ['*']
    f.write_conf()
    r = f.frank('reload')
    check('lapse: mended and reloaded, it is in force', r.returncode == 0 and wait_for(lambda: f.account('gone').get('state') != 'configuration', 10, 0.2), (r, f.account('gone')))
    check('lapse: and status is clean', 'no-such-user-here' not in f.frank('status').stdout, f.frank('status').stdout)
    f.stop()


def ids(sink):
    return [m['id'] for m in sink.messages()]


def hand_in(f, n, tag):
    """n messages with ids of their own; the ids whose sendmail exited 0."""
    out = []
    for i in range(n):
        mid = f'<{tag}-{i}-{time.time_ns():x}@life>'
        r = f.sendmail('-i', '-f', 'billing@example.test', 'x@example.test', body=f'Subject: {tag}\nMessage-ID: {mid}\n\nx\n')
        if r.returncode == 0:
            out.append(mid)
    return out


def sigterm(f, sink):
    sent = hand_in(f, 20, 'term')
    seconds = f.stop()
    check(f'SIGTERM with mail in flight ends all within 5 s ({seconds} s)', seconds is not None and seconds < 5, seconds)
    check('the sockets are gone', not f.listening())
    check('it starts again', f.start(), f.log()[-800:])
    check('and everything taken in arrives, once', wait_for(lambda: set(sent) <= set(ids(sink)), 40, 0.2) and len(ids(sink)) == len(set(ids(sink))), (len(sent), len(ids(sink)), len(set(ids(sink)))))


def second(f):
    r = subprocess.run([program('frankd'), '-c', f.conf_file, '--foreground'], capture_output=True, text=True, env=f.env, timeout=20)
    check('a second frankd says so and ends', r.returncode != 0 and re.search(r'already|another|running|lock', r.stdout + r.stderr, re.I), r)
    check('the first one goes on', f.listening())


def reload(f, sink):
    other = Fault('smtp', '--tls', 'none')
    good = open(f.conf_file).read()
    f.accounts['b'] = dict(f.accounts['a'], mailbox='b@example.test', submit=f'127.0.0.1:{other.port}')
    f.write_conf()
    r = f.frank('reload')
    check('frank reload takes a new account', r.returncode == 0, r)
    f.send('b@example.test', 'x@example.test', 'reload')
    check('and mail goes its way', wait_for(lambda: other.stats()['messages'] == 1, 15, 0.1), f.shown() + f.log()[-500:])
    with open(f.conf_file, 'a') as c:
        c.write('account "broken" {\n    mailboks = "x@example.test"\n}\n')
    r = f.frank('reload')
    check('a broken configuration is refused with file and line, and a guess', r.returncode != 0 and re.search(r'frank\.conf:\d+', r.stdout + r.stderr) and 'mailbox' in r.stdout + r.stderr, r)
    before = other.stats()['messages']
    f.send('b@example.test', 'x@example.test', 'reload2')
    check('the old one stays in force', wait_for(lambda: other.stats()['messages'] == before + 1, 15, 0.1), f.shown())
    with open(f.conf_file, 'w') as c:
        c.write(good)
    os.kill(f.p.pid, signal.SIGHUP)
    check('SIGHUP takes the first one back', wait_for(lambda: not f.account('b'), 10, 0.2), f.json('status'))
    del f.accounts['b']
    other.stop()


def role_pids(f):
    """{program: pid} of the roles."""
    out = {}
    for pid in f.pids():
        with contextlib.suppress(OSError):  # not by exe: that of an undumpable process is root's to see
            out[os.path.basename(open(f'/proc/{pid}/cmdline').read().split('\0')[0])] = pid
    return out


def roles(f, sink):
    for name in ('frank-queue', 'frank-keeper', 'frank-send'):
        sent = hand_in(f, 5, name)
        pid = wait_for(lambda: role_pids(f).get(name), 10, 0.02)
        if not check(f'{name}: is a process of its own', pid, role_pids(f)):
            continue
        os.kill(pid, signal.SIGKILL)
        back = wait_for(lambda: role_pids(f).get(name) not in (None, pid) or name == 'frank-send', 20, 0.1)
        check(f'{name}: killed, it is there again', back and wait_for(f.listening, 15), f.log()[-600:])
        sent += hand_in(f, 3, name)
        check(f'{name}: nothing is lost', wait_for(lambda: set(sent) <= set(ids(sink)), 60, 0.3), (len(sent), len(set(sent) & set(ids(sink))), f.shown(), f.log()[-500:]))
    check('the log names what died', 'frank-queue' in f.log() or 'queue' in f.log(), f.log()[-500:])


def leftover(f):
    """frankd alone is killed, and a role of it takes its time: the next one waits for it instead of failing."""
    keeper = role_pids(f)['frank-keeper']
    os.kill(keeper, signal.SIGSTOP)
    f.p.kill()
    f.p.wait(10)
    later = threading.Timer(1.5, os.kill, (keeper, signal.SIGCONT))
    later.start()
    check('frankd killed: the next one waits for a role that is still there', f.start() and role_pids(f).get('frank-keeper') not in (None, keeper), f.log()[-800:])
    later.join()
    check('which is gone', wait_for(lambda: not alive(keeper), 20))


def limits(f):
    bad = []
    for name, pid in role_pids(f).items():
        status = open(f'/proc/{pid}/status').read()
        core = re.search(r'Max core file size\s+(\S+)', open(f'/proc/{pid}/limits').read())[1]
        if name != 'frankd' and ('Seccomp:\t2' not in status or 'NoNewPrivs:\t1' not in status):
            bad.append((name, 'not confined'))
        if core != '0':
            bad.append((name, 'core files', core))
    check('every role is confined and leaves no core file', not bad, bad)


def down(f, sink):
    """With the daemon down, what sendmail took is in the drop directory, and is delivered once it is back."""
    t = time.monotonic()
    sent = hand_in(f, 3, 'down')
    check(f'daemon down: sendmail takes mail all the same ({(time.monotonic() - t) / 3:.1f} s each)', len(sent) == 3, os.listdir(f.path('state/drop')) if os.path.isdir(f.path('state/drop')) else 'no drop directory')
    check('daemon down: it comes back', f.start(), f.log()[-500:])
    check('daemon down: the dropped messages are delivered, once', wait_for(lambda: set(sent) <= set(ids(sink)), 30, 0.2) and len([i for i in ids(sink) if i in sent]) == 3, f.log()[-600:])
    f.stop()


def errors(f):
    path = f.path('wrong.conf')
    for name, text, want in (
            ('an unknown key gets a guess', 'account "a" {\n    mailbox = "a@example.test"\n    gramt = "none"\n}\n', r'wrong\.conf:3: .*gramt.*grant'),
            ('an open section', 'account "a" {\n    mailbox = "a@example.test"\n', r'wrong\.conf:\d+: '),
            ('a wrong value names the allowed ones', 'account "a" {\n    mailbox = "a@example.test"\n    grant = "non"\n    submit = "localhost:25"\n    tls = "none"\n}\n', r'wrong\.conf:3: .*password'),
            ('a literal secret', 'account "a" {\n    mailbox = "a@example.test"\n    grant = "password"\n    submit = "localhost:25"\n    password = "hunter2"\n}\n', r'wrong\.conf:5: '),
            ('a list that no role can be sent', 'local-domains = {%s}\n' % ', '.join(f'"{i:05}.customers.example.test"' for i in range(4000)), r'wrong\.conf: error: the top level is too large'),
            ('a service with an unknown account', 'service "s" {\n    users = {"*"}\n    accounts = {"nobody"}\n}\n', r'wrong\.conf:3: .*nobody')):
        with open(path, 'w') as c:
            c.write(text)
        r = subprocess.run([program('frankd'), '-c', path, '--check'], capture_output=True, text=True, env=f.env)
        check('--check: ' + name, r.returncode != 0 and re.search(want, r.stdout + r.stderr), r.stdout + r.stderr)
        check('--check: the value of a secret is not repeated', 'hunter2' not in r.stdout + r.stderr, '')


def one_account(ground):
    """frank test sends by the account that it names, also where another has the same mailbox; and not at all where mail waits for a person."""
    f = Frank('one-account', {a: password_account(ground) for a in ('first', 'second', 'apart')},
              {'s': dict(users=['*'], accounts=['first', 'second'], senders=['billing@example.test'])})
    if not check('one account: frankd starts', f.start(), f.log()[-800:]):
        return
    for a in ('first', 'second', 'apart'):
        f.frank('secret', 'set', a, input=ground.password + '\n')
    for a in ('second', 'first'):
        r = f.frank('test', a, 'one@example.test', '--json', timeout=150)
        o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
        check(f'one account: frank test {a} is delivered by {a}', r.returncode == 0 and o.get('account') == a, r)
    r = f.frank('test', 'apart', 'one@example.test')
    check('one account: none that the service does not use', r.returncode == 77 and 'does not send by' in r.stderr, r)
    f.frank('account', 'hold', 'second')
    before = f.queue()
    r = f.frank('test', 'second', 'one@example.test')
    check('one account: none that is held, and why', r.returncode == 75 and 'held' in r.stderr and 'frank account release second' in r.stderr and f.queue() == before, (r, f.queue()))
    r = f.frank('test', 'first', 'one@example.test', timeout=150)
    check('one account: its neighbour sends on', r.returncode == 0, r)
    f.stop()
