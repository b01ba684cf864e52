# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Each fault that frank-sandbox plays by name, given to frankd: the verdict is the one that frank-sandbox(1) has beside it.

Every fault has an account and a message of its own, so that they meet at one time. At the stages that know no account the faults are
given one after the other, by a sandbox of their own.
"""
import importlib.machinery, importlib.util

from harness import *
from test_sandbox import Sandbox, location, sign_in

MANUAL = os.path.join(TOP, 'man', 'frank-sandbox.1')
SENDER_STAGES = ('auth', 'mail', 'rcpt', 'data', 'dot', 'stored')
# Faults of the device flow, of codes and of the authorization endpoint meet no message: they have tests below.
ELSEWHERE = ('device', 'code-used', 'authorize', 'hang', 'slow')
TOKEN_AT_AUTH = ('token-refused', 'microsoft-token-refused', 'google-token-refused')


def manual():
    """{fault: (state of the account, cause)} as the manual has it; None where it has no verdict."""
    text = open(MANUAL).read().replace('\\-', '-').replace('\\&', '')
    text = text[text.index('.SS Before the sign-in'):text.index('.SH PERSONALITIES')]
    rows = {}
    for entry in text.split('.TP\n.B ')[1:]:
        verdict = re.search(r'^Frank: (\S+), (\S+)\.$', entry, re.M)
        rows[entry.split('\n', 1)[0]] = (verdict[1], verdict[2]) if verdict else None
    return rows


def faults(s, method, body=None, query=''):
    """A request to /admin/faults; the answer as JSON."""
    key = open(s.dir + '/admin.key').read().strip()
    q = urllib.request.Request(f"{s.ready['issuer']}/admin/faults{query}", None if body is None else json.dumps(body).encode(),
                               {'Authorization': 'Bearer ' + key, 'Content-Type': 'application/json'}, method=method)
    ctx = ssl.create_default_context(cafile=s.ready['ca'])
    op = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ctx))
    try:
        with op.open(q, timeout=20) as r:
            return json.loads(r.read())
    except urllib.error.HTTPError as e:
        return dict(json.loads(e.read()), status=e.code)


def provider(fault):
    return {'microsoft': 'microsoft365', 'google': 'google'}.get(fault.split('-')[0], 'generic')


def account(s, fault, token):
    """An account for a fault, of the provider whose words it plays."""
    address = f'{fault}@example.test'
    if token:
        a = s.account(address, provider=provider(fault), **{'client-id': fault})  # its own: some refusals stop all accounts of a client
    else:
        a = {'mailbox': address, 'grant': 'password', 'submit': f"localhost:{s.ready['submission_port']}", 'tls': 'starttls', 'auth': ['login'],
             'ca-file': s.ready['ca'], 'provider': provider(fault)}
    if token and provider(fault) != 'generic':
        a.update({'authorization-endpoint': s.ready['issuer'] + '/authorize', 'token-endpoint': s.ready['issuer'] + '/token', 'tenant': 'example.test'})
        if provider(fault) == 'google':
            del a['tenant']
            a.update({'userinfo-endpoint': s.ready['issuer'] + '/userinfo', 'revocation-endpoint': s.ready['issuer'] + '/revoke', 'client-auth': 'none'})
    return a


def authorize(s, f, name):
    p, url = f.begin_authorize(name)
    try:
        browse(sign_in(s, url, f'{name}@example.test'))
        out, err = p.communicate(timeout=30)
    except Exception as e:
        p.kill()
        out, err = p.communicate()
        err += str(e)
    return p.returncode == 0 or check(f'{name}: authorized', False, out + err + f.log()[-500:])


def seen(f, name):
    """What frankd makes of it: (the account's state, cause), or None as long as nothing has come of it."""
    a = f.account(name)
    cause = a.get('cause') or a.get('credential', {}).get('cause')
    rows = [m for m in f.queue() if m.get('subject') == name]
    causes = [r['cause'] for m in rows for r in m['recipients'] if r.get('cause')]
    if cause or causes:
        return a.get('state'), cause or causes[0]
    reports = [m for m in f.queue() if m.get('account') == name and m.get('subject') != name]
    return ('active', 'returned') if reports or not rows else None


def judge(f, name, wanted, log=''):
    # where keeper refreshes ahead, before any message asks, it is the credential's state that is told
    wanted_too = ('client-error', wanted[1]) if wanted and wanted[0] == 'refused' else wanted
    good = wait_for(lambda: seen(f, name) in (wanted, wanted_too), 20, 0.3)
    return check(f'{name}: {wanted}', good, (seen(f, name), f.account(name), [m for m in f.queue() if m.get('subject') == name], log))


def by_account(rows, names):
    """All faults that know the account, at one time."""
    only = os.environ.get('FAULTS', '').split()
    chosen = [n for n in names if (not only or n['fault'] in only) and (n['stage'] in SENDER_STAGES or n['stage'] == 'token') and not any(w in n['fault'] for w in ELSEWHERE)]
    token = {n['fault']: n['stage'] == 'token' or n['fault'] in TOKEN_AT_AUTH for n in chosen}
    with Sandbox(*[x for n in token for x in ('--account', f'{n}@example.test', '--client', n)]) as s:
        f = Frank('faults', {n: account(s, n, t) for n, t in token.items()})
        if not check('frankd starts with an account for each fault', f.start(), f.log()[-1500:]):
            return
        s.admin('set', access_token_life=2)
        for n, t in token.items():
            if t:
                authorize(s, f, n)
            else:
                f.frank('secret', 'set', n, input=s.password(f'{n}@example.test') + '\n')
        s.admin('set', access_token_life=3600)
        added = faults(s, 'PUT', [dict(fault=n, account=f'{n}@example.test') for n in token])
        check('each is added', len(added.get('added', ())) == len(token), added)
        time.sleep(2)  # until no access token is good any more
        for n in token:
            f.send(f'{n}@example.test', 'you@example.org', n)
        for n in token:
            judge(f, n, rows.get(n))
        f.stop()


def by_server(rows, names):
    """The stages that know no account: the server does it to everybody, so one after the other."""
    chosen = [n['fault'] for n in names if n['stage'] in ('connect', 'ehlo', 'starttls')]
    with Sandbox(*[x for n in chosen for x in ('--account', f'{n}@example.test')]) as s:
        f = Frank('faults-server', {n: account(s, n, False) for n in chosen})
        check('frankd starts', f.start(), f.log()[-800:])
        for n in chosen:
            f.frank('secret', 'set', n, input=s.password(f'{n}@example.test') + '\n')
        for n in chosen:
            faults(s, 'PUT', dict(fault=n))
            f.send(f'{n}@example.test', 'you@example.org', n)
            judge(f, n, rows.get(n))
        f.stop()


def password_account(s, f, names):
    for n in names:
        f.frank('secret', 'set', n, input=s.password(f'{n}@example.test') + '\n')


def over_and_done(s):
    """Faults that end: greylisting, the next two, a real rate; slowness; and doubt."""
    names = ('grey', 'twice', 'rated', 'late', 'doubt')
    f = Frank('faults-end', {n: account(s, n, False) for n in names})
    check('frankd starts', f.start(), f.log()[-800:])
    password_account(s, f, names)
    faults(s, 'PUT', [dict(fault='greylist', account='grey@*'), dict(fault='mail-later', account='twice@*', count=2), dict(fault='rate-limit', account='rated@*', rate='2/min'),
                      dict(fault='slow', account='late@*', seconds=2), dict(fault='drop-after-dot', account='doubt@*', count=1)])
    arrived = lambda name: len([m for m in s.inbox(f'to-{name}@example.org') if f'Subject: {name}\n' in m])
    began = time.monotonic()
    for n in names:
        for _ in range(5 if n == 'rated' else 1):
            f.send(f'{n}@example.test', f'to-{n}@example.org', n)
    check('slow: it arrives, after its time', wait_for(lambda: arrived('late'), 20, 0.1) and time.monotonic() - began >= 2)
    check('a rate: two arrive, and the account is slowed down', wait_for(lambda: f.account('rated').get('state') == 'throttled', 20, 0.2) and arrived('rated') == 2, (arrived('rated'), f.account('rated')))
    for n in ('grey', 'twice', 'twice', 'doubt'):  # what would be tried again in some minutes is tried now
        wait_for(lambda: all(m['state'] == 'deferred' for m in f.queue() if m['account'] == n), 20, 0.2)
        for m in f.queue():
            if m['account'] == n:
                f.frank('queue', 'retry', m['id'])
                wait_for(lambda: any(x['id'] != m['id'] or x['recipients'][0].get('attempts', 0) > m['recipients'][0].get('attempts', 0) for x in f.queue()) or not f.queue(), 5, 0.1)
    check('greylisting: the second try goes through', wait_for(lambda: arrived('grey') == 1, 20, 0.2), f.shown())
    check('the next two: the third try goes through', wait_for(lambda: arrived('twice') == 1, 20, 0.2), f.shown())
    check('the dot without an answer: the message is there, and comes once more', wait_for(lambda: arrived('doubt') == 2, 20, 0.2), (arrived('doubt'), f.shown()))
    left = {r['fault']: r for r in faults(s, 'GET')['faults']}
    check('what is left of a count is told', left['mail-later']['left'] == 0 and left['mail-later']['hits'] == 2 and left['rate-limit']['hits'] >= 1, left)
    check('a message says which fault it met', any('slow' in r['faults'] for r in records(s)), [r['faults'] for r in records(s)])
    f.stop()
    chaos(s)
    faults(s, 'DELETE')
    check('all rules are gone', faults(s, 'GET')['faults'] == [])


def chaos(s):
    """Mailpit's way to the same faults."""
    import smtplib
    put = lambda **triggers: subprocess.run(['curl', '-sS', '-X', 'PUT', s.ready['api'] + '/api/v1/chaos', '-H', 'Content-Type: application/json', '-d', json.dumps(triggers)],
                                            capture_output=True, text=True, env=clean_env()).stdout
    put(Recipient=dict(ErrorCode=457, Probability=100))
    with smtplib.SMTP('localhost', s.ready['submission_port'], timeout=20) as c:
        c.starttls(context=ssl.create_default_context(cafile=s.ready['ca']))
        c.login('late@example.test', s.password('late@example.test'))
        c.mail('late@example.test')
        refused, _ = c.rcpt('you@example.org')
        put()
        taken, _ = c.rcpt('you@example.org')
    check('chaos: a recipient is refused with its code, until it is reset', (refused, taken) == (457, 250), (refused, taken))


def records(s):
    return [json.load(open(p)) for p in sorted(glob.glob(f"{s.ready['mail']}/.smtp/*.json"))]


def grants(s, keys):
    """Device flow and client credentials, with frankd; the message's record names the grant."""
    oauth = lambda **k: s.account('billing@example.test', **k)
    app = dict(grant='client-credentials', scopes=['mail.send'])
    f = Frank('faults-grants', {'person': s.account('person@example.test'), 'device': oauth(grant='device-code'), 'basic': oauth(**app, **{'client-id': 'svc-secret', 'client-auth': 'basic'}),
                                'post': oauth(**app, **{'client-id': 'svc-secret', 'client-auth': 'post'}),
                                'es256': oauth(**app, **{'client-id': 'svc-ec', 'client-auth': 'private_key_jwt'}),
                                'rsa': oauth(**app, **{'client-id': 'svc-rsa', 'client-auth': 'private_key_jwt'})})
    check('frankd starts with each grant', f.start(), f.log()[-800:])
    s.admin('set', device_interval=1)
    device(s, f)
    refused_sign_in(s, f)
    for name in ('basic', 'post', 'es256', 'rsa'):
        f.frank('secret', 'set', name, input=open(keys[name]).read())
    for name in ('device', 'basic', 'post', 'es256', 'rsa'):
        f.services = {'all': dict(users=['*'], accounts=[name], senders=['*'], **{'from': 'keep'})}
        f.write_conf()
        f.frank('reload')
        f.send('billing@example.test', f'{name}@example.org', name)
        check(f'{name}: a message goes out', wait_for(lambda: s.inbox(f'{name}@example.org'), 30, 0.2), f.shown() + f.log()[-600:])
        token = next((r['auth']['token'] for r in records(s) if f'{name}@example.org' in r['envelope']['recipients']), {})
        check(f'{name}: its record names the grant', token.get('grant') == ('device_code' if name == 'device' else 'client_credentials') and len(token['id']) == 8, token)
    f.stop()


def device(s, f):
    """A person says yes, another says no; a code that is not there is refused."""
    p, url = f.begin_authorize('device')
    code = p.stdout.readline().strip()
    walk(s, f'{url}?user_code={code}', 'billing@example.test', code)
    out, err = p.communicate(timeout=60)
    check('device: authorized', p.returncode == 0, out + err + f.log()[-600:])
    p, url = f.begin_authorize('device')
    code = p.stdout.readline().strip()
    ask = lambda path, **form: http(s.ready['issuer'] + path, urllib.parse.urlencode(form).encode(), cafile=s.ready['ca'])
    check('device: a wrong code is refused', 'no such code' in ask('/device', user_code='BBBB-BBBB')[1])
    page = ask('/device', user_code=code.lower().replace('-', ''))[1]
    ask('/deny', request=re.search(r'name="request" value="([^"]*)"', page)[1])
    out, err = p.communicate(timeout=60)
    check('device: a person who says no is told of', p.returncode != 0 and 'denied' in err, out + err)


def refused_sign_in(s, f):
    """Faults of the authorization endpoint, as a person sees them."""
    for fault, words in (('authorize-denied', 'denied'), ('authorize-unavailable', 'temporarily_unavailable')):
        faults(s, 'PUT', dict(fault=fault, account='person@example.test'))
        p, url = f.begin_authorize('person')
        u = urllib.parse.urlsplit(url)
        to = location(s.ready['issuer'], s.ready['ca'], dict(urllib.parse.parse_qsl(u.query)))[1]
        browse(to)
        out, err = p.communicate(timeout=30)
        check(f'{fault}: the person is told', p.returncode != 0 and words in err, out + err)
    faults(s, 'PUT', dict(fault='authorize-html'))
    page = http(url, cafile=s.ready['ca'])
    check('authorize-html: a page of trouble', page[0] == 503 and '<html' in page[1], page)
    faults(s, 'DELETE')


def walk(s, url, login, code):
    env = os.environ.get('GROUND_CA'), os.environ.get('GROUND_PASSWORD')
    os.environ.update(GROUND_CA=s.ready['ca'], GROUND_PASSWORD=s.password(login))
    try:
        loader = importlib.machinery.SourceFileLoader('sandbox_token', GROUND_HOME + '/token')
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader('sandbox_token', loader))
        loader.exec_module(module)
        return module.walk(url, login, None, code)
    finally:
        os.environ.update({k: v for k, v in zip(('GROUND_CA', 'GROUND_PASSWORD'), env) if v})


def client_keys(folder):
    """A secret and two keys; {name: file for Frank}, and the sandbox's options."""
    path = lambda n: os.path.join(folder, n)
    with open(path('secret'), 'w') as out:
        out.write('a secret of the grants\n')
    secrets.add('a secret of the grants')
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path('ec')], check=True, capture_output=True)
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', path('rsa')], check=True, capture_output=True)
    for n in ('ec', 'rsa'):
        subprocess.run(['openssl', 'pkey', '-in', path(n), '-pubout', '-out', path(n + '.pub')], check=True, capture_output=True)
        secrets.add(*[line for line in open(path(n)).read().splitlines() if len(line) == 64])
    options = [x for c in (f"svc-secret:{path('secret')}", f"svc-ec:{path('ec.pub')}", f"svc-rsa:{path('rsa.pub')}") for x in ('--client', c)]
    return {'basic': path('secret'), 'post': path('secret'), 'es256': path('ec'), 'rsa': path('rsa')}, options


def personality(name, preset, cause, more):
    """The provider's own preset, with nothing but the addresses changed: mail goes out, and a revoked consent is told in its words."""
    with Sandbox('--account', 'billing@example.test', '--personality', name) as s:
        a = s.account('billing@example.test', provider=preset, **more(s))
        del a['scopes'], a['auth']
        f = Frank('faults-' + name, {'a': a})
        check(f'{name}: frankd starts', f.start(), f.log()[-800:])
        p, url = f.begin_authorize('a')
        browse(sign_in(s, url, 'billing@example.test'))
        out, err = p.communicate(timeout=30)
        check(f'{name}: authorized with the scopes of the preset', p.returncode == 0, out + err)
        f.send('billing@example.test', 'you@example.org', 'hello')
        check(f'{name}: a message goes out', wait_for(lambda: s.inbox('you@example.org'), 20, 0.2), f.shown())
        check(f'{name}: by its own EHLO', any(('outlook' if name == 'microsoft365' else 'gmail') in line['text'] for line in records(s)[0]['lines']), records(s)[:1])
        f.send('other@example.test', 'them@example.org', 'alias')
        if name == 'microsoft365':
            check(f'{name}: a sender without Send As comes back', wait_for(lambda: any('SendAsDenied' in m for m in s.inbox('other@example.test')) or not [m for m in f.queue() if m.get('subject') == 'alias'], 20, 0.2) and not s.inbox('them@example.org'), f.shown())
        if name == 'microsoft365':
            four_sessions(s)
        s.admin('revoke', account='billing@example.test')
        f.stop()
        f.start()
        f.send('billing@example.test', 'you@example.org', 'again')
        check(f'{name}: a revoked consent: {cause}', wait_for(lambda: f.account('a').get('credential', {}).get('cause') in cause, 20, 0.3) and f.account('a').get('state') == 'needs-authorization', f.account('a'))
        f.stop()


def four_sessions(s):
    """Microsoft lets three sessions of a mailbox send at a time."""
    import smtplib
    ctx, open_ones, codes = ssl.create_default_context(cafile=s.ready['ca']), [], []
    for _ in range(4):
        c = smtplib.SMTP('localhost', s.ready['submission_port'], timeout=20)
        open_ones.append(c)
        c.starttls(context=ctx)
        c.login('billing@example.test', s.password('billing@example.test'))
        try:
            c.sendmail('billing@example.test', ['three@example.org'], 'Subject: x\n\nx\n')
            codes.append(250)
        except smtplib.SMTPResponseException as e:
            codes.append(e.smtp_code)
    for c in open_ones:
        c.close()
    # frankd may have one open as well
    check('microsoft365: the fourth session that sends at a time gets 432', codes[:2] == [250, 250] and codes[3] == 432, codes)


def clients(s):
    """Programs that know nothing of Frank: Python's smtplib, swaks, nodemailer."""
    tok = s.tool('token', 'code', 'billing@example.test')[1]
    secrets.add(tok['access_token'], tok['refresh_token'])
    import smtplib
    ctx = ssl.create_default_context(cafile=s.ready['ca'])
    with smtplib.SMTP('localhost', s.ready['submission_port'], timeout=20) as c:
        c.starttls(context=ctx)
        c.ehlo()
        c.auth('XOAUTH2', lambda challenge=None: f"user=billing@example.test\1auth=Bearer {tok['access_token']}\1\1")
        c.sendmail('billing@example.test', ['smtplib@example.org'], 'Subject: smtplib\n\nHello\n')
    got = [r for r in records(s) if r['envelope']['recipients'] == ['smtplib@example.org']]
    check('smtplib with XOAUTH2', s.inbox('smtplib@example.org') and got[0]['auth']['mechanism'] == 'XOAUTH2', got)
    check('its record has no token', got and tok['access_token'] not in json.dumps(got) and got[0]['auth']['token']['scopes'] and 'AUTH XOAUTH2 ***' in [x['text'] for x in got[0]['lines']], got)
    if shutil.which('swaks'):
        r = subprocess.run(['swaks', '--server', 'localhost', '--port', str(s.ready['submission_port']), '--tls', '--auth', 'LOGIN', '--auth-user', 'billing@example.test',
                            '--auth-password', s.password('billing@example.test'), '--from', 'billing@example.test', '--to', 'swaks@example.org'], capture_output=True, text=True, timeout=60)
        check('swaks', r.returncode == 0 and len(s.inbox('swaks@example.org')) == 1, r.stdout[-800:])
    nodemailer(s, tok)


def nodemailer(s, tok):
    """Its OAuth2 transport refreshes by itself."""
    npm = os.environ.get('GROUND_NPM') or os.path.join(os.environ.get('GROUND', '/tmp/ground'), 'npm')
    script = """
const nodemailer = require('nodemailer');
const o = JSON.parse(require('fs').readFileSync(0));
const t = nodemailer.createTransport({ host: 'localhost', port: o.port, secure: true, tls: { ca: o.ca },
  auth: { type: 'OAuth2', user: 'billing@example.test', clientId: o.client, clientSecret: 'none', refreshToken: o.refresh, accessUrl: o.issuer + '/token' } });
t.sendMail({ from: 'billing@example.test', to: 'nodemailer@example.org', subject: 'nodemailer', text: 'Hello' })
  .then(r => console.log('sent', r.response), e => { console.log('failed', e.message); process.exit(1); });
"""
    with open(os.path.join(npm, 'sandbox-client.cjs') if os.access(npm, os.W_OK) else '/dev/null', 'w') as out:
        out.write(script)
    env = dict(os.environ, NODE_EXTRA_CA_CERTS=s.ready['ca'])
    r = subprocess.run(['bash', '-c', f'. "{GROUND_HOME}/lib/node.sh"; exec node "$NPM/sandbox-client.cjs"'], env=env, capture_output=True, text=True, timeout=60,
                       input=json.dumps(dict(port=s.ready['submissions_port'], ca=open(s.ready['ca']).read(), client=CLIENT, refresh=tok['refresh_token'], issuer=s.ready['issuer'])))
    check('nodemailer with OAuth2', r.returncode == 0 and len(s.inbox('nodemailer@example.org')) == 1, r.stdout + r.stderr[-800:])


def container(folder):
    """Options from the environment; a restart keeps the CA, the accounts and the mail."""
    env = dict(clean_env(), FRANK_SANDBOX_DIR=folder + '/stay', FRANK_SANDBOX_LISTEN='127.0.0.1', FRANK_SANDBOX_HOST='localhost', FRANK_SANDBOX_ACCOUNT='a@example.test b@example.test',
               FRANK_SANDBOX_SUBMISSION_PORT=str(free_port()), FRANK_SANDBOX_FAULT='{"fault":"no-such-user","recipient":"gone@*"}', FRANK_SANDBOX_QUIET='yes')
    seen = []
    for _ in range(2):
        p = subprocess.Popen([program('frank-sandbox')], env=env, stdout=subprocess.PIPE, text=True)
        try:
            p.stdout.readline()
            ready = json.load(open(folder + '/stay/ready.json'))
            secrets.add(open(folder + '/stay/a@example.test.password').read().strip())
            import smtplib
            with smtplib.SMTP('localhost', ready['submission_port'], timeout=20) as c:
                c.starttls(context=ssl.create_default_context(cafile=ready['ca']))
                c.login('a@example.test', open(folder + '/stay/a@example.test.password').read().strip())
                refused = c.sendmail('a@example.test', ['kept@example.org', 'gone@example.org'], 'Subject: x\n\nx\n')
            seen.append((ready['submission_port'], open(ready['ca']).read(), open(folder + '/stay/a@example.test.password').read(), ready['accounts'], list(refused)))
        finally:
            p.terminate()
            check('SIGTERM ends it with 0', p.wait(10) == 0)
            p.stdout.close()
    check('a restart keeps port, CA and accounts', len(seen) == 2 and seen[0] == seen[1] and seen[0][0] == int(env['FRANK_SANDBOX_SUBMISSION_PORT']) and len(seen[0][3]) == 2, seen)
    check('and the mail', len(glob.glob(folder + '/stay/mail/kept@example.org/Maildir/new/*')) == 2)
    check('a fault of the environment is played', seen and seen[0][4] == ['gone@example.org'], seen)
    with Sandbox('--faults', TOP + '/contrib/examples/sandbox/faults.json') as s:
        check('the example of rules is one', [r.get('fault') for r in faults(s, 'GET').get('faults', ())] == ['greylist', 'no-such-user', 'rate-limit'], s.line)
    r = subprocess.run([program('frank-sandbox')], env=dict(env, FRANK_SANDBOX_PROT='sesame'), capture_output=True, text=True)
    check('a variable that means nothing is refused by its name', r.returncode == 64 and 'FRANK_SANDBOX_PROT names no option' in r.stderr, r.stderr)
    check('and its value, which may be a secret, stays unsaid', 'sesame' not in r.stderr, r.stderr)


def run(ground, options):
    with Sandbox() as s:
        names = json.loads(http(s.ready['issuer'] + '/admin/faults/names', headers={'Authorization': 'Bearer ' + open(s.dir + '/admin.key').read().strip()}, cafile=s.ready['ca'])[1])['names']
    rows = manual()
    check('the manual has each fault that there is, and no other', sorted(rows) == sorted(n['fault'] for n in names),
          sorted(set(rows) ^ {n['fault'] for n in names}))
    folder = tempfile.mkdtemp(prefix='faults-', dir=harness_dir())
    keys, clients_of = client_keys(folder)
    with Sandbox('--account', 'billing@example.test', *clients_of, *[x for n in ('grey', 'twice', 'rated', 'late', 'doubt') for x in ('--account', f'{n}@example.test')]) as s:
        grants(s, keys)
        clients(s)
        over_and_done(s)
    personality('microsoft365', 'microsoft365', ('grant-revoked',), lambda s: {'tenant': 'example.test', 'authorization-endpoint': s.ready['issuer'] + '/authorize', 'token-endpoint': s.ready['issuer'] + '/token'})
    personality('google', 'google', ('grant-revoked', 'grant-expired', 'grant-revoked-or-expired'), lambda s: {'authorization-endpoint': s.ready['issuer'] + '/authorize', 'token-endpoint': s.ready['issuer'] + '/token', 'client-auth': 'none',
                                                                 'userinfo-endpoint': s.ready['issuer'] + '/userinfo', 'revocation-endpoint': s.ready['issuer'] + '/revoke'})
    container(folder)
    by_server(rows, names)
    by_account(rows, names)
