# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""frank-sandbox alone and under Frank: honest about tokens, and the whole path without any other server."""
from harness import *


class Sandbox:
    """One private frank-sandbox."""

    def __init__(self, *args):
        import harness
        self.dir = tempfile.mkdtemp(prefix='sandbox-', dir=harness.RUN_DIR)
        self.log = open(os.path.join(self.dir, '..', os.path.basename(self.dir) + '.log'), 'ab')
        self.p = subprocess.Popen([program('frank-sandbox'), '--dir', self.dir, '--client', CLIENT, *args], env=clean_env(), stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.line = self.p.stdout.readline()
        self.ready = json.load(open(self.dir + '/ready.json')) if self.line else {}

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.p.terminate()
        self.status = self.p.wait(10)
        self.p.stdout.close()
        self.log.close()

    def password(self, address):
        text = open(f'{self.dir}/{address}.password').read().strip()
        secrets.add(text)
        return text

    def admin(self, path, **form):
        key = open(self.dir + '/admin.key').read().strip()
        s, t = http(f"{self.ready['issuer']}/admin/{path}", urllib.parse.urlencode(form).encode() if path != 'stats' else None,
                    {'Authorization': 'Bearer ' + key}, self.ready['ca'])
        return json.loads(t) if s == 200 else dict(error=(s, t))

    def account(self, mailbox_, mechanism='XOAUTH2', tls='starttls', **more):
        port = self.ready['submission_port' if tls == 'starttls' else 'submissions_port']
        return {'provider': 'generic', 'mailbox': mailbox_, 'client-id': CLIENT, 'grant': 'authorization-code', 'issuer': self.ready['issuer'],
                'scopes': SCOPES, 'submit': f'localhost:{port}', 'tls': tls, 'auth': [mechanism], 'ca-file': self.ready['ca'], **more}

    def tool(self, name, *args):
        """tests/ground's reference client and token getter, pointed at the sandbox."""
        env = dict(os.environ, GROUND_CA=self.ready['ca'], GROUND_ISSUER=self.ready['issuer'], GROUND_SUBMISSION_PORT=str(self.ready['submission_port']),
                   GROUND_SUBMISSIONS_PORT=str(self.ready['submissions_port']), GROUND_PASSWORD=self.password('billing@example.test'))
        r = subprocess.run([f'{GROUND_HOME}/{name}', *args], env=env, capture_output=True, text=True, timeout=60)
        try:
            return r.returncode, json.loads(r.stdout)
        except ValueError:
            return r.returncode, r.stdout + r.stderr

    def inbox(self, address):
        return [open(f, errors='replace').read() for f in sorted(glob.glob(f"{self.ready['mail']}/{address}/Maildir/new/*"))]


def run(ground, options):
    with Sandbox('--account', 'billing@example.test', '--account', 'alerts@example.test') as s:
        if not check('starts and says where', 'ready' in s.line and s.ready.get('issuer', '').startswith('https://localhost:'), s.line):
            return
        again = subprocess.run([program('frank-sandbox'), '--dir', s.dir], env=clean_env(), capture_output=True, text=True, timeout=30)
        check('a second one in the same folder says so, and leaves the first alone', again.returncode == 64 and 'is in use by another' in again.stderr and
              all(os.path.exists(f'{s.dir}/{f}') for f in ('ready.json', 'admin.key')), again.stderr)
        again = subprocess.run([program('frank-sandbox')], env={**clean_env(), 'FRANK_SANDBOX_NOTHING': 'secret'}, capture_output=True, text=True, timeout=30)
        check('a variable that names no option is an error, and it says so', again.returncode == 64 and 'FRANK_SANDBOX_NOTHING names no option' in again.stderr and 'secret' not in again.stderr, again.stderr)
        provider(s)
        submission(s)
        files(s)
    check('SIGTERM ends it with 0, and ready.json is gone', s.status == 0 and not os.path.exists(s.dir + '/ready.json'), s.status)
    with Sandbox('--account', 'billing@example.test') as s:
        under_frank(s)


def provider(s):
    issuer, ca = s.ready['issuer'], s.ready['ca']
    s1, d1 = http(issuer + '/.well-known/openid-configuration', cafile=ca)
    s2, d2 = http(issuer + '/.well-known/oauth-authorization-server', cafile=ca)
    check('discovery, both kinds', s1 == s2 == 200 and json.loads(d1) == json.loads(d2) and json.loads(d1)['issuer'] == issuer, (d1, d2))
    q = dict(client_id=CLIENT, response_type='code', redirect_uri='http://127.0.0.1:9/cb', scope='mail.send', state='s t', code_challenge='E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
             code_challenge_method='S256')
    get = lambda **k: location(issuer, ca, {**q, **k})
    check('an unknown client is not sent anywhere', get(client_id='nobody') == (400, None), get(client_id='nobody'))
    check('nor is a foreign redirect address used', get(redirect_uri='https://evil.example/cb')[0] == 400 and get(redirect_uri='http://127.0.0.1.evil.example/')[0] == 400)
    for name, change, error in (('PKCE is required', dict(code_challenge=''), 'invalid_request'), ('plain PKCE is refused', dict(code_challenge_method='plain'), 'invalid_request'),
                                ('unknown scopes are refused', dict(scope='mail.send root'), 'invalid_scope'), ('only codes are given', dict(response_type='token'), 'unsupported_response_type')):
        st, to = get(**change)
        a = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(to or '').query))
        check(name + ', with state and iss', st == 303 and a.get('error') == error and a.get('state') == 's t' and a.get('iss') == issuer, (st, to))
    r = s.tool('token', 'code', 'alerts@example.test'); check('a wrong password is refused', r[0] != 0, r)
    r = s.tool('token', 'code', 'billing@example.test'); check('code + PKCE', r[0] == 0 and r[1].get('refresh_token'), r)
    t = r[1]; secrets.add(*[v for v in t.values() if isinstance(v, str)])
    part = t['id_token'].split('.')[1]; claims = json.loads(__import__('base64').urlsafe_b64decode(part + '=' * (-len(part) % 4)))
    check('the ID token names issuer, client and mailbox', claims['iss'] == issuer and claims['aud'] == CLIENT and claims['email'] == 'billing@example.test', claims)
    st, text = http(issuer + '/userinfo', headers={'Authorization': 'Bearer ' + t['access_token']}, cafile=ca); check('userinfo', st == 200 and json.loads(text)['email'] == 'billing@example.test', text)
    st, _ = http(issuer + '/userinfo', headers={'Authorization': 'Bearer nope'}, cafile=ca); check('userinfo wants a token', st == 401, st)
    a = s.tool('token', 'refresh', t['refresh_token']); check('refresh rotates', a[0] == 0 and a[1]['refresh_token'] != t['refresh_token'], a)
    b = s.tool('token', 'refresh', t['refresh_token']); check('reuse is refused', b[0] != 0 and b[1].get('error') == 'invalid_grant', b)
    c = s.tool('token', 'refresh', a[1]['refresh_token']); check('and ends the whole family', c[0] != 0 and s.admin('stats')['reuse_detected'] == 1, c)
    check('the admin port wants its key', http(issuer + '/admin/stats', cafile=ca)[0] == 401)


def location(issuer, ca, q):
    ctx = ssl.create_default_context(cafile=ca)
    u = urllib.parse.urlsplit(issuer)
    import http.client
    c = http.client.HTTPSConnection(u.hostname, u.port, context=ctx, timeout=10)
    c.request('GET', '/authorize?' + urllib.parse.urlencode({k: v for k, v in q.items() if v}))
    r = c.getresponse()
    try:
        return r.status, r.getheader('location')
    finally:
        c.close()


def submission(s):
    tok = s.tool('token', 'code', 'billing@example.test')[1]
    secrets.add(tok['access_token'], tok['refresh_token'])
    for mech in ('xoauth2', 'oauthbearer', 'plain', 'login'):
        for tls in ('starttls', 'implicit'):
            to = f'{mech}-{tls}@example.test'
            r = s.tool('send', '--mech', mech, '--tls', tls, '--token', tok['access_token'], '--to', to, *([] if mech in ('plain', 'login') else []))
            got = s.inbox(to)
            check(f'{mech} over {tls}', r[0] == 0 and len(got) == 1 and f'X-Frank-Sandbox-Mechanism: {mech.upper()}\n' in got[0] and '\n.dot line\n' in got[0], (r, got))
    for name, args, want in (('a wrong token: challenge, then 535', ('--token', 'nope'), 535), ('OAUTHBEARER too', ('--mech', 'oauthbearer', '--token', 'nope'), 535),
                             ('another account\'s token', ('--user', 'alerts@example.test', '--token', tok['access_token']), 535), ('a wrong password', ('--mech', 'plain', '--password', 'nope'), 535)):
        r = s.tool('send', *args)
        check(name, r[0] != 0 and r[1]['auth'][0] == want and ('challenge' in r[1]) == ('plain' not in args), r)
    r = s.tool('send', '--token', tok['access_token'], '--from', 'alerts@example.test'); check('a sender that is not the account\'s: 553', r[1].get('mail', [0])[0] == 553, r)
    s.admin('set', access_token_life=1)
    short = s.tool('token', 'refresh', tok['refresh_token'])[1]
    s.admin('set', access_token_life=3600)
    time.sleep(2.1)
    r = s.tool('send', '--token', short['access_token']); check('an expired token: 535', r[1]['auth'][0] == 535, r)
    check('revocation by the provider', s.admin('revoke', account='billing@example.test').get('revoked') == 1)
    r = s.tool('send', '--token', tok['access_token']); check('a revoked consent: 535', r[1]['auth'][0] == 535, r)
    r = s.tool('token', 'refresh', short['refresh_token']); check('and no refresh any more', r[1].get('error') == 'invalid_grant', r)
    injection(s)
    flood(s)


def flood(s):
    """A client that asks and never reads: the sandbox keeps little for it, and goes on when it reads at last."""
    memory = lambda: int(re.search(r'VmRSS:\s+(\d+) kB', open(f'/proc/{s.p.pid}/status').read()).group(1))
    before, asked, most = memory(), 0, 40 * 1024 * 1024
    with socket.create_connection(('127.0.0.1', s.ready['submission_port']), timeout=10) as c:
        c.recv(1000)
        c.settimeout(2)
        line = b'NOOP\r\n' * 1000
        try:
            while asked < most:
                asked += c.send(line)
        except TimeoutError:
            pass
        check('a client that never reads is not read from any more', asked < most, asked)
        check('and costs little memory', memory() - before < 24 * 1024, (before, memory()))
        c.settimeout(30)
        asked -= asked % 6
        answers = 0
        try:
            while answers < asked // 6:
                answers += c.recv(65536).count(b'\n')
        except TimeoutError:
            pass
        check('every command is answered once it reads', answers >= asked // 6 - 1, (answers, asked // 6))


def injection(s):
    """What comes in clear behind STARTTLS must never be taken for the session inside TLS (CVE-2011-0411)."""
    with socket.create_connection(('127.0.0.1', s.ready['submission_port']), timeout=10) as c:
        c.recv(1000); c.sendall(b'EHLO x\r\n'); time.sleep(0.2); c.recv(4000)
        c.sendall(b'STARTTLS\r\nNOOP\r\n'); time.sleep(0.3)
        first = c.recv(1000)
    check('a command injected behind STARTTLS is refused, and TLS does not begin', first.startswith(b'554'), first)


def files(s):
    modes = {n: oct(os.stat(f'{s.dir}/{n}').st_mode & 0o777) for n in ('ca.key', 'admin.key', 'ready.json', 'billing@example.test.password')}
    check('its secrets are its owner\'s alone', set(modes.values()) == {'0o600'} and os.stat(s.dir).st_mode & 0o077 == 0, modes)


def under_frank(s):
    f = Frank('sandbox', {'a': s.account('billing@example.test')})
    if not check('under frank: frankd starts', f.start(), f.log()[-800:]):
        return
    s.admin('set', access_token_bytes=2048)  # as long as some big providers' tokens are
    p, url = f.begin_authorize('a')
    try:
        browse(sign_in(s, url, 'billing@example.test'))
    finally:
        try:
            out, err = p.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            p.kill(); out, err = p.communicate()
    check('under frank: authorized', p.returncode == 0, out + err)
    mark = marker('sandbox')
    check('under frank: sendmail exits 0', f.send('billing@example.test', 'inbox@example.test', mark) == 0)
    got = wait_for(lambda: [m for m in s.inbox('inbox@example.test') if mark in m], 20, 0.1)
    check('under frank: arrived by XOAUTH2, with a token of 2.7 KB', got and 'X-Frank-Sandbox-Mechanism: XOAUTH2' in got[0], f.shown() + f.log()[-800:])
    s.admin('revoke', account='billing@example.test')
    f.stop()  # a session that is open already outlives the consent, at a provider too
    check('under frank: starts again', f.start(), f.log()[-800:])
    mark = marker('revoked')
    f.send('billing@example.test', 'inbox@example.test', mark)
    held = wait_for(lambda: f.account('a').get('state') == 'needs-authorization', 20, 0.2)
    check('under frank: a revoked consent holds the account', held and len(f.queue()) == 1, (f.json('status'), f.queue()))
    p, url = f.begin_authorize('a')
    browse(sign_in(s, url, 'billing@example.test'))
    p.communicate(timeout=30)
    check('under frank: after a new consent the held message goes', wait_for(lambda: [m for m in s.inbox('inbox@example.test') if mark in m], 30, 0.2), f.shown() + f.log()[-800:])
    f.stop()


def sign_in(s, url, login):
    """Answers the sandbox's forms; returns the address of the redirect."""
    env = os.environ.get('GROUND_CA'), os.environ.get('GROUND_PASSWORD')
    os.environ.update(GROUND_CA=s.ready['ca'], GROUND_PASSWORD=s.password(login))
    try:
        loader = importlib.machinery.SourceFileLoader('sandbox_token', GROUND_HOME + '/token')
        module = importlib.util.module_from_spec(importlib.util.spec_from_loader('sandbox_token', loader))
        loader.exec_module(module)
        redirect = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)['redirect_uri'][0]
        to = module.walk(url, login, redirect)
    finally:
        os.environ.update({k: v for k, v in zip(('GROUND_CA', 'GROUND_PASSWORD'), env) if v})
    secrets.add(urllib.parse.parse_qs(urllib.parse.urlsplit(to).query).get('code', [''])[0])
    return to
