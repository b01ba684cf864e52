# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""What can be wrong with an account or a server: each has its own clear line, holds or retries, and loses nothing."""
from harness import *

TLS = lambda name: os.path.join(os.environ['GROUND'], 'tls', name)


def run(ground, options):
    servers = {}

    def fault(name, *args):
        servers[name] = Fault('smtp', *args)
        return servers[name].port

    bad = lambda n: ('--tls', 'starttls', '--cert', TLS(n + '.pem'), '--key', TLS(n + '.key'))
    pw = lambda name, **k: password_account(ground, 'PLAIN', mailbox_=f'{name}@example.test', **k)
    cases = {  # account: (its configuration, what its line must say, is it held, password)
        'wrong-password': (pw('wrong-password', **{'auth-user': 'billing@example.test'}), r'535|password', True, 'not the password at all'),
        'sender-refused': (pw('sender-refused', **{'auth-user': 'alerts@example.test'}), r'553|not owned by user|sender', None, None),
        'no-starttls': (pw('no-starttls', submit=f'localhost:{fault("no-starttls", "--tls", "none")}'), r'STARTTLS', None, None),
        'expired': (pw('expired', submit=f'localhost:{fault("expired", *bad("bad-expired"))}'), r'expired', None, None),
        'wrong-name': (pw('wrong-name', submit=f'localhost:{fault("wrong-name", *bad("bad-host"))}'), r'name', None, None),
        'self-signed': (pw('self-signed', submit=f'localhost:{fault("self-signed", *bad("bad-selfsigned"))}'), r'self|untrusted|not trusted|unknown|signed', None, None),
        'implicit-on-starttls': (pw('implicit-on-starttls', tls='implicit', submit=f'localhost:{ground.starttls}'), r'plain|STARTTLS|starttls', None, None),
        'starttls-on-implicit': (pw('starttls-on-implicit', tls='starttls', submit=f'localhost:{ground.implicit}'), r'implicit|TLS', None, None),
        'no-auth': (pw('no-auth', submit=f'localhost:{fault("no-auth", "--tls", "starttls", "--mode", "noauth")}'), r'AUTH', None, None),
        'no-mechanism': (pw('no-mechanism', submit=f'localhost:{fault("no-mechanism", "--tls", "starttls", "--mode", "mechs=XOAUTH2")}'), r'mechanism|PLAIN|XOAUTH2', None, None),
        'no-host': (pw('no-host', submit='no-such-host.invalid:587'), r'no-such-host\.invalid', None, None),
        'refused': (pw('refused', submit=f'127.0.0.1:{free_port()}'), r'refused', False, None),
    }
    f = Frank('failures', {n: c[0] for n, c in cases.items()})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    for name, (_, _, _, password) in cases.items():
        r = f.frank('secret', 'set', name, input=(password or ground.password) + '\n')
        if r.returncode:
            check(f'{name}: secret set', False, r)
    secrets.add('not the password at all')
    marks = {}
    for name in cases:
        marks[name] = marker(name)
        check(f'{name}: sendmail takes the message', f.send(f'{name}@example.test', 'failures@example.test', marks[name]) == 0)
    lines = {}
    wait_for(lambda: all(message(f, name).get('text') for name in cases), 90, 1)
    for name, (_, want, held, _) in cases.items():
        m = message(f, name)
        status = line_of(f, name)
        shown = f.frank('queue', 'show', m.get('id', '')).stdout if m else ''
        lines[name] = status
        check(f'{name}: the message is still there', bool(m), f.queue())
        check(f'{name}: queue show says why', re.search(want, shown), shown)
        if name == 'sender-refused':  # the message's trouble, not the account's: it bounces
            check(f'{name}: the verdict is about the message, and the bounce waits for its way', 'sender-not-owned' in json.dumps(m), m)
            lines[name] = shown
            continue
        check(f'{name}: status says why', re.search(want, status), status)
        if held is not None:
            state = f.account(name).get('state')
            check(f'{name}: {"the account is held" if held else "it is tried again"}', (state not in ('active', 'unreachable', None)) == held, (state, m))
    distinct = {re.sub(r'[\w.-]+@[\w.-]+|localhost:\d+|127\.0\.0\.1:\d+|\d+', '', v.replace(n, '')) for n, v in lines.items()}
    check('each failure has a line of its own', len(distinct) == len(cases), '\n'.join(sorted(distinct)))
    check('nothing arrived that should not have, and nothing bounced', not any(marks[n] in t for n in cases for t in ground.messages('failures@example.test')) and
          not any('@example.test' in b and 'multipart/report' in b for n in cases for b in ground.messages(f'{n}@example.test')), '')
    mended(ground, f, cases, marks)
    f.stop()
    for s in servers.values():
        s.stop()
    revoked(ground)
    no_tls_no_secret(ground)


def message(f, account):
    """The queued message of an account, with the words that a person sees: dict(id, text)."""
    for m in f.queue():
        if m.get('sender', '').startswith(account + '@'):
            words = ' '.join(str(r.get('reply') or r.get('text') or '') for r in m.get('recipients', [])).strip()
            return dict(id=str(m.get('queue_id', m.get('id', ''))), text=words or f.account(account).get('text', ''), row=m)
    return {}


def line_of(f, account):
    """What `frank status` shows of one account."""
    a = f.account(account)
    return ' '.join(str(a.get(k, '')) for k in ('state', 'text', 'next', 'cause'))


def mended(ground, f, cases, marks):
    """Once the cause is gone the held message goes by itself or when a person says so: nothing was lost."""
    r = f.frank('secret', 'set', 'wrong-password', input=ground.password + '\n')
    check('wrong-password: the right password is taken', r.returncode == 0, r)
    f.accounts['wrong-password']['mailbox'] = 'wrong-password@example.test'
    f.accounts['no-auth'] = password_account(ground, 'PLAIN', mailbox_='no-auth@example.test', **{'auth-user': 'billing@example.test'})
    f.write_conf()
    r = f.frank('reload')
    check('the mended configuration is taken', r.returncode == 0, r)
    r = f.frank('secret', 'set', 'no-auth', input=ground.password + '\n')
    check('no-auth: a password for the login it now has', r.returncode == 0, r)
    for name in ('wrong-password', 'no-auth'):
        m = message(f, name)
        if m:
            f.frank('queue', 'retry', m['id'])
    # the ground lets nobody send as somebody else: getting as far as that refusal is what mended means here
    for name in ('wrong-password', 'no-auth'):
        text = wait_for(lambda: (lambda s: s if '553' in s or 'not owned' in s else '')(f.frank('queue', 'show', message(f, name).get('id', '')).stdout + line_of(f, name)), 20, 0.5)
        check(f'{name}: after mending, the sign-in succeeds', text, f.frank('queue', 'show', message(f, name).get('id', '')).stdout + line_of(f, name))


def revoked(ground):
    f = Frank('revoked', {'a': oauth_account(ground)})
    check('revoked: frankd starts', f.start(), f.log()[-800:])
    status, out = f.authorize(ground, 'a', 'billing@example.test')
    check('revoked: authorized', status == 0, out)
    ground.remember()
    ground.revoke('billing@example.test')
    marks = [marker('revoked') for _ in range(3)]
    for m in marks:
        check('revoked: sendmail still takes mail', f.send('billing@example.test', 'revoked@example.test', m) == 0)
    check('revoked: the account needs authorization', wait_for(lambda: f.account('a').get('state') == 'needs-authorization', 30, 0.3), f.json('status'))
    check('revoked: the line names the next step', 'frank authorize a' in f.frank('status').stdout, f.frank('status').stdout)
    check('revoked: three messages wait', len(f.queue()) == 3, f.queue())
    status, out = f.authorize(ground, 'a', 'billing@example.test')
    check('revoked: authorized again', status == 0, out)
    got = [m for m in marks if ground.arrived('revoked@example.test', m, 20)]
    check('revoked: all three arrive then, without another word', len(got) == 3, f.shown() + f.log()[-600:])
    f.stop()


def no_tls_no_secret(ground):
    """A password never goes out in clear, whatever the configuration says about anything but loopback."""
    f = Frank('clear', {'a': password_account(ground, tls='none', submit='mail.example.test:25')})
    r = subprocess.run([program('frankd'), '-c', f.conf_file, '--check'], capture_output=True, text=True, env=f.env)
    check('clear: a password without TLS is refused by the configuration', r.returncode != 0 and 'frank.conf:' in r.stdout + r.stderr, r)
