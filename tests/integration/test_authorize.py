# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
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
    refusals(ground, f)
    form(ground, f)
    nobody_there(f)
    other_user(ground, f)
    sudo(f)
    f.stop()
    untrusted(ground)
    if not options.no_browser:
        other_modes(ground)
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
    p, url = f.begin_authorize('a', '--paste')
    try:
        out, err = p.communicate(url + '\nhttp://127.0.0.1/?error=server_error&error_description=try%20later\n', timeout=30)
    except subprocess.TimeoutExpired:
        p.kill(); out, err = p.communicate()
    check('paste: the address to open is not the one that is wanted', 'That is the address to open' in err, err)
    check('paste: a refusal without a state is told', 'server_error: try later' in err and p.returncode != 0, err)


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


def refusals(ground, f):
    """What a server says when it refuses is shown as text, once, on the page and at the terminal."""
    words = '\r\nAADSTS65004: <b>declined</b>\r\nTrace ID: 1 \u00e9\u202e\r\n'
    p, url = f.begin_authorize('a')
    base, path = base_of(url)
    state = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)['state'][0]
    refusal = dict(error='access_denied', error_description=words, iss=ground.issuer)
    s, t = browse(f'{base}{path}?' + urllib.parse.urlencode(dict(error='server_error', error_description='try <i>later</i>')))
    check('refusals: one without a state is told in the browser', 'no state' in t and 'server_error: try &lt;i&gt;later&lt;/i&gt;' in t, t[:900])
    s, t = browse(f'{base}{path}?' + urllib.parse.urlencode(dict(refusal, state=state)))
    out, err = finish(p)
    check('refusals: and at the terminal, which waits on', 'server_error: try <i>later</i>' in err, err)
    shown = 'AADSTS65004: <b>declined</b> Trace ID: 1 \u00e9'
    check('refusals: line ends become spaces, and text stays text', p.returncode == 77 and shown in err and '\\x' not in err and '\\r' not in err, err)
    check('refusals: the page shows the same, as text', shown.replace('<', '&lt;').replace('>', '&gt;') in t and '\u202e' not in t, t[:900])


def untrusted(ground):
    """Where somebody here has something to mend, trying again is not the next step."""
    account = oauth_account(ground)
    del account['ca-file']
    f = Frank('untrusted', {'a': account})
    if not check('untrusted: frankd starts', f.start(), f.log()[-800:]):
        return
    r = f.frank('authorize', 'a', '--paste', input='')
    check('untrusted: the authority is to be named, and then the sign-in begun again',
          r.returncode == 75 and 'ca-file in account a' in r.stderr and 'run `frank authorize a` then' in r.stderr and 'in a moment' not in r.stderr, r)
    f.stop()


def post(url, query):
    """(status, page) of a form sent to an address, redirects followed."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, query.encode(), timeout=20) as r:
            return r.status, r.read().decode(errors='replace')
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(errors='replace')


def form(ground, f):
    """response_mode=form_post, and requests that must do no harm on the way."""
    p, url = f.begin_authorize('a')
    back = ground.sign_in(url, MAILBOX)
    where, query = back.split('?', 1)
    base, path = base_of(url)
    r = urllib.request.Request(back, method='HEAD')
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(r, timeout=20) as answer:
        check('form: HEAD is answered and uses nothing up', answer.status == 200 and answer.read() == b'' and p.poll() is None, answer.status)
    s, _ = http(back, headers={'Sec-Purpose': 'prefetch'})
    check('form: nor does a prefetch', s == 503 and p.poll() is None, s)
    s, t = http(where)
    check('form: an answer behind a # is explained', s == 400 and 'response_mode=query' in t and p.poll() is None, (s, t[:400]))
    s, t = http(f'{base}/elsewhere?{query}')
    check('form: an answer at another path is explained', s == 404 and 'redirect-path' in t and p.poll() is None, (s, t[:400]))
    s, t = post(where, 'code=x&state=y')
    check('form: a form that is not ours ends nothing', s == 400 and p.poll() is None, (s, t[:400]))
    s, t = post(where, query)
    out, err = finish(p)
    check('form: the right one signs in', p.returncode == 0 and s == 200 and 'Signed in' in t, (s, t[:300], out, err))
    check('form: what was not understood was told at the terminal', 'response_mode=query' in err and 'redirect-path' in err and 'something else' in err, err)
    code = urllib.parse.parse_qs(query)['code'][0]
    check('form: and the code was not', code not in out + err, '')


def nobody_there(f):
    """Without a desktop and without a terminal nothing is waited for."""
    env = {k: v for k, v in f.env.items() if k not in ('DISPLAY', 'WAYLAND_DISPLAY')}
    t = time.monotonic()
    r = subprocess.run([program('frank'), 'authorize', 'a'], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=60)
    check('nobody there: it ends at once and names the ways', r.returncode == 64 and all(w in r.stderr for w in ('--paste', '--device', '--invite')), (time.monotonic() - t, r))


def other_user(ground, f):
    """Another local user cannot keep the sign-in's port busy."""
    if os.geteuid() != 0:
        return check.needs_root('other user', 'wants root')
    p, url = f.begin_authorize('a')
    base, path = base_of(url)
    u = urllib.parse.urlsplit(base)
    flood = ("import os, socket, time\nos.setgid(65533); os.setuid(65533)\nheld = []\nfirst = b''\nend = time.monotonic() + 30\n"
             "while time.monotonic() < end:\n"
             "    try:\n"
             f"        s = socket.socket(); s.settimeout(5); s.connect(('127.0.0.1', {u.port}))\n"
             "        held.append(s)\n"
             "        if not first:\n"
             "            first = s.recv(20); print(first.decode(), flush=True)\n"
             "        if len(held) > 200: held.pop(0).close()\n"
             "    except OSError: time.sleep(0.01)\n")
    attacker = subprocess.Popen([sys.executable, '-c', flood], stdout=subprocess.PIPE, text=True)
    try:
        first = attacker.stdout.readline()
        check('other user: is refused at once', first.startswith('HTTP/1.1 403'), first)
        s, t = browse(ground.sign_in(url, MAILBOX))
        out, err = finish(p)
        check('other user: and the sign-in works meanwhile', p.returncode == 0 and 'Signed in' in t, (s, t[:300], out, err))
        check('other user: the terminal says it once', err.count('uid 65533') == 1, err)
    finally:
        attacker.kill()
        attacker.wait()


def sudo(f):
    """Called through sudo, the browser is the person's: never root's, and never with root's environment."""
    if os.geteuid() != 0 or subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode != 0:
        return check.needs_root('sudo', 'wants root and mount namespaces')
    nobody, seen = pwd.getpwnam('nobody'), os.path.join(f.dir, 'browser')
    os.mkdir(seen)
    os.chown(seen, nobody.pw_uid, nobody.pw_gid)
    script = f'#!/bin/sh\n{{ id -u; id -G; echo "$# $1"; env; }} >{seen}/part && mv {seen}/part {seen}/all\n'
    for where in ('/usr/local/bin', '/root-only'):
        with open(os.path.join(f.dir, where.replace('/', '-')), 'w') as o:
            o.write(script if where == '/usr/local/bin' else f'#!/bin/sh\ntouch {seen}/by-path\n')
    run = ('mount -t tmpfs -o mode=755 tmpfs /usr/local/bin && install -m 755 "$1/-usr-local-bin" /usr/local/bin/xdg-open && mkdir -p "$1/path" && '
           'install -m 755 "$1/-root-only" "$1/path/xdg-open" && PATH="$1/path:$PATH" exec "$2" authorize a')
    env = dict(f.env, DISPLAY=':7', SUDO_UID=str(nobody.pw_uid), SUDO_GID='0', SECRET_OF_ROOT='yes', LD_LIBRARY_PATH='/nowhere')
    p = subprocess.Popen(['unshare', '-m', 'sh', '-c', run, 'sh', f.dir, program('frank')], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    got = wait_for(lambda: os.path.exists(seen + '/all'), 20)
    lines = open(seen + '/all').read().splitlines() if got else []
    p.terminate()
    out, err = finish(p)
    check('sudo: the browser is started as the person', lines[:1] == [str(nobody.pw_uid)] and '0' not in lines[1].split(), (lines, out, err))
    if not lines:
        return
    env = dict(l.split('=', 1) for l in lines[3:] if '=' in l)
    check('sudo: with the address alone', lines[2].startswith('1 http'), lines[2])
    check('sudo: and with an environment of their own', env.get('DISPLAY') == ':7' and env.get('HOME') == nobody.pw_dir and env.get('USER') == 'nobody' and not
          {'SECRET_OF_ROOT', 'LD_LIBRARY_PATH', 'SUDO_UID', 'FRANK_CONTROL_SOCKET'} & set(env), env)
    check('sudo: no folder of root\'s PATH is searched', not os.path.exists(seen + '/by-path'), os.listdir(seen))


def other_modes(ground):
    """A real browser with the other ways in which servers answer."""
    for mode in ('form_post', 'fragment'):
        f = Frank('mode-' + mode, {'a': oauth_account(ground, **{'extra-parameters': ['prompt=consent', 'response_mode=' + mode]})})
        if not check(f'{mode}: frankd starts', f.start(), f.log()[-800:]):
            continue
        p, url = f.begin_authorize('a')
        status, out = ground.browser(url, MAILBOX)
        if mode == 'form_post':
            so, se = finish(p)
            check('form_post: the browser\'s form signs in', p.returncode == 0 and 'Signed in' in out.get('text', ''), (out, so, se))
        else:
            check('fragment: the page says what to do', 'response_mode=query' in out.get('text', '') and p.poll() is None, out)
            p.kill()
            finish(p)
            p, url = f.begin_authorize('a', '--paste')
            status, out = ground.browser(url, MAILBOX)
            so, se = p.communicate(out.get('url', '') + '\n', timeout=60)
            check('fragment: the pasted address signs in', '#' in out.get('url', '') and p.returncode == 0, (out.get('url', '').split('#')[0], so, se))
        f.stop()


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
