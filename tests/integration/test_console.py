# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""`frank console` over a real frankd: who gets in, what each may, and that the page's requests do what the command does."""
from http.client import HTTPConnection

from harness import *
from test_authorize import only_loopback

MAILBOX = 'billing@example.test'
USER, STRANGER = 64401, 64402


def run(ground, options):
    refuser = Fault('smtp', '--tls', 'none')
    relay = {'provider': 'generic', 'mailbox': MAILBOX, 'grant': 'none', 'submit': f'127.0.0.1:{free_port()}', 'tls': 'none'}
    f = Frank('console', {'a': oauth_account(ground), 'waits': relay},
              {'late': dict(socket=True, accounts=['waits'], senders=[MAILBOX], **{'socket-mode': '0666'}),
               'staging': dict(socket=True, accounts=['a'], senders=[MAILBOX], mode='capture', **{'socket-mode': '0666'}),
               'direct': dict(socket=True, accounts=['a'], senders=[MAILBOX], **{'socket-mode': '0666'}),
               'own': dict(users=[str(USER)], accounts=['a'], senders=[MAILBOX])})
    with open(f.conf_file, 'a') as c:
        c.write('notify { after = "1s" }\n')
    try:
        if check('frankd starts', f.start(), f.log()[-800:]):
            entrance(f)
            asks(f)
            queue(f)
            captured(f)
            authorize(ground, f)
            endings(f)
            others(f)
    finally:
        f.stop()
        refuser.stop()


class Console:
    """frank console --no-browser, and a browser's place in it."""

    def __init__(self, f, *args, user=None):
        words = ['setpriv', '--reuid', str(user), '--regid', str(user), '--clear-groups', '--'] if user else []
        self.p = subprocess.Popen([*words, program('frank'), 'console', '--no-browser', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=f.env)
        self.link = self.p.stdout.readline().strip()
        u = urllib.parse.urlsplit(self.link)
        self.port, self.path, self.cookie, self.guard = u.port, u.path, None, None
        secrets.add(u.path.rpartition('/')[2])

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()

    def stop(self):
        if self.p.poll() is None:
            self.p.terminate()
        self.err = self.p.communicate(timeout=20)[1]
        return self.p.returncode

    def ask(self, path, method='GET', body=None, headers={}, timeout=60):
        """(status, answer, headers)"""
        c = HTTPConnection('127.0.0.1', self.port, timeout=timeout)
        own = {k: v for k, v in (('Cookie', self.cookie), ('X-Frank-Guard', self.guard)) if v}
        c.request(method, path, None if body is None else json.dumps(body), {**own, **headers})
        r = c.getresponse()
        text = r.read().decode(errors='replace')
        c.close()
        try:
            text = json.loads(text)
        except ValueError:
            pass
        return r.status, text, r.headers

    def enter(self):
        status, _, headers = self.ask(self.path)
        self.cookie = headers.get('Set-Cookie', '').split(';')[0]
        secrets.add(self.cookie.partition('=')[2])
        self.me = self.ask('/api/console/session')[1]
        self.guard = self.me.get('token')
        return status

    def get(self, path):
        return self.ask('/api/console/' + path)[1]

    def post(self, path, body=None, **more):
        return self.ask('/api/console/' + path, 'POST', body, **more)[:2]


def entrance(f):
    with Console(f) as c:
        check('the address is alone on the first line, on loopback, with 128 bits and more', re.fullmatch(r'http://127\.0\.0\.1:\d+/enter/[\w-]{40,}', c.link), c.link)
        check('it listens on loopback alone', only_loopback(c.port), c.port)
        for path in ('/', '/inbox', '/web/console.js', '/api/console/session', '/api/console/status', '/api/console/events', '/api/v1/messages', '/api/events', '/livez'):
            check(f'without the cookie: {path} is refused', c.ask(path)[0] == 401, c.ask(path)[:2])
        check('a wrong secret is no entrance', c.ask('/enter/' + 'A' * 43)[0] == 404)
        check('a look ahead uses nothing up', c.ask(c.path, 'HEAD')[0] == 503 and c.ask(c.path, headers={'Sec-Purpose': 'prefetch;prerender'})[0] == 503)
        status, _, h = c.ask(c.path)
        cookie = h.get('Set-Cookie', '')
        check('the address gives a cookie, and leads to the page', status == 303 and h['Location'] == '/' and 'HttpOnly' in cookie and 'SameSite=Strict' in cookie and h['Referrer-Policy'] == 'no-referrer', (status, dict(h)))
        check('it is good for one use', c.ask(c.path)[0] == 410)
        c.cookie = cookie.split(';')[0]
        secrets.add(c.cookie.partition('=')[2])
        status, page, h = c.ask('/')
        check('the page', status == 200 and '<html' in page and "script-src 'self'" in h['Content-Security-Policy'] and h['X-Frame-Options'] == 'DENY', (status, dict(h)))
        check('no CORS header', not [k for k in h if k.lower().startswith('access-control')], dict(h))
        check('another cookie is none', c.ask('/', headers={'Cookie': c.cookie[:-1] + ('A' if c.cookie[-1] != 'A' else 'B')})[0] == 401)
        check('beside others it is found', c.ask('/', headers={'Cookie': f'x=y; {c.cookie}; z=1'})[0] == 200)
        check('another name (DNS rebinding)', c.ask('/', headers={'Host': f'evil.example:{c.port}'})[0] == 421)
        me = c.get('session')
        check('session', me['administrator'] is True and me['version'] and len(me['token']) >= 22, {k: v for k, v in me.items() if k != 'token'})
        for name, headers, want in (('no guard', {}, 403), ('a wrong guard', {'X-Frank-Guard': 'x' * 43}, 403),
                                    ('another origin', {'X-Frank-Guard': me['token'], 'Origin': 'http://evil.example'}, 403),
                                    ('another port', {'X-Frank-Guard': me['token'], 'Origin': f'http://127.0.0.1:{c.port + 1}'}, 403),
                                    ('another site', {'X-Frank-Guard': me['token'], 'Sec-Fetch-Site': 'cross-site'}, 403),
                                    ('the page', {'X-Frank-Guard': me['token'], 'Origin': f'http://127.0.0.1:{c.port}', 'Sec-Fetch-Site': 'same-origin'}, 200)):
            check(f'a change: {name}: {want}', c.post('accounts/waits/retry', headers=headers)[0] == want, c.post('accounts/waits/retry', headers=headers))
        r = f.frank('console', '--listen', '0.0.0.0:0', '--no-browser')
        check('an address that is not loopback is refused', r.returncode == 64 and 'loopback' in r.stderr, r)


def asks(f):
    with Console(f) as c:
        c.enter()
        check('status is that of the command', c.get('status')['accounts'] == f.json('status')['accounts'], c.get('status'))
        check('services too', [s['service'] for s in c.get('services')['services']] == ['late', 'staging', 'direct', 'own'], c.get('services'))
        figures = wait_for(lambda: (lambda x: x if x['samples'] else None)(c.get('figures')), 30)
        spec = c.get('openapi.json')
        paths = {p: set(m) & {'get', 'post', 'delete'} for p, m in spec['paths'].items()}
        absent = [(p, m) for p, ms in paths.items() for m in ms
                  if c.ask(re.sub(r'{\w+}', 'retry', p), 'PATCH' if m else '')[0] == 404 or m.upper() not in c.ask(re.sub(r'{\w+}', 'retry', p), 'OPTIONS')[2].get('Allow', '')]
        check('each address of its description is there, with its methods', len(paths) > 12 and not absent, absent)
        check('figures', figures and figures['interval'] == 10 and {'time', 'accepted', 'queued'} <= set(figures['samples'][0]), figures)
        s, r = c.ask('/api/console/queue/1')[:2]
        check('no such message: 404 with the error of the command', s == 404 and 'no such message' in r['error'], (s, r))
        for path in ('queue/--all/delete', 'queue/-h/retry', 'accounts/--help/hold'):
            s, r = c.post(path)
            check(f'{path}: a name is never an option', s in (400, 404, 409) and 'error' in r, (s, r))
        check('an action that there is not', c.post('queue/x/explode')[0] == 404 and c.post('accounts/a/delete')[0] == 404)
        s, r = c.post('accounts/waits/check')
        check('a check gives its verdict', s == 200 and r['account'] == 'waits' and r.get('verdict', r), (s, r))
        check('and is kept', [x['account'] for x in c.get('checks')['checks']] == ['waits'], c.get('checks'))


def handed_in(f, service, to, text='x\n'):
    env = dict(f.env, FRANK_SUBMIT_SOCKET=f.path(f'run/services/{service}/submit.sock'))
    return subprocess.run([program('sendmail'), '-i', '-f', MAILBOX, to], input=f'From: {MAILBOX}\nTo: {to}\nSubject: {service}\n\n{text}'.encode(), env=env, timeout=60).returncode


class Stream(threading.Thread):
    """Server-Sent Events as they come: [(type, id, data)]."""

    def __init__(self, c, path, **headers):
        super().__init__(daemon=True)
        self.c, self.got = HTTPConnection('127.0.0.1', c.port, timeout=60), []
        self.c.request('GET', path, headers={'Cookie': c.cookie, **headers})
        self.r = self.c.getresponse()
        self.start()

    def run(self):
        event = {}
        with contextlib.suppress(Exception):
            for line in self.r:
                key, _, value = line.decode().rstrip('\n').partition(': ')
                if not key:
                    if event:
                        self.got.append((event.get('event'), event.get('id'), json.loads(event['data'])))
                    event = {}
                else:
                    event[key] = value

    def saw(self, what, seconds=20):
        return wait_for(lambda: next((e for e in self.got if what(e)), None), seconds)


def queue(f):
    with Console(f) as c:
        c.enter()
        live = Stream(c, '/api/console/events')
        check('one that waits', handed_in(f, 'late', 'x@example.test') == 0)
        m = wait_for(lambda: next((m for m in c.get('queue')['messages'] if m.get('account') == 'waits'), None), 20)
        ok = wait_for(lambda: c.get('queue/' + m['id']).get('attempts'), 20)
        m = c.get('queue/' + m['id'])
        check('the queue says why', ok and m['recipients'][0]['text'] and m['recipients'][0]['next'], m)
        check('by account and by service', len(c.get('queue?account=waits')['messages']) == 1 == len(c.get('queue?service=late')['messages']) and c.get('queue?account=a')['messages'] == [], c.get('queue'))
        s, r = c.post(f'queue/{m["id"]}/hold')
        check('held', s == 200 and c.get('queue/' + m['id'])['state'] == 'held', (s, r))
        check('a page hears that something was done', live.saw(lambda e: e[0] == 'change' and e[2]['what'] == 'queue'), live.got)
        check('released', c.post(f'queue/{m["id"]}/release')[0] == 200 and c.get('queue/' + m['id'])['state'] != 'held', c.get('queue'))
        check('retried', c.post(f'queue/{m["id"]}/retry')[0] == 200)
        check('its content', 'Subject: late' in c.ask(f'/api/console/queue/{m["id"]}/content')[1], c.ask(f'/api/console/queue/{m["id"]}/content')[:2])
        check('deleted', c.post(f'queue/{m["id"]}/delete')[0] == 200 and c.get('queue')['messages'] == [], c.get('queue'))
        c.post('accounts/waits/hold')
        check('an account is held and released', f.account('waits')['state'] == 'held' and c.post('accounts/waits/release')[0] == 200 and f.account('waits')['state'] != 'held', f.account('waits'))


def captured(f):
    with Console(f) as c:
        c.enter()
        check('the inbox is a page', '<html' in c.ask('/inbox')[1])
        check('it is empty', c.ask('/api/v1/messages')[1]['total'] == 0)
        live = Stream(c, '/api/events')
        check('two are captured', handed_in(f, 'staging', 'one@example.test', 'the invoice\n') == 0 == handed_in(f, 'staging', 'two@example.test'))
        check('they arrive on the page', wait_for(lambda: c.ask('/api/v1/messages')[1]['total'] == 2, 20), c.ask('/api/v1/messages')[1])
        check('as it hears', live.saw(lambda e: e[0] == 'new'), live.got)
        found = c.ask('/api/v1/search?query=invoice')[1]['messages']
        check('found by its text', len(found) == 1 and found[0]['To'][0]['Address'] == 'one@example.test', found)
        check('read', 'the invoice' in c.ask(f'/api/v1/message/{found[0]["ID"]}')[1]['Text'])
        check('no mail is made here', c.ask('/api/v1/send', 'POST', {})[0] == 405)
        s, r, _ = c.ask('/api/v1/messages', 'DELETE', {'IDs': [found[0]['ID']]})
        check('deleted here, and in the queue', s == 200 and len(f.json('queue', '--captured')['messages']) == 1, (s, r))
        check('one is left', wait_for(lambda: c.ask('/api/v1/messages')[1]['total'] == 1, 20), c.ask('/api/v1/messages')[1])
        left = c.ask('/api/v1/messages')[1]['messages'][0]['ID']
        s, r, _ = c.ask(f'/api/v1/message/{left}/release', 'POST', {'To': ['two@example.test']})
        check('released to delivery', s == 200 and wait_for(lambda: [m['state'] for m in f.queue()] not in ([], ['captured']), 20), (s, r, f.queue()))
        folder = folder_of(c)
        check('the copies are nobody else\'s', folder and os.stat(folder).st_mode & 0o77 == 0, folder)
        c.stop()
        check('and are gone with the console', not os.path.exists(folder), folder)
    f.frank('queue', 'delete', '--all')


def authorize(ground, f):
    with Console(f) as c:
        c.enter()
        live = Stream(c, '/api/console/events')
        s, r = c.post('accounts/nobody/authorize')
        check('no such account', s == 404 and 'no account of that name' in r['error'] and 'frank status' in r['next'], (s, r))
        handed_in(f, 'direct', 'direct@example.test')
        s, r = c.post('accounts/a/authorize', {})
        check('a sign-in gives its address', s == 200 and r['state'] == 'waiting' and r['url'].startswith(ground.issuer), (s, r))
        s, gone = c.ask(f'/api/console/authorizations/{r["id"]}', 'DELETE')[:2]
        check('cancelled', s == 200 and gone['state'] == 'failed', (s, gone))
        s, r = c.post('accounts/a/authorize')
        secrets.add(urllib.parse.parse_qs(urllib.parse.urlsplit(r['url']).query).get('state', [''])[0])
        browse(ground.sign_in(r['url'], MAILBOX))
        done = live.saw(lambda e: e[0] == 'authorization' and e[2]['id'] == r['id'])
        check('the page hears that it worked', done and done[2]['state'] == 'done' and 'authorized' in done[2]['text'], live.got)
        check('and can ask', c.get(f'authorizations/{r["id"]}')['state'] == 'done', c.get(f'authorizations/{r["id"]}'))
        check('the account is active', wait_for(lambda: f.account('a')['state'] == 'active', 10), f.account('a'))
        check('its token is among the figures', wait_for(lambda: [t for t in c.get('figures')['tokens'] if t['account'] == 'a' and t.get('until', 0) > time.time()], 30), c.get('figures')['tokens'])
        event = live.saw(lambda e: e[0] == 'event')
        check('events have ids', event and event[1] and event[2]['id'] == event[1] and event[2]['kind'], live.got)
        later = Stream(c, '/api/console/events', **{'Last-Event-ID': event[1]})
        last = [e for e in live.got if e[0] == 'event'][-1]
        check('who comes back gets what came since', (last[1] == event[1] or later.saw(lambda e: e[1] == last[1])) and not [e for e in later.got if e[1] == event[1]], later.got)
        s, r = c.post('accounts/a/authorize', {'paste': True})
        back = ground.sign_in(r['url'], MAILBOX)
        check('by an address that is pasted', s == 200 and r['paste'] and c.post(f'authorizations/{r["id"]}/answer', {'address': 'x\ny'})[0] == 400
              and c.post(f'authorizations/{r["id"]}/answer', {'address': back})[0] == 200, (s, r['state']))
        check('which works too', live.saw(lambda e: e[0] == 'authorization' and e[2]['id'] == r['id'] and e[2]['state'] == 'done'), [e[0] for e in live.got])


def endings(f):
    c = Console(f)
    c.enter()
    children = subprocess.run(['pgrep', '-P', str(c.p.pid)], capture_output=True, text=True).stdout.split()
    check('SIGTERM ends it', c.stop() == 0, c.err)
    check('and what it ran', not [x for x in children if alive(int(x))], children)
    c = Console(f)
    left = folder_of(c)
    c.p.kill()
    c.p.communicate()
    os.utime(left, (0, 0))
    check('killed, it leaves no process', wait_for(lambda: not [x for x in glob.glob('/proc/[0-9]*/cmdline') if b'events\0--follow' in read(x) and f.dir.encode() in read(x.replace('cmdline', 'environ'))], 10))
    with Console(f) as c, Console(f) as second:
        check('what it left goes when the next one begins, which stays', left and not os.path.exists(left) and os.path.exists(folder_of(c)) and os.path.exists(folder_of(second)), left)
    path = f.path('console.sock')
    p = subprocess.Popen([program('frank'), 'console', '--no-browser', '--listen', path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=f.env)
    link = p.stdout.readline().strip()
    secrets.add(link.rpartition('/')[2])
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    s.sendall(f'GET {urllib.parse.urlsplit(link).path} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode())
    check('at a Unix socket, for its owner alone', os.stat(path).st_mode & 0o777 == 0o700 and s.recv(4096).startswith(b'HTTP/1.1 303'), oct(os.stat(path).st_mode))
    p.terminate()
    p.communicate(timeout=20)
    check('the socket goes with it', not os.path.exists(path))


def folder_of(c):
    held = [os.readlink(x) for x in glob.glob(f'/proc/{c.p.pid}/fd/*') if os.path.exists(x)]
    return next((x for x in held if re.fullmatch(r'.*/frank-console\.\w+', x)), None)


def read(path):
    try:
        with open(path, 'rb') as f:
            return f.read()
    except OSError:
        return b''


def others(f):
    if os.geteuid() != 0:
        return check.needs_root('other users')
    with Console(f) as c:
        c.enter()
        ask = (f"import os, socket\nos.setgid({STRANGER}); os.setuid({STRANGER})\ns = socket.socket(); s.settimeout(20); s.connect(('127.0.0.1', {c.port}))\n"
               "s.sendall(b'GET / HTTP/1.1\\r\\nHost: localhost\\r\\nCookie: ' + os.environb[b'COOKIE'] + b'\\r\\n\\r\\n')\nprint(s.recv(12).decode())\n")
        r = subprocess.run([sys.executable, '-c', ask], capture_output=True, text=True, env={**os.environ, 'COOKIE': c.cookie})
        check('another user with the very cookie is refused', r.stdout.strip() == 'HTTP/1.1 403', r)
    with Console(f, user=USER) as c:
        c.enter()
        check('who is no administrator is told so', c.me['administrator'] is False, {k: v for k, v in c.me.items() if k != 'token'})
        check('and sees what the command shows', [a['account'] for a in c.get('status')['accounts']] == ['a'], c.get('status'))
        for path in ('accounts/a/hold', 'accounts/a/authorize', 'accounts/a/check', 'queue/1/delete'):
            check(f'but changes nothing: {path}', c.post(path)[0] == 403, c.post(path))
        check('nor captured mail', c.ask('/api/v1/messages', 'DELETE', {})[0] == 403)
    with Console(f, user=STRANGER) as c:
        c.enter()
        check('a stranger sees nothing', c.get('status')['accounts'] == [] and c.get('queue')['messages'] == [], c.get('status'))
