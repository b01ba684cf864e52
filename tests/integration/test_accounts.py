# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""`frank account add`: by options, by answers on a terminal, by what a domain's name server says; and what it never does."""
from harness import *

MAILBOX = 'billing@example.test'


def run(ground, options):
    by_options(ground)
    from_nothing(ground)
    by_answers(ground)
    by_names(ground)
    shared(ground)


def world(name):
    """A frankd that reads conf.d, without an account."""
    f = Frank(name, {}, services={}, top={'include': ['conf.d/*.conf']})
    os.mkdir(f.path('conf.d'))
    return f


def add(f, *args, **k):
    return f.frank('account', 'add', *args, '--config', f.conf_file, **k)


def by_options(ground):
    f = world('add')
    check('frankd starts', f.start(), f.log()[-800:])
    r = add(f, input='')
    check('without a terminal the option that is missing is named', r.returncode == 64 and '--mailbox ADDRESS is missing' in r.stderr, r.stderr)
    r = add(f, '--mailbox', 'someone@gmail.com', input='')
    check('a known domain has its provider, and the grant is asked for, never guessed', r.returncode == 64 and 'google, since gmail.com is its domain' in r.stderr and '--grant GRANT is missing' in r.stderr and
          'service-account' in r.stderr, r.stderr)
    r = add(f, '--mailbox', 'someone@gmail.com', '--grant', 'authorization-code', '--client-id', 'id-1', input='')
    text = open(f.path('conf.d/someone.conf')).read() if os.path.exists(f.path('conf.d/someone.conf')) else ''
    check('a block is written, checked and in force', r.returncode == 0 and 'in force' in r.stdout and 'Next: frank secret set someone (the client\'s secret)\nThen: frank authorize someone' in r.stdout and 'provider  = "google"' in text, r.stdout + r.stderr)
    check('frankd has the account', wait_for(lambda: f.account('someone').get('state') == 'needs-authorization', 10), f.shown())
    r = add(f, 'someone', '--mailbox', 'other@gmail.com', '--grant', 'password', input='')
    check('an account that is there is not written over', r.returncode == 64 and 'already' in r.stderr and open(f.path('conf.d/someone.conf')).read() == text, r.stderr)
    open(f.path('conf.d/taken.conf'), 'w').close()
    r = add(f, 'taken', '--mailbox', 'other@gmail.com', '--grant', 'password', input='')
    check('nor is a file that is there', r.returncode == 64 and os.path.getsize(f.path('conf.d/taken.conf')) == 0, r.stderr)
    r = add(f, 'bad', '--mailbox', 'x@example.test', '--provider', 'amazon-ses', '--grant', 'password', '--region', 'no/such', input='')
    check('a block that does not pass the check is taken away again', r.returncode == 78 and 'bad.conf:' in r.stderr and not os.path.exists(f.path('conf.d/bad.conf')), r.stderr)
    r = add(f, 'inject', '--mailbox', 'x@example.test', '--provider', 'generic', '--grant', 'password', '--submit', 'h:25"\n} account "evil" {', input='')
    check('nothing but values gets into the file', r.returncode == 64 and not os.path.exists(f.path('conf.d/inject.conf')), r.stderr)
    r = add(f, '--mailbox', 'x@example.test', '--provider', 'no-such', input='')
    check('an unknown provider is refused', r.returncode == 64 and 'no provider' in r.stderr, r.stderr)
    f.stop()
    g = Frank('add-none', {}, services={})
    r = add(g, '--mailbox', 'x@gmail.com', '--grant', 'password', input='')
    check('without a folder for it the block is shown', r.returncode == 78 and 'account "x" {' in r.stderr and 'include' in r.stderr, r.stderr)


def from_nothing(ground):
    """A fresh machine: no configuration, and no folder for one."""
    top = tempfile.mkdtemp(prefix='frank-fresh-', dir=RUN_DIR)
    conf, env = os.path.join(top, 'etc', 'frank.conf'), dict(clean_env(), FRANK_CONTROL_SOCKET=os.path.join(top, 'none.sock'), SUDO_USER='nobody')

    def frank(*args, **k):
        return subprocess.run([program('frank'), 'account', 'add', *args, '--config', conf], input='', capture_output=True, text=True, env=env, timeout=60, **k)
    before = os.umask(0o077)
    try:
        r = frank('--mailbox', 'x@example.com', '--provider', 'amazon-ses', '--grant', 'password', '--region', 'no/such')
        check('nothing: what does not pass the check leaves nothing behind', r.returncode == 78 and os.listdir(top) == [], (r, os.listdir(top)))
        r = frank('billing', '--mailbox', 'billing@example.com', '--provider', 'gmail', '--grant', 'authorization-code', '--client-id', 'id-1')
    finally:
        os.umask(before)
    block = os.path.join(top, 'etc/conf.d/billing.conf')
    check('nothing: a configuration, its folder and the block are made', r.returncode == 0 and os.path.exists(block), r)
    modes = {p: oct(os.stat(os.path.join(top, 'etc', p)).st_mode & 0o7777) for p in ('', 'frank.conf', 'conf.d', 'conf.d/billing.conf')}
    check('nothing: for all to read and for their owner to change', list(modes.values()) == ['0o755', '0o644', '0o755', '0o644'], modes)
    check('nothing: a provider is known by its other name', 'gmail: the provider is called google here' in r.stderr and 'provider  = "google"' in open(block).read(), r.stderr)
    check('nothing: it says what was made, who may send, and how to undo it', all(t in r.stdout for t in (conf + ' is made', 'root nobody', f'To undo: rm {block} {conf} && rmdir {top}/etc/conf.d {top}/etc', 'frank authorize billing', 'start it')), r.stdout)
    r = subprocess.run([program('frankd'), '-c', conf, '--check'], capture_output=True, text=True, env=env)
    check('nothing: frankd takes it', r.returncode == 0 and 'accounts: 1, services: 1' in r.stdout, r)
    r = frank('alerts', '--mailbox', 'alerts@example.com', '--provider', 'sendgrid', '--grant', 'password')
    check('nothing: with services there, none is made unasked', r.returncode == 0 and 'service' not in open(os.path.join(top, 'etc/conf.d/alerts.conf')).read() and
          'nobody may send through it yet' in r.stdout, r.stdout)
    r = frank('shop', '--mailbox', 'shop@example.com', '--provider', 'sendgrid', '--grant', 'password', '--users', 'root daemon', '--json')
    text, out = open(os.path.join(top, 'etc/conf.d/shop.conf')).read(), json.loads(r.stdout or '{}')
    check('nothing: a service for those who have none', out.get('service') == 'shop' and 'users     = {"daemon"}' in text and 'accounts  = {"shop"}' in text and 'senders   = {"shop@example.com"}' in text, (r, text))
    r = frank('more', '--mailbox', 'more@example.com', '--provider', 'sendgrid', '--grant', 'password', '--users', 'root')
    check('nothing: and for the others what to add where', r.returncode == 0 and "Mail of root belongs to the service billing: add \"more\" to its accounts" in r.stdout, r.stdout)
    r = frank('bad', '--mailbox', 'x@example.com', '--provider', 'sendgrid', '--grant', 'password', '--users', 'no-such-user-here')
    check('nothing: an unknown user is refused, and nothing stays', r.returncode == 78 and 'no-such-user-here' in r.stderr and not os.path.exists(os.path.join(top, 'etc/conf.d/bad.conf')), r.stderr)
    shutil.rmtree(os.path.join(top, 'etc/conf.d'))
    r = frank('again', '--mailbox', 'x@example.com', '--provider', 'sendgrid', '--grant', 'password')
    check('nothing: a folder that include names is made', r.returncode == 0 and os.path.exists(os.path.join(top, 'etc/conf.d/again.conf')), r)
    shutil.rmtree(os.path.join(top, 'etc'))
    f = world('fresh')
    check('nothing: frankd starts', f.start(), f.log()[-800:])
    env.update(f.env)
    r = frank('first', '--mailbox', 'x@example.com', '--provider', 'sendgrid', '--grant', 'password')
    f.stop()
    check('nothing: where frankd runs, the undoing leaves it a configuration to read', r.returncode == 0 and conf + ' is made' in r.stdout and
          f'To undo: rm {top}/etc/conf.d/first.conf && frank reload\n' in r.stdout, r)


def by_answers(ground):
    """A person at a terminal, to the signed-in account."""
    import pty
    f = world('answers')
    check('answers: frankd starts', f.start(), f.log()[-800:])
    path, conf, ca = program('frank'), f.conf_file, ground.ca
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(f.env)
        os.execv(path, ['frank', 'account', 'add', '--config', conf, '--ca-file', os.path.relpath(ca)])
    seen = b''

    def until(text, seconds=30):
        nonlocal seen
        end = time.monotonic() + seconds
        while text not in seen and time.monotonic() < end and select.select([fd], [], [], 1)[0] is not None:
            try:
                if select.select([fd], [], [], 0.5)[0]:
                    seen += os.read(fd, 4096)
            except OSError:
                break
        return text in seen

    def say(prompt, line):
        good = until(prompt)
        os.write(fd, line.encode() + b'\n')
        return good
    good = say(b'Mailbox', MAILBOX) and say(b'Provider [generic]', '') and say(b'Grant', 'authorization-code') and say(b'Client id', CLIENT) and \
        say(b'Submission server', f'localhost:{ground.starttls}') and say(b'Issuer', ground.issuer) and say(b'Scopes', ' '.join(SCOPES)) and say(b'Name of the account [billing]', '')
    good = good and say(b'Users who may send through it', 'root')
    check('answers: each question in its turn, with a proposal where there is one', good, seen.decode(errors='replace')[-600:])
    check('answers: the offer to sign in at once', until(b'Sign in now? yes or no [yes]'), seen.decode(errors='replace')[-600:])
    os.write(fd, b'no\n')
    until(b'Next: frank authorize billing')
    os.waitpid(pid, 0)
    os.close(fd)
    text = open(f.path('conf.d/billing.conf')).read()
    check('answers: what was answered stands in the file', f'issuer    = "{ground.issuer}"' in text and '"mail.send"' in text and 'grant     = "authorization-code"' in text, text)
    check('answers: and the authority, by its whole path', re.search(r'ca-file   = "/.*"', text), text)
    with open(f.path('conf.d/billing.conf'), 'w') as out:
        out.write(text.replace('\n}\n', f'\n    extra-parameters = {{"prompt=consent"}}\n}}\n', 1))
    f.frank('reload')
    rc, out = f.authorize(ground, 'billing', MAILBOX)
    check('answers: and the account works', rc == 0, out)
    f.stop()


def by_names(ground):
    if os.geteuid() != 0:
        check.needs_root('a provider found by DNS')
        return
    f = world('found')
    with open(f.path('resolv.conf'), 'w') as out:
        out.write('nameserver 127.0.0.1\n')
    env = dict(clean_env(), GROUND=os.environ['GROUND'], GROUND_NPM=os.environ.get('GROUND_NPM', ''), PYTHONDONTWRITEBYTECODE='1')
    r = subprocess.run(['unshare', '-n', '-m', 'sh', '-c', f'mount --bind {f.path("resolv.conf")} /etc/resolv.conf && exec python3 "$@"', 'sh', os.path.join(HERE, 'found.py'), f.dir,
                        program('frankd'), program('frank')], env=env, capture_output=True, text=True, timeout=300)
    seen = {}
    for line in r.stdout.splitlines():
        case = json.loads(line)
        seen[case['box']] = case
    info = (r.stderr[-600:], seen, open(f.path('found.log')).read()[-600:] if os.path.exists(f.path('found.log')) else '')

    def says(box, rc, *parts):
        c = seen.get(box, {})
        return c.get('rc') == rc and all(p in c.get('out', '') + c.get('err', '') for p in parts)
    check('names: MX of Microsoft 365', says('a@firm.test', 0, 'microsoft365, since its mail goes to firm-test.mail.protection.outlook.com'), info)
    check('names: MX of Google', says('a@school.test', 0, 'google, since its mail goes to aspmx.l.google.com'), info)
    check('names: a service that the domain names is found, and its server asked', says('a@tells.test', 0, 'generic, since its name server names out.tells.test:10465') and
          'submit    = "srv:tells.test"' in open(f.path('conf.d/tells.conf')).read(), info)
    check('names: the usual name, and what answers there', says('a@usual.test', 64, 'generic, since smtp.usual.test:587 220'), info)
    check('names: a domain that says nothing', says('a@nothing.test', 64, '--submit'), info)


def shared(ground):
    """Shared mailboxes through one delegate, as frank-credentials(7) has it: billing@ may send as shared@, and not as alerts@."""
    addresses = ['shared@example.test', 'alerts@example.test']
    f = Frank('shared', {'delegate': oauth_account(ground), 'one': oauth_account(ground, mailbox_='shared@example.test', **{'auth-user': MAILBOX})},
              services={'shared': dict(users=['*'], accounts=['delegate'], senders=addresses)})
    if not check('shared: frankd starts', f.start(), f.log()[-800:]):
        return
    rc, out = f.authorize(ground, 'delegate', MAILBOX)
    check('shared: the delegate signs in once', rc == 0, out)
    mark = marker('shared')
    f.send('shared@example.test', 'shared-reader@example.test', mark)
    got = ground.arrived('shared-reader@example.test', mark)
    check('shared: mail goes out with the shared address in the envelope and in From', len(got) == 1 and re.search(r'(?m)^From:.*shared@example\.test', got[0]) and 'Return-Path: <shared@example.test>' in got[0],
          (got, f.shown()))
    mark = marker('rewritten')
    f.send('else@example.test', 'shared-reader@example.test', mark)
    got = ground.arrived('shared-reader@example.test', mark)
    check('shared: another From becomes the first of senders', len(got) == 1 and re.search(r'(?m)^From:.*shared@example\.test', got[0]), (got, f.shown()))
    r = f.frank('check', 'delegate')
    check('shared: frank check names the address that lacks Send As', r.returncode != 0 and 'alerts@example.test' in r.stdout + r.stderr, r)
    rc, out = f.authorize(ground, 'one', MAILBOX)
    check('shared: for a single one the delegate is auth-user', rc == 0 and MAILBOX in out, out)
    rc, out = f.authorize(ground, 'one', 'alerts@example.test')
    check('shared: and nobody else signs in for it', rc == 77 and 'alerts@example.test signed in' in out, out)
    f.stop()
