"""`frank authorize`: a real browser, the requests a browser makes besides, and everything that can go wrong on the way."""
from harness import *

MAILBOX = 'billing@example.test'


def run(ground, options):
    f = Frank('authorize', {'a': oauth_account(ground)})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    before(f)
    if not options.no_browser:
        browser(ground, f)
    noise(ground, f)
    paste(ground, f)
    deny(ground, f)
    other_mailbox(ground, f)
    interrupted(ground, f)
    f.stop()
    if not options.no_browser:
        sandbox_browser(f)


def before(f):
    r = f.frank('token', 'a')
    check('before: no token, and the next step is named', r.returncode != 0 and r.stdout == '' and 'authorize' in r.stderr, r)
    check('before: status says needs-authorization', f.account('a').get('state') == 'needs-authorization', f.json('status'))
    f.send(MAILBOX, 'waits@example.test', 'waits')
    row = (f.queue() or [{}])[0]
    r = f.frank('queue', 'show', str(row.get('id')))
    check('before: mail that waits says why, and the next step', 'Nobody has signed in' in r.stdout and 'frank authorize a' in r.stdout, r)
    f.frank('queue', 'delete', str(row.get('id')))


def active(f):
    return wait_for(lambda: f.account('a').get('state') == 'active', 5)


def browser(ground, f):
    p, url = f.begin_authorize('a')
    q = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    check('the address is alone on the first line, with PKCE S256, state and a loopback redirect',
          url.startswith(ground.issuer) and q.get('code_challenge_method') == ['S256'] and len(q['state'][0]) >= 16 and q['redirect_uri'][0].startswith('http://'), url)
    status, out = ground.browser(url, MAILBOX)
    check('browser: signed in and consented', status == 0, out)
    check('browser: the page says that it worked, and its address holds no code', out.get('status') == 200 and 'Signed in' in out.get('text', '') and 'code=' not in out.get('url', 'code='), out)
    try:
        so, se = p.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        p.kill(); so, se = p.communicate()
    check('browser: frank authorize ends with 0', p.returncode == 0, so + se)
    check('browser: the account is active', active(f), f.json('status'))
    mark = marker('browser')
    f.send(MAILBOX, 'browser@example.test', mark)
    check('browser: a message goes through', len(ground.arrived('browser@example.test', mark)) == 1, f.shown() + f.log()[-800:])
    r = f.frank('token', 'a')
    secrets.add(r.stdout.strip())
    check('browser: frank token prints the token alone', r.returncode == 0 and re.fullmatch(r'\S{20,}\n', r.stdout), r)


def base_of(url):
    u = urllib.parse.urlsplit(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)['redirect_uri'][0])
    return f'{u.scheme}://{u.netloc}', u.path or '/'


def noise(ground, f):
    p, url = f.begin_authorize('a')
    base, path = base_of(url)
    host = urllib.parse.urlsplit(base).hostname
    check('noise: listens on loopback alone', host in ('127.0.0.1', 'localhost', '::1') and only_loopback(urllib.parse.urlsplit(base).port), base)
    s, _ = http(base + '/favicon.ico'); check('noise: favicon is answered and does not end it', s in (200, 204, 404) and p.poll() is None, s)
    s, t = browse(f'{base}{path}?code=abc&state=wrong'); check('noise: a wrong state is refused', 'Signed in' not in t and p.poll() is None, (s, t[:300]))
    s, t = http(f'{base}{path}?error=access_denied&state=wrong'); check('noise: nor does an error with a wrong state end it', p.poll() is None, (s, t[:300]))
    with contextlib.suppress(OSError):
        with socket.create_connection((host if host != 'localhost' else '127.0.0.1', urllib.parse.urlsplit(base).port), timeout=5) as c:
            c.sendall(b'\x16\x03\x01 not http\r\n\r\n'); c.settimeout(2); c.recv(100)
    check('noise: still waiting', p.poll() is None, '')
    back = ground.sign_in(url, MAILBOX)
    s, t = browse(back)
    s2, t2 = browse(back)
    out, err = finish(p)
    check('noise: the right one works', p.returncode == 0 and s == 200 and 'Signed in' in t, (s, t[:300], out, err))
    check('noise: calling it twice harms nothing', active(f), (s2, t2[:200], f.json('status')))
    p, url = f.begin_authorize('a')
    back = ground.sign_in(url, MAILBOX)
    s, t = browse(re.sub(r'iss=[^&]*', 'iss=https%3A%2F%2Fevil.example', back))
    out, err = finish(p)
    check('noise: an answer in the name of another issuer is refused, on the page too', p.returncode != 0 and 'another' in err and 'Signed in' not in t, (s, t[:300], out, err))
    check('noise: and what was there stays', active(f), f.json('status'))


def only_loopback(port):
    hexport, bad = f'{port:04X}', []
    for table, loop in (('/proc/net/tcp', ('0100007F',)), ('/proc/net/tcp6', ('00000000000000000000000001000000',))):
        for line in open(table).read().splitlines()[1:]:
            address, p = line.split()[1].split(':')
            if p == hexport and line.split()[3] == '0A' and address not in loop:
                bad.append(line)
    return not bad


def finish(p, seconds=30):
    try:
        return p.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        p.kill()
        return p.communicate()


def paste(ground, f):
    p, url = f.begin_authorize('a', '--paste')
    back = ground.sign_in(url, MAILBOX)
    try:
        out, err = p.communicate(back + '\n', timeout=30)
    except subprocess.TimeoutExpired:
        p.kill(); out, err = p.communicate()
    check('paste: the pasted address works', p.returncode == 0, out + err)
    p, url = f.begin_authorize('a', '--paste')
    try:
        out, err = p.communicate(back + '\n', timeout=30)
    except subprocess.TimeoutExpired:
        p.kill(); out, err = p.communicate()
    check('paste: the address of another attempt is refused', p.returncode != 0 and active(f), out + err)


def deny(ground, f):
    p, url = f.begin_authorize('a')
    base, path = base_of(url)
    q = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    s, t = browse(f'{base}{path}?' + urllib.parse.urlencode(dict(error='access_denied', error_description='the user said no', state=q['state'][0], iss=ground.issuer)))
    out, err = finish(p)
    check('deny: the page and the command say so', p.returncode != 0 and ('denied' in (out + err).lower() or 'said no' in (out + err).lower() or 'refused' in (out + err).lower()), (s, t[:300], out, err))
    check('deny: what was there before stays', active(f), f.json('status'))


def other_mailbox(ground, f):
    p, url = f.begin_authorize('a')
    back = ground.sign_in(url, 'alerts@example.test')
    s, t = browse(back)
    out, err = finish(p)
    check('another mailbox: refused, and both names are said', p.returncode != 0 and 'alerts@example.test' in out + err and MAILBOX in out + err, (s, t[:300], out, err))
    check('another mailbox: the page says so too', 'alerts@example.test' in t, t[:400])
    mark = marker('other')
    f.send(MAILBOX, 'other@example.test', mark)
    check('another mailbox: the account still sends as itself', len(ground.arrived('other@example.test', mark)) == 1, f.shown())


def interrupted(ground, f):
    p, url = f.begin_authorize('a')
    p.send_signal(signal.SIGINT)
    out, err = finish(p, 5)
    check('interrupted: Ctrl-C ends it', p.returncode not in (0, None), (p.returncode, out, err))
    check('interrupted: the account stays as it was', active(f), f.json('status'))


def sandbox_browser(f):
    """The sandbox's own pages, in the browser."""
    import test_sandbox
    with test_sandbox.Sandbox('--account', 'someone@example.test') as s:
        g = Frank('sandbox-browser', {'a': s.account('someone@example.test')})
        check('sandbox in the browser: frankd starts', g.start(), g.log()[-800:])
        p, url = g.begin_authorize('a')
        r = subprocess.run([GROUND_HOME + '/browser-login', url, 'someone@example.test', '--password', s.password('someone@example.test')], capture_output=True, text=True, timeout=120)
        out, err = finish(p)
        check('sandbox in the browser: authorized', r.returncode == 0 and p.returncode == 0, (r.stdout, r.stderr[-400:], out, err))
        g.stop()
