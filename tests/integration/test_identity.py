# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Who signed in, by whom, with what right: ID tokens, metadata and token answers as providers really give them, at a double that can say anything."""
import base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import *

MAILBOX = 'billing@example.test'


class Provider:
    """An authorization server over TLS whose every answer can be set."""

    def __init__(self, host='localhost', port=0, certificate=None, key=None):
        self.document, self.claims, self.answer, self.userinfo, self.asked = {}, {}, {}, None, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Type', 'application/json')
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                if self.path.startswith('/.well-known/'):
                    return self.reply(200, {'issuer': outer.base, 'authorization_endpoint': outer.base + '/authorize', 'token_endpoint': outer.base + '/token', **outer.document})
                if self.path == '/userinfo' and outer.userinfo is not None:
                    return self.reply(200, outer.userinfo)
                return self.reply(404, {'error': 'not_found'})

            def do_POST(self):
                form = urllib.parse.parse_qs(self.rfile.read(int(self.headers['Content-Length'])).decode())
                outer.asked.append(form)
                answer = {'access_token': f'at-{len(outer.asked)}-{time.time_ns():x}', 'token_type': 'Bearer', 'refresh_token': f'rt-{len(outer.asked)}-{time.time_ns():x}',
                          'expires_in': 3600, 'id_token': outer.id_token(), **outer.answer}
                secrets.add(answer['access_token'], answer['refresh_token'])
                self.reply(200, {k: v for k, v in answer.items() if v is not None})

            def log_message(self, *a):
                pass
        self.server = ThreadingHTTPServer(('127.0.0.1', port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate or os.environ['GROUND_TLS_CERT'], key or os.environ['GROUND_TLS_KEY'])
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.base = f'https://{host}' + (f':{self.server.server_address[1]}' if port != 443 else '')
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def id_token(self):
        if self.claims is None:
            return None
        claims = {'iss': self.base, 'aud': 'client-1', 'sub': 'AAAAabc', 'exp': int(time.time()) + 600, 'nonce': self.nonce, **self.claims}
        part = [base64.urlsafe_b64encode(json.dumps(x).encode()).rstrip(b'=').decode() for x in ({'alg': 'none'}, {k: v for k, v in claims.items() if v is not None})]
        return '.'.join(part + ['c2ln'])

    def set(self, claims={}, answer={}, document={}, userinfo=None):
        self.claims, self.answer, self.document, self.userinfo = claims, answer, document, userinfo

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def account(provider, ground, **more):
    return {'provider': 'generic', 'mailbox': MAILBOX, 'client-id': 'client-1', 'grant': 'authorization-code', 'issuer': provider.base, 'scopes': ['openid', 'email', 'https://mail.example.test/Mail.Send'],
            'submit': f'localhost:{ground.starttls}', 'ca-file': ground.ca, **more}


def sign_in(f, provider, name='a'):
    """(exit status, all that was said)."""
    p, url = f.begin_authorize(name)
    if not url:
        out, err = p.communicate(timeout=60)
        return p.returncode, out + err
    q = {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).items()}
    provider.nonce = q.get('nonce')
    secrets.add(q.get('nonce', ''))
    browse(f"{q['redirect_uri']}?" + urllib.parse.urlencode(dict(code='c-1', state=q['state'])))
    out, err = p.communicate(timeout=60)
    return p.returncode, out + err


GOOD = {'email': MAILBOX}


def run(ground, options):
    provider = Provider()
    accounts = {'a': account(provider, ground), 'delegate': account(provider, ground, **{'auth-user': 'AAAAabc'}), 'gmail': account(provider, ground, mailbox='First.Last+x@gmail.com'),
                'endpoints': account(provider, ground, issuer=None, **{'authorization-endpoint': provider.base + '/authorize', 'token-endpoint': provider.base + '/token'}),
                'slash': account(provider, ground, issuer=provider.base + '/')}
    f = Frank('identity', accounts)
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    try:
        who(f, provider)
        tokens(f, provider)
        metadata(f, provider)
        rights(f, provider)
        lives(f, provider, ground)
    finally:
        f.stop()
        provider.stop()
    microsoft()


def who(f, provider):
    rows = [
        ('email', 'a', GOOD, 0, 'Signed in as ' + MAILBOX),
        ('unique_name', 'a', {'unique_name': MAILBOX}, 0, 'Signed in'),
        ('upn', 'a', {'upn': MAILBOX.upper()}, 0, 'Signed in'),
        ('a list of emails', 'a', {'emails': ['x@example.test', MAILBOX]}, 0, 'Signed in'),
        ('dots and plus of Gmail', 'gmail', {'email': 'firstlast@googlemail.com', 'email_verified': True}, 0, 'Signed in'),
        ('sub alone', 'a', {}, 78, 'an identifier (sub) and no address'),
        ('sub as auth-user', 'delegate', {}, 78, 'an identifier (sub) and no address'),
        ('somebody else', 'a', {'email': 'mallory@example.test'}, 77, 'mallory@example.test signed in'),
        ('an address that is not verified', 'a', {**GOOD, 'email_verified': False}, 77, 'email_verified is false'),
        ('the same as a text, and as a user name', 'a', {**GOOD, 'email_verified': 'false', 'preferred_username': MAILBOX}, 77, 'email_verified is false'),
        ('a user name beside another address', 'a', {'email': 'mallory@example.test', 'preferred_username': MAILBOX}, 77, 'does not prove'),
    ]
    for name, account_, claims, rc, words in rows:
        provider.set(claims)
        got, said = sign_in(f, provider, account_)
        check('who: ' + name, got == rc and words in said and 'verify-identity' not in said, (got, said))
    check('who: what was refused was not stored', f.account('delegate').get('state') == 'needs-authorization', f.account('delegate'))
    provider.set({}, userinfo={'sub': 'AAAAabc', **GOOD}, document={'userinfo_endpoint': provider.base + '/userinfo'})
    f.frank('reload')
    got, said = sign_in(f, provider)
    check('who: the userinfo endpoint tells where the ID token does not', got == 0, (got, said))
    provider.set({'email': 'mallory@example.test'}, userinfo={'sub': 'AAAAabc'}, document={'userinfo_endpoint': provider.base + '/userinfo'})
    got, said = sign_in(f, provider)
    check('who: where that tells no more, what the ID token said counts', got == 77 and 'mallory@example.test signed in' in said, (got, said))
    provider.set({'email': 'mallory@example.test'}, document={'userinfo_endpoint': provider.base + '/userinfo'})
    got, said = sign_in(f, provider)
    check('who: and where it does not answer', got == 77 and 'mallory@example.test signed in' in said, (got, said))
    provider.set({}, userinfo={'sub': 'other', **GOOD}, document={'userinfo_endpoint': provider.base + '/userinfo'})
    got, said = sign_in(f, provider)
    check('who: and must speak of the same person', got == 76 and 'another person' in said, (got, said))
    f.frank('reload')


def tokens(f, provider):
    rows = [
        ('another issuer', 'a', {'iss': 'https://evil.example'}, 'iss is https://evil.example'),
        ('another issuer where none is configured', 'endpoints', {'iss': 'https://evil.example'}, 'iss is https://evil.example'),
        ('no issuer', 'a', {'iss': None}, '(iss)'),
        ('another client', 'a', {'aud': 'client-2'}, 'aud is client-2'),
        ('another party', 'a', {'azp': 'client-2'}, 'azp is client-2'),
        ('several clients and no party', 'a', {'aud': ['client-1', 'client-2']}, 'azp is absent'),
        ('another nonce', 'a', {'nonce': 'n'}, 'nonce'),
        ('no nonce', 'a', {'nonce': None}, 'nonce'),
        ('over', 'a', {'exp': int(time.time()) - 4000}, '(exp)'),
    ]
    for name, account_, claims, words in rows:
        provider.set({**GOOD, **claims})
        got, said = sign_in(f, provider, account_)
        check('ID token: ' + name, got == 76 and words in said, (got, said))
    provider.set(GOOD)
    got, said = sign_in(f, provider, 'endpoints')
    check('ID token: one from the host of the endpoints needs no issuer', got == 0, (got, said))
    provider.set(GOOD, {'id_token': 'a.b.c.d.e'})
    got, said = sign_in(f, provider)
    check('ID token: one that is encrypted', got == 78 and 'encrypted' in said, (got, said))


def metadata(f, provider):
    provider.set(GOOD)
    f.frank('reload')
    got, said = sign_in(f, provider, 'slash')
    check('metadata: an issuer that differs by a slash is the same server', got == 0, (got, said))
    provider.set({**GOOD, 'iss': provider.base + '/'})
    got, said = sign_in(f, provider)
    check('metadata: in the ID token too', got == 0, (got, said))
    for name, document, words in (
            ('another issuer', {'issuer': provider.base + '/tenant'}, ('/tenant', provider.base, 'Correct issuer')),
            ('an endpoint without TLS on this machine', {'token_endpoint': 'http://127.0.0.1:1/token'}, ('not https', 'http://127.0.0.1:1/token')),
            ('a page to sign in without TLS', {'authorization_endpoint': 'http://localhost:1/authorize'}, ('not https',)),
            ('no token endpoint', {'token_endpoint': None}, ('no token endpoint',))):
        provider.set(GOOD, document=document)
        f.frank('reload')
        got, said = sign_in(f, provider)
        check('metadata: ' + name, got == 78 and all(w in said for w in words) and 'Try again' not in said, (got, said))
    provider.set(GOOD)
    f.frank('reload')


def rights(f, provider):
    for scope, rc in (('Mail.Send', 0), ('mail.send openid', 0), ('https://mail.example.test//MAIL.SEND', 0), ('openid,Mail.Send', 0), (None, 0), ('Mail.Send.Shared', 77), ('openid email', 77),
                      ('https://other.example.test/Mail.Send', 77)):
        provider.set(GOOD, {'scope': scope})
        got, said = sign_in(f, provider)
        check(f'rights: {scope} for .../Mail.Send', got == rc and (rc == 0 or 'was not granted, but ' + scope in said) and 'more than was asked' not in said, (got, said))


def lives(f, provider, ground):
    """expires_on, and what a refresh brings."""
    now = int(time.time())
    for name, life in (('a number', now + 7200), ('a text', str(now + 7200))):
        provider.set(GOOD, {'expires_in': None, 'expires_on': life})
        got, said = sign_in(f, provider)
        check(f'lives: expires_on as {name}', got == 0 and re.search(r'ends in (11\d min|1 h|2 h)', said), (got, said))
    provider.set(GOOD, {'expires_in': '3', 'scope': 'Mail.Send'})
    got, said = sign_in(f, provider)
    n = len(provider.asked)
    check('lives: expires_in as a text', got == 0, (got, said))

    def later():
        r = f.frank('token', 'a', '--min-valid', '2')
        secrets.add(r.stdout.strip())
        return len(provider.asked) > n and r
    r = wait_for(later, 20, 0.5)
    check('lives: a refresh that grants the short form is good', r and r.returncode == 0 and f.account('a').get('state') == 'active', (r, f.account('a')))
    provider.set(GOOD, {'expires_in': 3, 'scope': 'openid'})
    state = wait_for(lambda: f.frank('token', 'a', '--rejected').returncode != 0 and f.account('a').get('state') != 'active' and f.account('a'), 60, 1)
    check('lives: one that grants less is not used', state and 'Mail.Send' in json.dumps(state), (state, f.account('a')))


OURS, FOREIGN, CONSUMERS = '11111111-2222-4333-8444-555555555555', '66666666-7777-4888-8999-aaaaaaaaaaaa', '9188040d-6c67-4c5b-b112-36a304b66dad'


def of(tenant, issuer=None, **claims):
    return {'iss': f'https://login.microsoftonline.com/{issuer or tenant}/v2.0', 'tid': tenant, **claims}


MICROSOFT = [
    # name, account, claims, status, what is said
    ('the mailbox\'s own sign-in name', 'common', of(FOREIGN, preferred_username=MAILBOX), 0, 'Signed in'),
    ('an address that a foreign tenant wrote', 'common', of(FOREIGN, email=MAILBOX, preferred_username='mallory@evil.test'), 77, 'does not prove'),
    ('that, and nothing else', 'common', of(FOREIGN, email=MAILBOX), 77, 'Set tenant'),
    ('one that the tenant has proved', 'common', of(FOREIGN, email=MAILBOX, xms_edov=True), 0, 'Signed in'),
    ('a personal account', 'common', of(CONSUMERS, email=MAILBOX), 0, 'Signed in'),
    ('an issuer of another tenant than the token\'s', 'common', of(OURS, FOREIGN, preferred_username=MAILBOX), 76, '(tid)'),
    ('an issuer that is no tenant', 'common', of(OURS, 'common', preferred_username=MAILBOX), 76, 'iss is'),
    ('an issuer elsewhere', 'common', {**of(OURS, preferred_username=MAILBOX), 'iss': f'https://evil.test/{OURS}/v2.0'}, 76, 'iss is https://evil.test'),
    ('the address in the organisation that the account names', 'ours', of(OURS, email=MAILBOX, preferred_username='b@corp.test'), 0, 'Signed in'),
    ('a guest of it', 'ours', of(OURS, email=MAILBOX, idp=f'https://sts.windows.net/{FOREIGN}/'), 77, 'does not prove'),
    ('another organisation', 'ours', of(FOREIGN, preferred_username=MAILBOX), 76, 'Sign in with an account of the organisation'),
    ('an organisation that is named by its domain', 'domain', of(OURS, email=MAILBOX), 0, 'Signed in'),
    ('a personal account where those are meant', 'outlook', of(CONSUMERS, email=MAILBOX), 0, 'Signed in'),
    ('another where personal ones are meant', 'outlook', of(OURS, preferred_username=MAILBOX), 76, 'iss is'),
]


def microsoft():
    """The presets of Microsoft as they are, with a network of their own in which its login host is ours."""
    if os.geteuid() != 0 or subprocess.run(['unshare', '-n', '-m', 'true'], capture_output=True).returncode != 0:
        return check.needs_root('microsoft', 'wants root and namespaces of its own')
    f = Frank('microsoft', {n: {'provider': p, 'mailbox': MAILBOX, 'client-id': 'client-1', 'grant': 'authorization-code', 'ca-file': '@/ca.pem', **t}
                            for n, p, t in (('common', 'microsoft365', {}), ('ours', 'microsoft365', {'tenant': OURS}), ('domain', 'microsoft365', {'tenant': 'example.test'}), ('outlook', 'outlook', {}))})
    for a in f.accounts.values():
        a['ca-file'] = f.path('ca.pem')
    f.write_conf()
    with open(f.path('hosts'), 'w') as out:
        out.write('127.0.0.1 localhost login.microsoftonline.com\n')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=login.microsoftonline.com', '-addext', 'subjectAltName=DNS:login.microsoftonline.com',
                    '-keyout', f.path('key.pem'), '-out', f.path('ca.pem')], check=True, capture_output=True)
    r = subprocess.run(['unshare', '-n', '-m', 'sh', '-c', f'mount --bind {f.path("hosts")} /etc/hosts && exec python3 "$@"', 'sh', os.path.join(HERE, 'login.py'), f.dir], capture_output=True, text=True,
                       env=dict(f.env, FRANK_BUILD=build_dir(), PYTHONDONTWRITEBYTECODE='1'), timeout=300)
    seen = {c['name']: c for c in (json.loads(line) for line in r.stdout.splitlines() if line.startswith('{'))}
    for name, _, _, rc, words in MICROSOFT:
        c = seen.get(name, {})
        check('microsoft: ' + name, c.get('rc') == rc and words in c.get('said', ''), c or (r.stderr[-600:], f.log()[-600:]))
