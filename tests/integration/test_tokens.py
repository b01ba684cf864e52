# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Access tokens: short lives, many callers at once, and kill -9 around a refresh that rotates."""
import random

from harness import *

MAILBOX = 'billing@example.test'


def run(ground, options):
    short_life(ground)
    slow_server(ground)
    rotation_under_kill(ground, 200 if options.full else 40)


def refreshes(ground, since):
    return [e for e in ground.log() if e.get('route') == 'token' and e.get('grant_type') == 'refresh_token' and e['t'] >= since]


def callers(f, n, *args):
    """n callers of `frank token` at once; their (status, output) and how long all took."""
    t = time.monotonic()
    ps = [subprocess.Popen([program('frank'), 'token', 'a', *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=f.env) for _ in range(n)]
    out = [(p.communicate(timeout=60), p.returncode) for p in ps]
    for (so, _), _ in out:
        secrets.add(so.strip())
    return [(rc, so.strip(), se) for (so, se), rc in out], time.monotonic() - t


def short_life(ground):
    ground.set(at_ttl=5)
    f = Frank('expiry', {'a': oauth_account(ground)})
    check('expiry: frankd starts', f.start(), f.log()[-800:])
    status, out = f.authorize(ground, 'a', MAILBOX)
    check('expiry: authorized', status == 0, out)
    for i in range(3):
        time.sleep(5.2)
        since = time.time() * 1000
        got, seconds = callers(f, 50)
        good = [t for rc, t, _ in got if rc == 0 and t]
        check(f'expiry {i + 1}: 50 callers after the token expired all get one', len(good) == 50, [g for g in got if g[0]][:3])
        n = len(refreshes(ground, since))
        # an early refresh begins at half of so short a life: only where the callers themselves took that long may there be another
        check(f'expiry {i + 1}: one token request for all of them', n == 1 + int(seconds / 2.5) if seconds > 2.5 else n == 1, (n, seconds, len(set(good))))
    t0, since, marks = time.monotonic(), time.time() * 1000, []
    while time.monotonic() - t0 < 20:
        marks.append(marker('expiry'))
        f.send(MAILBOX, 'expiry@example.test', marks[-1])
        secrets.add(f.frank('token', 'a').stdout.strip())  # an open session needs no new token: this does
        time.sleep(1)
    arrived = [m for m in marks if ground.arrived('expiry@example.test', m, 10)]
    check(f'expiry: {len(marks)} messages over four lives of a token all arrive, without a person', len(arrived) == len(marks), f.shown() + f.log()[-800:])
    n = len(refreshes(ground, since))
    check(f'expiry: no more than one refresh per half life ({n} in 20 s)', 3 <= n <= 9, n)
    ground.remember()
    f.stop()
    ground.reset()


def fake_authorize(f):
    """Plays the browser's part where the token endpoint takes any code."""
    p, url = f.begin_authorize('a')
    q = {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).items()}
    s, t = browse(q.get('redirect_uri', '') + '?' + urllib.parse.urlencode(dict(code='any-code-will-do-here', state=q.get('state', ''))))
    try:
        out, err = p.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
    return p.returncode, (s, t[:200], out, err)


def faulty(ground, token):
    return oauth_account(ground, **{'issuer': None, 'authorization-endpoint': 'https://localhost:9/authorize', 'token-endpoint': token.info['token_endpoint'],
                                    'verify-identity': False})


def slow_server(ground):
    token = Fault('token', '--tls', 'yes', '--mode', 'rotate=1,slow=2500')
    f = Frank('slow', {'a': faulty(ground, token)})
    check('slow server: frankd starts', f.start(), f.log()[-800:])
    status, out = fake_authorize(f)
    check('slow server: authorized', status == 0, out)
    time.sleep(1.2)
    before = token.stats()['requests']
    got, _ = callers(f, 50)
    st = token.stats()
    check('slow server: 50 callers wait for one request', st['requests'] == before + 1 and st['max_live'] == 1 and len({t for rc, t, _ in got if rc == 0}) == 1 and all(rc == 0 for rc, *_ in got),
          (st['requests'] - before, st['max_live'], got[:2]))
    for mode, want in (('503,ok', 0), ('429=1,ok', 0)):
        token.mode(mode)
        r = f.frank('token', 'a', '--min-valid', '86400', timeout=60)
        check(f'server says {mode.split(",")[0]}: the token that still lives is served', r.returncode == want and r.stdout.strip(), r)
    f.stop()
    token.stop()


def rotation_under_kill(ground, rounds):
    token = Fault('token', '--tls', 'yes', '--mode', 'rotate=1')
    f = Frank('rotation', {'a': faulty(ground, token)})
    check('rotation: frankd starts', f.start(), f.log()[-800:])
    status, out = fake_authorize(f)
    if not check('rotation: authorized', status == 0, out):
        return
    lost = explained = kept = 0
    late, silent = [], []
    for i in range(rounds):
        token.mode('rotateslow=40' if i % 2 else 'rotate=1')
        before = token.stats()
        wait_for(lambda: time.time() * 1000 - before.get('last_answer_ms', 0) > 1100, 3, 0.02)  # what is there has expired: a refresh is due
        p = subprocess.Popen([program('frank'), 'token', 'a'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=f.env)
        time.sleep(random.uniform(0, 0.2))
        f.kill()
        killed = time.time() * 1000
        p.communicate(timeout=20)
        if not f.start():
            check('rotation: frankd starts again', False, f.log()[-800:])
            return
        token.mode('rotate=1')
        r = f.frank('token', 'a')
        if r.returncode == 0:
            kept += 1
            continue
        lost += 1
        answered = token_answered(before, token)
        # a refresh token is lost only where the answer with the next one had not been taken in
        if answered and killed - answered > 100:
            late.append((i, killed - answered, r.stderr))
        text = f.frank('status').stdout + r.stderr
        explained += bool(re.search(r'interrupt|in flight|under way|may have been used', text, re.I))
        if not re.search(r'authoriz', text, re.I):
            silent.append(text)
        status, out = fake_authorize(f)
        if not check(f'rotation: a new consent after round {i + 1} works', status == 0, out):
            break
    print(f'     rotation: {rounds} kills around a refresh: {kept} kept, {lost} lost before the answer was taken in, {explained} of them explained by the intent', flush=True)
    check('rotation: no account lost where the server\'s answer had reached us', not late, late)
    check('rotation: each that was lost says what to do', not silent, silent)
    check('rotation: the intent explains each', explained == lost, (explained, lost))
    f.stop()
    token.stop()


def token_answered(before, token):
    """When the last answer of the killed attempt was written, or None."""
    st = token.stats()
    # the attempt after the restart was the refused one: refusals do not count as answers
    return st.get('last_answer_ms') if st.get('last_answer_ms') != before.get('last_answer_ms') else None
