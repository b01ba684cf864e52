# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""frank check against servers that are right and servers that are wrong in the ways that occur: what it prints is what the manual shows."""
import ssl

from harness import *

TLS = lambda name: os.path.join(os.environ['GROUND'], 'tls', name)
PAGE = os.path.join(TOP, 'man', 'frank-troubleshooting.7')


def run(ground, options):
    servers = {}

    def fault(name, *args):
        servers[name] = Fault('smtp', *args)
        return servers[name].port

    pw = lambda mailbox='billing@example.test', **k: password_account(ground, 'PLAIN', mailbox_=mailbox, **k)
    starttls = ('--tls', 'starttls')
    cases = {  # account: (configuration, password, exit status, cause, (finding, state) that must be there)
        'healthy': (pw(), None, 0, 'healthy', [('connect', 'ok'), ('tls', 'ok'), ('certificate', 'ok'), ('auth-offer', 'ok'), ('credential', 'ok'),
                                               ('auth', 'ok'), ('sender', 'ok')]),
        'no-starttls': (pw(submit=f'localhost:{fault("no-starttls", "--tls", "none")}'), None, 78, 'starttls-not-offered', [('tls', 'fail'), ('ehlo', 'info')]),
        'tls-only-auth': (pw(tls='none', submit=f'127.0.0.1:{fault("tls-only-auth", *starttls)}', **{'allow-plaintext-secret': True}), None, 78,
                          'auth-needs-tls', [('auth-offer', 'info')]),
        'mechanism-missing': (pw(submit=f'localhost:{fault("mechanism-missing", *starttls, "--mode", "mechs=XOAUTH2")}'), None, 78,
                              'no-acceptable-mechanism', [('auth-offer', 'ok'), ('auth', 'fail')]),
        'wrong-password': (pw(), 'not the password at all', 77, 'password-refused', [('credential', 'ok'), ('auth', 'fail')]),
        'sender-refused': (pw('alerts@example.test', **{'auth-user': 'billing@example.test'}), None, 65, 'sender-not-owned',
                           [('auth', 'ok'), ('sender', 'fail')]),
        'expired': (pw(submit=f'localhost:{fault("expired", *starttls, "--cert", TLS("bad-expired.pem"), "--key", TLS("bad-expired.key"))}'), None, 75,
                    'certificate-expired', [('certificate', 'fail')]),
        'implicit-on-587': (pw(tls='implicit', submit=f'localhost:{ground.starttls}'), None, 78, 'implicit-tls-on-starttls-port', [('tls', 'fail')]),
        'starttls-on-465': (pw(tls='starttls', submit=f'localhost:{ground.implicit}'), None, 78, 'starttls-on-implicit-tls-port', [('tls', 'fail')]),
        'no-host': (pw(submit='no-such-host.invalid:587'), None, 78, 'host-not-found', [('name', 'fail')]),
        'refused': (pw(submit=f'127.0.0.1:{free_port()}'), None, 75, 'connection-refused', [('connect', 'fail')]),
    }
    f = Frank('check', {n: c[0] for n, c in cases.items()} | {'token': oauth_account(ground)})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    secrets.add('not the password at all')
    for name, (_, password, _, _, _) in cases.items():
        r = f.frank('secret', 'set', name, input=(password or ground.password) + '\n')
        if r.returncode:
            check(f'{name}: secret set', False, r)
    before = [len(ground.messages(a)) for a in ('billing@example.test', 'alerts@example.test')]
    shown = {}
    for name, (_, _, status, cause, findings) in cases.items():
        r = f.frank('check', name, '--json')
        o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
        check(f'{name}: exit status {status}', r.returncode == status, r)
        check(f'{name}: the verdict is {cause}', o.get('cause') == cause, o)
        steps = {(s['name'], s['state']) for s in o.get('steps', [])}
        check(f'{name}: the findings that lead to it', all(x in steps for x in findings), o.get('steps'))
        check(f'{name}: a next step and what was said', o.get('next') and ('transcript' in o) == (name not in ('no-host',)) or name == 'no-host', o)
        shown[name] = f.frank('check', name).stdout
    revoked(ground, f, shown)
    check('nothing was delivered', before == [len(ground.messages(a)) for a in ('billing@example.test', 'alerts@example.test')], '')
    check('no secret is in what was printed', not any(secrets.found_in(s.encode()) for s in shown.values()), '')
    closes(ground, f)
    compares(ground, f)
    tester(ground, f, servers)
    sends(ground, f)
    audit(ground)
    others(f)
    page(shown)
    f.stop()
    for s in servers.values():
        s.stop()


def revoked(ground, f, shown):
    status, out = f.authorize(ground, 'token', 'billing@example.test')
    check('token: authorized', status == 0, out)
    r = f.frank('check', 'token', '--json')
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    check('token: in order', r.returncode == 0 and any(s['name'] == 'auth' and 'XOAUTH2' in s['text'] for s in o.get('steps', [])), r)
    check('token: the transcript has its length and not the token', 'token' in o.get('transcript', '') and 'octets>' in o.get('transcript', ''), o)
    ground.remember()
    ground.revoke('billing@example.test')
    r = f.frank('check', 'token', '--json')
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    check('revoked: somebody must sign in', r.returncode == 77 and o.get('retry') == 'needs-authorization', r)
    check('revoked: the next step is named', 'frank authorize token' in o.get('next', ''), o)
    shown['revoked-token'] = f.frank('check', 'token').stdout


def closes(ground, f):
    """A server that refuses a token and closes: the newer token goes over a second connection, as a session would take it."""
    server = Fault('smtp', '--tls', 'starttls')
    g = Frank('check-closes', {n: oauth_account(ground, submit=f'localhost:{server.port}') for n in ('token', 'other')})
    if not check('closes: frankd starts', g.start(), g.log()[-800:]):
        return
    status, out = g.authorize(ground, 'token', 'billing@example.test')
    server.mode('auth_fail_first=1,auth_fail_closes')
    http(server.control + '/reset', b'')
    r = g.frank('check', 'token', '--json')
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    auth = [(s['state'], s['text']) for s in o.get('steps', []) if s['name'] == 'auth']
    check('closes: the newer token is tried on a new connection, and works', r.returncode == 0 and [a[0] for a in auth] == ['warn', 'ok'], (status, out, r))
    g.authorize(ground, 'other', 'billing@example.test')
    server.mode('auth_fail,auth_fail_closes')
    http(server.control + '/reset', b'')
    r = g.frank('check', 'other', '--json')
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    auth = [s['state'] for s in o.get('steps', []) if s['name'] == 'auth']
    check('closes: one that refuses each of them is asked twice, and no more', r.returncode == 77 and auth == ['warn', 'fail'] and server.stats()['auth_fail'] == 2, (r, server.stats()))
    g.stop()
    server.stop()


def compares(ground, f):
    """--compare: in what two accounts, or two hosts, differ, and what follows."""
    r = f.frank('check', '--compare', 'healthy', 'healthy')
    check('compare: an account does not differ from itself', r.returncode == 0 and 'do not differ' in r.stdout, r)
    r = f.frank('check', '--compare', 'healthy', 'wrong-password', '--json')
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    items = {d['item']: d for d in o.get('differences', [])}
    check('compare: one password is wrong: that is all', r.returncode == 1 and set(items) == {'account state', 'auth', 'verdict'} and items['auth']['a'].startswith('ok: ')
          and items['auth']['b'].startswith('fail: ') and items['verdict']['b'] == 'password-refused' and items['auth']['means'], r)
    r = f.frank('check', '--compare', 'healthy', 'starttls-on-465')
    check('compare: for people: both values, and what follows', r.returncode == 1 and re.search(r'^server\n +healthy +localhost:\d+\n +starttls-on-465 +localhost:\d+\n  Two servers', r.stdout, re.M)
          and 'the login is never reached' in r.stdout, r)
    saved, other = f.path('production.json'), f.path('other.json')
    text = f.frank('check', 'healthy', '--json').stdout
    open(saved, 'w').write(text)
    open(other, 'w').write('{"hello": 1}')
    r = f.frank('check', '--compare', 'healthy', saved)
    check('compare: with a file of another day or host', r.returncode == 0, r)
    check('compare: policy is in such a file', json.loads(text).get('services', [{}])[0].get('service') == 'all', text[:400])
    narrow = json.loads(text)
    narrow['services'][0]['senders'] = ['only@example.test']
    open(saved, 'w').write(json.dumps(narrow))
    r = f.frank('check', '--compare', 'healthy', saved)
    check('compare: a sender that only one of them may use', r.returncode == 1 and 'senders (service all)' in r.stdout and 'only here: only@' in r.stdout, r)
    hosts = []
    for port in (ground.starttls, ground.implicit):
        hosts.append(f.path(f'host-{port}.json'))
        open(hosts[-1], 'w').write(f.frank('check', '--host', f'localhost:{port}', *(() if port == ground.starttls else ('--tls', 'implicit')), '--json').stdout)
    r = f.frank('check', '--compare', *hosts, '--json')
    items = [d['item'] for d in json.loads(r.stdout)['differences']] if r.stdout.startswith('{') else r
    check('compare: two servers without accounts, as they were saved', r.returncode == 1 and items[:2] == ['server', 'tls'] and 'grant' not in items, r)
    r = f.frank('check', '--compare', 'healthy', other)
    check('compare: a file that is something else', r.returncode == 65 and 'frank check' in r.stderr, r)
    r = f.frank('check', '--compare', 'healthy', f.path('none.json'))
    check('compare: a file that is not there', r.returncode == 66 and 'none.json' in r.stderr, r)
    r = f.frank('check', '--compare', 'healthy')
    check('compare: two are needed', r.returncode == 64, r)


def tester(ground, f, servers):
    """--host: any server, without an account."""
    r = f.frank('check', '--host', f'localhost:{servers["no-starttls"].port}', '--json')
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    check('--host: a server without STARTTLS is seen', r.returncode == 78 and o.get('cause') == 'starttls-not-offered', r)
    r = f.frank('check', '--host', f'localhost:{ground.starttls}', '--transcript')
    check('--host: a certificate of a private authority is not trusted, and shown with its dates',
          r.returncode == 78 and 'not trusted' in r.stdout and re.search(r'valid \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d', r.stdout), r)
    check('--host: what is offered before and within TLS', re.search(r'ehlo +before TLS: .*STARTTLS', r.stdout) and re.search(r'auth-offer +before TLS: none', r.stdout) and
          'within TLS' in r.stdout, r.stdout)
    knocks = []
    door = socket.create_server(('127.0.0.1', 0))
    threading.Thread(target=lambda: [(knocks.append(1), c.sendall(b'421 not now\r\n'), c.close()) for c, _ in iter(door.accept, None)], daemon=True).start()
    r = f.frank('check', '--host', f'127.0.0.1:{door.getsockname()[1]}', '--json')
    ports = [s['name'] for s in json.loads(r.stdout)['steps'] if s['name'].startswith('port ')] if r.stdout.startswith('{') else r
    check('--host: each port is looked at on itself, not on the one that was named', len(knocks) == 1 and ports == ['port 25', 'port 465', 'port 587', 'port 2525'], (knocks, ports))
    r = f.frank('check', '--host', 'localhost:0')
    check('--host: no port 0', r.returncode == 64, r)
    r = f.frank('check', '--host', f'localhost:{ground.starttls}', 'healthy')
    check('--host and an account are two things', r.returncode == 64, r)
    check('the accounts go on delivering meanwhile', f.send('billing@example.test', 'check-beside@example.test', 'beside-check') == 0 and
          ground.arrived('check-beside@example.test', 'beside-check'), f.shown())


def sends(ground, f):
    r = f.frank('check', 'healthy', '--to', 'nouser@example.test')
    check('--to: the server is asked about that recipient', r.returncode == 65 and '550' in r.stdout, r)
    r = f.frank('check', 'healthy', '--to', 'check-send@example.test', '--send', '--transcript')
    check('--send: a message goes out', r.returncode == 0 and ground.arrived('check-send@example.test', 'frank check'), r)
    check('--transcript: what was said, without the password', 'C: AUTH PLAIN <user=billing@example.test, password>' in r.stdout, r.stdout)


def others(f):
    """Who is no administrator may look at the accounts of a service of theirs, and at nothing else."""
    if os.getuid() != 0:
        return check.needs_root('others', 'only root can be somebody else')
    f.services = {'mine': dict(users=['daemon'], accounts=['healthy'], senders=['billing@example.test']),
                  'theirs': dict(users=['root'], accounts=['refused'], senders=['billing@example.test'])}
    f.write_conf()
    f.frank('reload')
    copy = shutil.copy(program('frank'), f.path('frank'))  # the build folder may be closed to others
    as_daemon = lambda *a: subprocess.run([copy, *a], capture_output=True, text=True, env=f.env, user='daemon', group='daemon', extra_groups=[], timeout=120, cwd='/')
    r = as_daemon('check', 'healthy')
    check('others: the account of their service is checked, with its transcript free of secrets', r.returncode == 0 and 'Everything that was tried works' in r.stdout, r)
    check('others: another account is none that they see', as_daemon('check', 'refused').returncode in (66, 67), as_daemon('check', 'refused'))
    for args in (('--host', 'localhost:1'), ('healthy', '--send'), ('healthy', '--to', 'a@example.test')):
        check(f'others: not {args[-1] if args[0] != "--host" else "--host"}', as_daemon('check', *args).returncode == 77, as_daemon('check', *args))


def audit(ground):
    """frank audit: what is weaker than it need be."""
    pw = lambda mailbox, **k: password_account(ground, 'PLAIN', mailbox_=mailbox, **k)
    accounts = {
        'tokens': oauth_account(ground, mailbox_='billing@example.test'),
        'tenant': pw('alerts@example.test', provider='microsoft365', auth=['login']),
        'consumer': pw('billing@example.test', provider='outlook', auth=['login']),
        'person': pw('ada.lovelace@example.test'),
        'either': pw('billing@example.test', auth=['plain', 'login']),
        'old': pw('alerts@example.test'),
    }
    services = {
        'narrow': dict(users=['root'], accounts=['tokens', 'either', 'old', 'tenant', 'consumer'], senders=['billing@example.test']),
        'few': dict(users=['daemon'], accounts=['tokens'], senders=['a@example.test', '*@example.test'], token=True),
        'many': dict(users=['*'], accounts=['either'], token=True, **{'from': 'keep'}),
        'wide': dict(users=['*'], accounts=['either', 'person'], senders=['*']),
        'staging': dict(users=['*'], senders=['*'], mode='capture', accounts=['either']),
    }
    f = Frank('audit', accounts, services)
    if not check('audit: frankd starts', f.start(), f.log()[-800:]):
        return
    for a in ('either', 'old'):
        f.frank('secret', 'set', a, input=ground.password + '\n')
    m = marker('audit')
    f.services['narrow']['accounts'] = ['either', 'tokens', 'old', 'tenant', 'consumer']
    f.write_conf()
    f.frank('reload')
    check('audit: a message goes by one of the accounts', f.send('billing@example.test', 'audit@example.test', m) == 0 and ground.arrived('audit@example.test', m), f.shown())
    check('audit: and is gone from the queue', f.empty(), f.queue())
    f.stop()
    import sqlite3
    with sqlite3.connect(f.path('state/spool/spool.db')) as db:
        used = dict(db.execute('SELECT account, mechanism FROM used').fetchall())
        db.execute('INSERT OR REPLACE INTO used VALUES (?, ?, ?)', ('old', int(time.time()) - 100 * 86400, 'PLAIN'))
    db.close()
    check('audit: the spool knows when an account was used, and how', used == {'either': 'PLAIN'}, used)
    check('audit: frankd starts again', f.start(), f.log()[-800:])
    r = f.frank('audit', '--json')
    found = {(x.get('account') or x.get('service'), x['rule']) for x in json.loads(r.stdout)['findings']} if r.stdout.startswith('{') else set()
    want = {('tenant', 'password'), ('tenant', 'password-smtp-auth-ending'), ('consumer', 'password'), ('consumer', 'password-smtp-auth-ending'), ('person', 'password'),
            ('person', 'human-mailbox'), ('either', 'password'), ('either', 'mechanism-unneeded'), ('old', 'password'), ('old', 'unused'), ('wide', 'any-sender'), ('wide', 'any-user'),
            ('few', 'any-sender-of-domain'), ('tokens', 'token-given'), ('many', 'any-user'), ('many', 'from-kept')}
    check('audit: every weakness, and nothing else', found == want, (sorted(found - want), sorted(want - found), r.stderr))
    check('audit: the exit status says that there is something', r.returncode == 78, r.returncode)
    r = f.frank('audit')
    check('audit: each with its fix', r.stdout.count('fix: ') == len(want) and 'frank authorize' in r.stdout, r.stdout)
    f.stop()


def plain(text):
    """What differs from run to run, taken out."""
    text = re.sub(r'\[?\b127\.0\.0\.1\b\]?|\[::1\]|::1', 'ADDRESS', text)
    text = re.sub(r'(localhost|ADDRESS):\d+', r'\1:PORT', text)
    text = re.sub(r'(The server) (answered the TLS hello in plain text: .*|does not speak TLS at once on this port\.)', r'\1 does not speak TLS at once on this port.', text)
    text = re.sub(r' Port \d+ answers with [^\n]*', '', text)  # another server of this machine
    text = re.sub(r'( port) \d{4,}', r'\1 N', text)
    text = re.sub(r'\b\d{4}-\d\d-\d\d\b', 'DATE', text)
    return text


def verdict_of(text):
    """The verdict: the last lines."""
    lines = plain(text).split('\n')
    blanks = [i for i, line in enumerate(lines) if not line.strip()]
    # head, blank, findings, blank, transcript, blank, verdict, and the end of the last line
    return lines[blanks[-2] + 1 : blanks[-1]]


def page(shown):
    """The manual's page shows every verdict as it is printed."""
    text = open(PAGE).read() if os.path.exists(PAGE) else ''
    wanted = {}
    for m in re.finditer(r'^\.\\" check: (\S+)\n\.Bd [^\n]*\n(.*?)^\.Ed$', text, re.S | re.M):
        wanted[m.group(1)] = [line for line in m.group(2).replace('\\e', '\\').replace('\\(dq', '"').replace('\\&', '').split('\n') if line]
    for name, out in shown.items():
        check(f'frank-troubleshooting(7) shows "{name}" as it is printed', wanted.get(name) == verdict_of(out),
              '\n'.join(['printed:'] + verdict_of(out) + ['the page:'] + wanted.get(name, ['(nothing)'])))
