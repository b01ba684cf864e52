# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Every grant end to end: a token from a real authorization server, and a message sent with it; invitations, revocation, other servers."""
import base64
import hashlib
import hmac

from harness import *

MAILBOX = 'billing@example.test'


def run(ground, options):
    reread(ground)
    f = Frank('grants', accounts(ground), top={'mail-name': 'example.test'})
    check('frankd starts with an account of each grant', f.start(), f.log()[-800:])
    unattended(ground, f)
    device(ground, f, options)
    invite(ground, f)
    https_redirect(ground, f)
    signing_person(ground, f)
    revoke(ground, f)
    audit(ground, f)
    f.stop()
    other_make(ground)
    passwords(ground)


def app(ground, client, mailbox, **more):
    a = oauth_account(ground, mailbox_=mailbox, **{'grant': 'client-credentials', 'client-id': client, 'scopes': ['mail.send'], 'extra-parameters': None})
    a.update(more)
    return a


def accounts(ground):
    """One account of each grant, each with its own client."""
    jwt = 'file:' + private_copy(os.environ['GROUND_JWT_CLIENT_KEY'])
    return {
        'device': oauth_account(ground, grant='device-code'),
        'invited': oauth_account(ground, mailbox_='alerts@example.test'),
        'secure': oauth_account(ground, **{'client-id': 'broker-secure', 'redirect-scheme': 'https', 'redirect-path': '/secure', 'redirect-port': 9443}),
        'jwt-person': oauth_account(ground, **{'client-id': 'broker-jwt', 'client-auth': 'private_key_jwt', 'client-key': jwt}),
        'revoked': oauth_account(ground),
        'secret-basic': app(ground, 'svc-billing', MAILBOX, **{'client-auth': 'basic'}),
        'secret-post': app(ground, 'svc-alerts', 'alerts@example.test', **{'client-auth': 'post'}),
        'key-es256': app(ground, 'svc-jwt', 'alerts@example.test', **{'client-auth': 'private_key_jwt'}),
        'certificate': app(ground, 'svc-cert', MAILBOX, **{'client-auth': 'private_key_jwt', 'client-key': 'file:' + private_copy(os.environ['GROUND_CERT_CLIENT_KEY']),
                                                           'client-certificate': 'file:' + os.environ['GROUND_CERT_CLIENT_PEM']}),
        'service': app(ground, 'svc@ground.iam.gserviceaccount.test', MAILBOX, grant='service-account', scopes=['mail.send']),
        'service-unknown': app(ground, 'svc@ground.iam.gserviceaccount.test', 'nobody@example.test', grant='service-account', scopes=['mail.send']),
    }


def private_copy(path):
    """The same in this run's folder: a test may change it."""
    to = os.path.join(harness_dir(), os.path.basename(path))
    shutil.copy(path, to)
    os.chmod(to, 0o600)
    return to


def sends(ground, f, account, sender, what):
    """A message by this account: several share a mailbox, so the service is made to name the one."""
    f.services = {'all': dict(users=['*'], accounts=[account], senders=['*'], **{'from': 'keep'}, token=True)}
    f.write_conf()
    f.frank('reload')
    m = marker(account)
    f.send(sender, f'{account}@example.test', m)
    check(f'{what}: a message goes out', ground.arrived(f'{account}@example.test', m, 30), f.shown() + f.log()[-600:])


def token_of(f, account, *args):
    r = f.frank('token', account, *args)
    secrets.add(r.stdout.strip())
    return r


def unattended(ground, f):
    began = time.time() * 1000
    r = token_of(f, 'secret-basic')
    check('client-credentials: without a secret the next step is said', r.returncode != 0 and 'frank secret set secret-basic' in r.stderr, r.stderr)
    for account, what, secret in (('secret-basic', 'secret, basic', 'svc-secret'), ('secret-post', 'secret, post', 'svc-secret'),
                                  ('key-es256', 'key, ES256', open(os.environ['GROUND_JWT_CLIENT_KEY']).read()), ('certificate', 'certificate, PS256 and x5t#S256', None),
                                  ('service', 'service account', open(os.environ['GROUND_SERVICE_ACCOUNT_FILE']).read())):
        if secret is not None:
            secrets.add(*[line for line in secret.replace('\\n', '\n').splitlines() if len(line) == 64])
            r = f.frank('secret', 'set', account, input=secret)
            check(f'{what}: its secret is stored', r.returncode == 0, r.stdout + r.stderr)
        r = token_of(f, account)
        check(f'{what}: a token comes without a person', r.returncode == 0 and len(r.stdout.strip()) > 20, r.stderr)
        sends(ground, f, account, f.accounts[account]['mailbox'], what)
    check('one token for token and message alike', len([e for e in ground.log() if e.get('client') == 'svc-cert' and e['t'] >= began and e.get('route') == 'token' and e['status'] == 200]) == 1, ground.log()[-5:])
    r = f.frank('secret', 'set', 'service-unknown', input=open(os.environ['GROUND_SERVICE_ACCOUNT_FILE']).read())
    r = token_of(f, 'service-unknown')
    check('service account: a mailbox without delegation is an administrator\'s matter', r.returncode != 0 and 'unauthorized_client' in r.stderr and
          f.account('service-unknown').get('state') == 'client-error', r.stderr)
    r = f.frank('secret', 'set', 'key-es256', input='not a key')
    check('a signing client takes nothing but a key', r.returncode == 65 and 'private key' in r.stderr, r.stderr)
    r = f.frank('secret', 'set', 'key-es256', input=open(os.environ['GROUND_SERVICE_ACCOUNT_FILE']).read())
    check('and not the key of another client', r.returncode == 65 and 'another client' in r.stderr, r.stderr)
    r = f.frank('authorize', 'service')
    check('nobody signs in for a service account', r.returncode == 64 and 'frank secret set' in r.stderr, r.stderr)
    f.kill()
    f.start()
    check('after kill -9 and a start the keys are still there', token_of(f, 'service').returncode == 0 and token_of(f, 'secret-basic').returncode == 0, f.shown())


def reread(ground):
    """A key file that is replaced is in force at the next token, without a reload; one that is broken costs nothing."""
    key = private_copy(os.environ['GROUND_JWT_CLIENT_KEY'])
    good = open(key).read()
    f = Frank('reread', {'a': app(ground, 'svc-jwt', 'alerts@example.test', **{'client-auth': 'private_key_jwt', 'client-key': 'file:' + key})})
    check('key file: frankd starts', f.start(), f.log()[-800:])
    ground.set(at_ttl=1)
    check('key file: a token', token_of(f, 'a').returncode == 0, f.shown())
    with open(key, 'w') as out:
        out.write('-----BEGIN NOTHING-----\n')
    time.sleep(1.1)
    r = token_of(f, 'a')
    check('key file: one that was broken meanwhile is noticed, and said', r.returncode != 0 and 'private key' in r.stderr and f.account('a').get('state') == 'client-error', r.stderr)
    with open(key, 'w') as out:
        out.write(good)
    f.frank('account', 'retry', 'a')
    check('key file: put back, it is in force without a reload', wait_for(lambda: token_of(f, 'a').returncode == 0, 75, 1), f.shown())
    ground.reset()
    f.stop()


def device(ground, f, options):
    p, url = f.begin_authorize('device')  # the grant says device code
    code = p.stdout.readline().strip()
    check('device: address and code are printed', url.startswith(ground.issuer + '/device') and len(code) >= 6, (url, code))
    if options.no_browser:
        text = subprocess.run([GROUND_HOME + '/browser-login', '--help'], capture_output=True, text=True)
        ground.token.walk(f'{url}?user_code={code}', MAILBOX, None, code)
    else:
        rc, out = ground.browser(url, MAILBOX, '--code', code)
        check('device: finished in Chromium', rc == 0, out)
    out, err = p.communicate(timeout=60)
    check('device: authorized', p.returncode == 0 and MAILBOX in out, out + err)
    sends(ground, f, 'device', MAILBOX, 'device')
    p, url = f.begin_authorize('device')
    code = p.stdout.readline().strip()
    p.kill()
    p.communicate()
    rc, out = ground.browser(url, MAILBOX, '--code', code) if not options.no_browser else (ground.token.walk(f'{url}?user_code={code}', MAILBOX, None, code), '')
    check('device: frankd goes on where the command was ended', wait_for(lambda: f.log().count('Signed in as') >= 2, 20, 0.2), f.log()[-600:])
    p, url = f.begin_authorize('device')
    code = p.stdout.readline().strip()
    if not options.no_browser:
        ground.browser(url, MAILBOX, '--code', code, '--deny')
        out, err = p.communicate(timeout=60)
        check('device: a person who says no is told of, and nothing changes', p.returncode != 0 and 'denied' in err and token_of(f, 'device').returncode == 0, out + err)
    else:
        p.kill()
        p.communicate()
    pty_qr(f)


def pty_qr(f):
    """On a terminal there is a QR code of half blocks, and the code in words."""
    import pty
    path = program('frank')
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.clear()
        os.environ.update(f.env, LANG='C.UTF-8')
        os.execv(path, ['frank', 'authorize', 'device'])
    data = b''
    while True:
        if not select.select([fd], [], [], 20)[0]:
            break
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            break
        data += chunk
        if not chunk or b'Waiting until' in data:
            break
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(fd)
    text = data.decode(errors='replace')
    rows = [line for line in text.splitlines() if line.count('█') + line.count('▀') + line.count('▄') > 10]
    check('device: the terminal shows a QR code beside the code', len(rows) > 12 and '/device' in text, text[:600])


def invite(ground, f):
    r = f.frank('authorize', 'invited', '--invite')
    url = next((line for line in r.stdout.splitlines() if line.startswith(ground.issuer)), '')
    check('invite: a text with the address, and no secret of ours', r.returncode == 0 and 'alerts@example.test' in r.stdout and url and '--finish' in r.stderr, r.stdout + r.stderr)
    f.kill()  # hours pass, and a crash
    f.start()
    back = ground.sign_in(url, 'alerts@example.test')
    wrong = back.replace('state=', 'state=x')
    r = f.frank('authorize', 'invited', '--finish', input=wrong)
    check('invite: an answer to something else is refused, and changes nothing', r.returncode == 65, r.stderr)
    r = f.frank('authorize', 'revoked', '--finish', input=back)
    check('invite: nor does it go to another account', r.returncode == 65, r.stderr)
    wrapped = '\n'.join(back[i:i + 60] for i in range(0, len(back), 60)) + '\n'  # as mail programs do
    r = f.frank('authorize', 'invited', '--finish', input=wrapped)
    check('invite: the address that came back signs in, also after a restart', r.returncode == 0 and 'alerts@example.test' in r.stdout, r.stdout + r.stderr)
    sends(ground, f, 'invited', 'alerts@example.test', 'invite')
    r = f.frank('authorize', 'invited', '--finish', input=back)
    check('invite: it is good for one sign-in', r.returncode == 65 and 'No invitation' in r.stderr, r.stderr)
    r = f.frank('authorize', 'invited', '--invite')
    url = next((line for line in r.stdout.splitlines() if line.startswith(ground.issuer)), '')
    back = ground.sign_in(url, MAILBOX)
    r = f.frank('authorize', 'invited', '--finish', input=back)
    check('invite: whoever signs in as somebody else is refused', r.returncode == 77 and MAILBOX in r.stderr and token_of(f, 'invited').returncode == 0, r.stderr)


def https_redirect(ground, f):
    p, url = f.begin_authorize('secure')
    redirect = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).get('redirect_uri', [''])[0]
    check('https redirect: the address is the registered one, with its port', redirect == 'https://localhost:9443/secure', redirect)
    back = ground.sign_in(url, MAILBOX)
    out, err = p.communicate(back + '\n', timeout=60)
    check('https redirect: the pasted address works, where nothing listens', p.returncode == 0 and 'cannot connect' in err, out + err)


def signing_person(ground, f):
    rc, out = f.authorize(ground, 'jwt-person', MAILBOX)
    check('a client with a key: code exchanged with an assertion', rc == 0, out)
    ground.set(at_ttl=1)
    r = token_of(f, 'jwt-person', '--rejected')
    check('a client with a key: refreshed with an assertion', r.returncode == 0, r.stderr)
    ground.reset()


def revoke(ground, f):
    r = f.frank('account', 'revoke', 'revoked')
    check('revoke: nothing to revoke is said', r.returncode != 0 and 'signed in' in r.stderr, r.stderr)
    r = f.frank('account', 'revoke', 'revoked', '--local')
    check('revoke --local: nothing to forget is said', r.returncode == 0 and 'nothing to forget' in r.stdout and 'valid' not in r.stdout, r.stdout + r.stderr)
    rc, out = f.authorize(ground, 'revoked', MAILBOX)
    old = token_of(f, 'revoked').stdout.strip()
    r = f.frank('account', 'revoke', 'revoked')
    check('revoke: given back at the server, then forgotten', r.returncode == 0 and 'revoked at the server' in r.stdout, r.stdout + r.stderr)
    check('revoke: the server says so too', any('revocation' in (e.get('route') or '') and e['status'] == 200 for e in ground.log()), ground.log()[-4:])
    check('revoke: needs authorization again', f.account('revoked').get('state') == 'needs-authorization' and token_of(f, 'revoked').returncode != 0, f.account('revoked'))
    f.kill()
    f.start()
    check('revoke: also after a start', wait_for(lambda: f.account('revoked').get('state') == 'needs-authorization', 10), f.account('revoked'))
    rc, out = f.authorize(ground, 'revoked', MAILBOX)
    r = f.frank('account', 'revoke', 'revoked', '--local')
    check('revoke --local: forgotten here, and said that it is valid there', r.returncode == 0 and 'still valid' in r.stdout and f.account('revoked').get('state') == 'needs-authorization', r.stdout)
    rc, out = f.authorize(ground, 'revoked', MAILBOX)
    o = f.json('account', 'revoke', 'revoked', '--local')
    check('revoke --json', o.get('action') == 'revoke' and o.get('account') == 'revoked' and o.get('local') is True and 'still valid' in o.get('text', ''), o)
    rc, out = f.authorize(ground, 'revoked', MAILBOX)
    f.accounts['revoked']['revocation-endpoint'] = 'https://localhost:9/revoke'
    f.write_conf()
    f.frank('reload')
    r = f.frank('account', 'revoke', 'revoked')
    check('revoke: where the server does not answer, nothing is forgotten', r.returncode == 75 and 'Nothing was forgotten' in r.stderr and token_of(f, 'revoked').returncode == 0, r.stderr)
    r = f.frank('account', 'revoke', 'service')
    check('revoke: of a key that is honest too', r.returncode != 0 and '--local' in r.stderr, r.stderr)


def audit(ground, f):
    """Who may have a token: by the services' rules, and nobody by default; each answer is a line."""
    if os.geteuid() != 0:
        check.needs_root('who may have a token', 'needs root, to be somebody else')
        return
    f.services = {'mail': dict(users=['mail'], accounts=['service'], senders=['*']), 'reader': dict(users=['daemon'], accounts=['service'], senders=['*'], token=True),
                  'night-shift': dict(users=['bin'], accounts=['service'], token=True)}
    f.write_conf()
    check('audit: reloaded', f.frank('reload').returncode == 0)

    def frank_as(user, *args):
        who = pwd.getpwnam(user)
        return subprocess.run([program('frank'), *args], capture_output=True, text=True, env=f.env, user=who.pw_uid, group=who.pw_gid, extra_groups=[])

    def ask(user, account):
        r = frank_as(user, 'token', account)
        secrets.add(r.stdout.strip())
        return r
    before = f.log().count('An access token was asked for.')
    r = ask('daemon', 'service')
    check('a user of a service with token = true gets one', r.returncode == 0 and r.stdout.strip(), r.stderr)
    r = ask('daemon', 'secret-basic')
    check('of its accounts, and of no other', r.returncode == 77 and not r.stdout, r.stderr)
    r = ask('mail', 'service')
    check('a user who may send gets none by that', r.returncode == 77 and not r.stdout, r.stderr)
    r = ask('games', 'service')
    check('nor does anybody whom no service names', r.returncode == 77 and not r.stdout, r.stderr)
    lines = [line for line in f.log().splitlines() if 'An access token was asked for.' in line]
    shown = lambda out: [(a.get('credential') or {}) for a in json.loads(out)['accounts'] if a['account'] == 'service']
    r = frank_as('daemon', 'status', '--json')
    mine = shown(r.stdout) if r.returncode == 0 else []
    check('who may have a token sees the account, and not who else may', len(mine) == 1 and mine[0].get('state') and 'night-shift' not in r.stdout, r.stdout + r.stderr)
    all_ = shown(f.frank('status', '--json').stdout)
    check('an administrator sees who may', len(all_) == 1 and all_[0].get('token_services') == 'reader, night-shift', all_)
    check('audit: a line for each answer', len(lines) == before + 4 and 'given' in lines[-4] and all('refused' in line for line in lines[-3:]), lines[-4:])


def other_make(ground):
    """The authorization code grant against another make of server, and what a token that can be read may be for."""
    p = subprocess.Popen([GROUND_HOME + '/other-server'], stdout=subprocess.PIPE, text=True)
    line = p.stdout.readline()
    if not check('other make: it starts', line.startswith('{'), line):
        return
    info = json.loads(line)
    control = f"http://127.0.0.1:{info['control']}"
    base = oauth_account(ground, **{'issuer': info['issuer'], 'scopes': ['openid', 'email', 'mail.send'], 'client-id': 'frank', 'extra-parameters': None})
    f = Frank('other', {'a': base, 'aimed': {**base, 'audience': ['https://mail.example.test']}})
    check('other make: frankd starts', f.start(), f.log()[-800:])

    def walk(account):
        q, url = f.begin_authorize(account)
        with contextlib.suppress(Exception):
            op = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ground.ca)))
            op.open(url, timeout=20).read()  # it redirects to us at once
        out, err = q.communicate(timeout=60)
        return q.returncode, out + err
    rc, out = walk('a')
    check('other make: PKCE, ID token and all: authorized', rc == 0 and MAILBOX in out, out)
    old = token_of(f, 'a').stdout.strip()
    new = token_of(f, 'a', '--rejected').stdout.strip()
    check('other make: refreshed', old and new and old != new, (old[-8:], new[-8:]))
    http(control + '/set?aud=https://graph.example.test')
    rc, out = walk('aimed')
    check('a token for another audience is refused, and nothing stored', rc == 78 and 'https://graph.example.test' in out and f.account('aimed').get('state') == 'needs-authorization', out)
    http(control + '/set?aud=https://mail.example.test/')
    rc, out = walk('aimed')
    check('one for the audience that the account names is taken', rc == 0, out)
    http(control + '/set?aud=https://graph.example.test')
    r = token_of(f, 'aimed', '--rejected')
    check('and a refreshed one is looked at too', r.returncode != 0 and 'meant for' in r.stderr and wait_for(lambda: f.account('aimed').get('state') == 'client-error', 10), (r.stderr, f.account('aimed')))
    http(control + '/set?aud=&email=somebody@example.test')
    rc, out = walk('a')
    check('other make: another person is refused', rc == 77 and 'signed in, but' in out, out)
    r = f.frank('account', 'revoke', 'a')
    check('other make: revoked', r.returncode == 0, r.stderr)
    f.stop()
    p.terminate()
    p.wait(10)


def ses_password(key, region):
    """What Amazon's manual makes of a secret access key, written down a second time."""
    signature = ('AWS4' + key).encode()
    for text in ('11111111', region, 'ses', 'aws4_request', 'SendRawEmail'):
        signature = hmac.new(signature, text.encode(), hashlib.sha256).digest()
    return base64.b64encode(b'\4' + signature).decode()


def passwords(ground):
    """A user name apart from the mailbox; an SES password that is made from the key: what SMTP sees."""
    fault = Fault('smtp', '--tls', 'starttls', '--mode', 'mechs=PLAIN')
    base = {'submit': f'localhost:{fault.port}'}
    f = Frank('passwords', {
        'sendgrid': password_account(ground, mailbox_='grid@example.test', **base, **{'auth-user': 'apikey'}),
        'ses': password_account(ground, mailbox_='ses@example.test', **base, **{'auth-user': 'AKIAEXAMPLE', 'password-derivation': 'aws-ses', 'region': 'eu-central-1'})})
    check('passwords: frankd starts', f.start(), f.log()[-800:])
    grid, key = 'SG.key-of-sendgrid-0123456789', 'some+secret+key+of+forty+characters+0123'
    derived = ses_password(key, 'eu-central-1')
    secrets.add(grid, key, derived)
    for name, sender, user, given, sent in (('sendgrid', 'grid@example.test', 'apikey', grid, grid), ('ses', 'ses@example.test', 'AKIAEXAMPLE', key, derived)):
        check(f'passwords: {name} stored', f.frank('secret', 'set', name, input=given).returncode == 0)
        before = fault.stats()['auth_ok']
        check(f'passwords: {name}: mail is taken', f.send(sender, f'{name}@example.test', marker(name)) == 0)
        check(f'passwords: {name}: it signs in', wait_for(lambda: fault.stats()['auth_ok'] > before, 30), f.log()[-800:])
        seen = (fault.stats().get('last_auth') or '').split('\0')
        check(f'passwords: {name}: as {user}', len(seen) == 3 and seen[:2] == ['', user], seen[:2])
        check(f'passwords: {name}: with the password that the provider wants', len(seen) == 3 and seen[2] == sent)  # shown to nobody
    f.stop()
    fault.stop()
