# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Every outcome of a token endpoint by every grant: the state that follows, the line that a person reads, and whether anything is lost.

Each account has a token endpoint of its own at the fault server, whose path names the fault. First the server works, and people
sign in; then it is armed; then it is healed, and what was kept must work again, also what was refused for good: a refresh token
stays until it is replaced.
"""
import concurrent.futures

from harness import *
from test_grants import private_copy

MAILBOX = 'billing@example.test'
# fault: (state with a refresh token, state without a person, does a device code's poll go on, a part of the line)
TRANSIENT, USER, CLIENT, GOOD = 'active', 'needs-authorization', 'client-error', 'good'
STATES = {'transient': TRANSIENT, 'throttled': TRANSIENT, 'needs-authorization': USER, 'permanent-account': CLIENT, 'configuration': CLIENT}
FAULTS = {
    '500': (TRANSIENT, TRANSIENT, True, '500'),
    '503': (TRANSIENT, TRANSIENT, True, '503'),
    '429=5': (TRANSIENT, TRANSIENT, True, '429'),
    '429date=5': (TRANSIENT, TRANSIENT, True, '429'),
    'hang': (TRANSIENT, TRANSIENT, True, 'did not answer'),
    'drop': (TRANSIENT, TRANSIENT, True, 'did not give one'),
    'badjson': (TRANSIENT, TRANSIENT, True, 'did not give one'),
    'html': (TRANSIENT, TRANSIENT, True, 'captive portal'),
    'empty': (TRANSIENT, TRANSIENT, True, 'with an empty body'),
    'notoken': (TRANSIENT, TRANSIENT, True, 'neither an access token nor an error'),
    'nobearer': (TRANSIENT, TRANSIENT, True, 'no bearer token'),
    'nul': (TRANSIENT, TRANSIENT, True, 'did not give one'),
    'mutf8': (TRANSIENT, TRANSIENT, True, 'did not give one'),
    'big=300000': (TRANSIENT, TRANSIENT, True, 'did not give one'),
    'redirect': (TRANSIENT, TRANSIENT, True, 'not followed'),
    'truncated': (TRANSIENT, TRANSIENT, True, 'did not give one'),
    'unknown': (TRANSIENT, TRANSIENT, True, 'a_word_of_next_year'),
    'pending': (TRANSIENT, TRANSIENT, True, 'authorization_pending'),
    'slow_down': (TRANSIENT, TRANSIENT, True, 'slow_down'),
    'expired': (USER, CLIENT, False, 'expired_token'),
    'invalid_grant': (USER, CLIENT, False, 'invalid_grant'),
    'consent': (USER, CLIENT, False, 'interaction_required'),
    'deny': (USER, CLIENT, False, 'access_denied'),
    'narrow': (USER, CLIENT, False, 'mail.send'),
    'invalid_client': (CLIENT, CLIENT, False, 'invalid_client'),
    'unauthorized': (CLIENT, CLIENT, False, 'unauthorized_client'),
    'invalid_scope': (CLIENT, CLIENT, False, 'invalid_scope'),
    'aud=https%3A%2F%2Fgraph.example': (CLIENT, CLIENT, False, 'meant for'),
    'skew=660': (TRANSIENT, TRANSIENT, True, 'clock'),
    'noexpires': (GOOD, GOOD, None, ''),
    'strexpires': (GOOD, GOOD, None, ''),
    'zeroexpires': (GOOD, GOOD, None, ''),
    'hugeexpires': (GOOD, GOOD, None, ''),
    'noscope': (GOOD, GOOD, None, ''),
    'emptyrefresh': (GOOD, GOOD, None, ''),
    'toomuch': (GOOD, GOOD, None, ''),
    'goodskew=660': (GOOD, GOOD, None, ''),
    'slow=1500': (GOOD, GOOD, None, ''),
    'trickle=20': (GOOD, GOOD, None, ''),
}


def microsoft(error, number, text, **more):
    return 400, {'error': error, 'error_description': f'AADSTS{number}: {text} Trace ID: 00000000-0000-4000-8000-000000000001', 'error_codes': [number], **more}


# Answers that servers really give, by their cause (and a mark): what the keeper does is what --explain says of them.
ANSWERS = {
    'conditional-access': microsoft('invalid_grant', 53003, 'Access has been blocked by Conditional Access policies.'),
    'sign-in-frequency': microsoft('interaction_required', 70043, 'The refresh token has expired due to sign-in frequency checks by conditional access.', suberror='token_expired'),
    'account-disabled': microsoft('invalid_grant', 50057, 'The user account is disabled.'),
    'mfa-required': microsoft('interaction_required', 50076, 'You must use multi-factor authentication to access the resource.', suberror='basic_action'),
    'grant-revoked': microsoft('invalid_grant', 50173, 'The provided grant has expired due to it being revoked.'),
    'consent-missing': microsoft('invalid_grant', 65001, 'The user or administrator has not consented to use the application.'),
    'refresh-token-expired': microsoft('invalid_grant', 700082, 'The refresh token has expired due to inactivity.'),
    'client-secret-expired': microsoft('invalid_client', 7000222, 'The provided client secret keys are expired.'),
    'unknown-aadsts': microsoft('invalid_request', 7654321, 'Nobody knows this yet.'),
    'sign-in-required': microsoft('invalid_grant', 7654321, 'Nobody knows this yet.'),
    'session-length-policy': (400, {'error': 'invalid_grant', 'error_description': 'reauth related error (invalid_rapt)', 'error_subtype': 'invalid_rapt'}),
    'admin-policy': (400, {'error': 'admin_policy_enforced'}),
    'internal-app': (403, {'error': 'org_internal', 'error_description': 'This client is restricted to users within its organization.'}),
    'client-secret-wrong': (401, {'error': 'unauthorized_client', 'error_description': 'Invalid client secret'}),
    'client-refused': (401, {'error': 'invalid_client', 'error_description': 'unknown scope mail.sned'}),
    'grant-revoked#object': (400, {'error': {'errorId': 'INVALID_GRANT', 'localizedMessage': 'invalid grant', 'message': 'invalid grant'}}),
    'conditional-access#number': (400, {'error': 'interaction_required', 'error_codes': [53003], 'suberror': 'message_only'}),
    'client-refused#summary': (401, {'errorCode': 'invalid_client', 'errorSummary': "Invalid value for 'client_id' parameter."}),
    'token-rate': (200, {'error': 'Access Denied', 'error_description': 'You have made too many requests continuously.', 'status': 'failure'}),
}


def mode_of(answer):
    return 'answer=' + json.dumps(answer).encode().hex()


GRANTS = ['authorization-code', 'secret', 'certificate', 'service-account', 'device-code']


def run(ground, options):
    answers(ground)
    matrix(ground)
    whole_client(ground)
    asleep(ground)


def make(ground, server, key, cert, secret, fault, grant, n):
    base = f"https://localhost:{server.port}"
    a = oauth_account(ground, **{
        'issuer': None, 'authorization-endpoint': 'https://localhost:9/authorize', 'token-endpoint': f'{base}/m/{fault}/{grant}/token', 'device-endpoint': f'{base}/device',
        'verify-identity': False, 'scopes': ['mail.send'], 'extra-parameters': None, 'client-id': f'client-{grant}-{n}', 'audience': ['https://mail.example.test'],
        'grant': {'secret': 'client-credentials', 'certificate': 'client-credentials'}.get(grant, grant)})
    if grant == 'secret':
        a['client-secret'] = 'file:' + secret
    if grant in ('certificate', 'service-account'):
        a['client-key'] = 'file:' + key
    if grant == 'certificate':
        a.update({'client-auth': 'private_key_jwt', 'client-certificate': 'file:' + cert})
    return a


def play_browser(f, account):
    p, url = f.begin_authorize(account)
    q = {k: v[0] for k, v in urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).items()}
    browse(q.get('redirect_uri', '') + '?' + urllib.parse.urlencode(dict(code='any-code-will-do-here', state=q.get('state', ''))))
    out, err = p.communicate(timeout=60)
    return p.returncode, out + err


def rows(f):
    return {r['account']: r for r in f.json('status').get('accounts', [])}


def token(f, account, *args):
    r = f.frank('token', account, *args, timeout=120)
    secrets.add(r.stdout.strip())
    return r


def matrix(ground):
    server = Fault('token', '--tls', 'yes', '--device_life', '300')
    key, cert = private_copy(os.environ['GROUND_CERT_CLIENT_KEY']), os.environ['GROUND_CERT_CLIENT_PEM']
    secret = os.path.join(harness_dir(), 'client-secret')
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as out:
        out.write('a-client-secret-of-the-matrix\n')
    name = {}
    for n, fault in enumerate(FAULTS):
        for grant in GRANTS:
            if grant != 'device-code' or FAULTS[fault][2] is not None:
                name[fault, grant] = f'{grant}-{n}'
    f = Frank('outcomes', {name[fault, grant]: make(ground, server, key, cert, secret, fault, grant, n) for n, fault in enumerate(FAULTS) for grant in GRANTS if (fault, grant) in name})
    check(f'frankd starts with {len(f.accounts)} accounts', f.start(), f.log()[-1500:])
    pool = concurrent.futures.ThreadPoolExecutor(12)
    signed = list(pool.map(lambda fault: play_browser(f, name[fault, 'authorization-code']), FAULTS))
    check('everybody signed in while the server worked', all(rc == 0 for rc, _ in signed), [s for s in signed if s[0]][:2])
    f.stop()
    f.start()  # also: no token was issued a moment ago
    time.sleep(1.1)
    http(server.control + '/arm', b'')
    armed = time.monotonic()
    devices = {fault: f.begin_authorize(name[fault, 'device-code']) for fault in FAULTS if (fault, 'device-code') in name}
    unattended = [(fault, grant) for fault, grant in name if grant != 'device-code']
    # the slow ones first
    unattended.sort(key=lambda k: not k[0].startswith(('hang', 'slow', 'trickle')))
    got = dict(zip(unattended, pool.map(lambda k: token(f, name[k]), unattended)))
    ended = wait_for(lambda: all(p.poll() is not None for fault, (p, _) in devices.items() if FAULTS[fault][2] is False), 30, 0.2)
    seen = rows(f)
    lines = json.loads(http(server.control + '/lines')[1])
    halves = 1 + int((time.monotonic() - armed) / 30)
    http(server.control + '/heal', b'')
    device_outcomes(f, name, devices, ended)
    bad = judge(name, got, seen)
    lost = recover(f, name, unattended)
    after = json.loads(http(server.control + '/lines')[1])
    show(name, got, seen, lost, devices)
    check('each outcome of each grant leads to the right state, and says what happened and what to do', not bad, [b[:4] + b[6:7] for b in bad])
    check('nothing is lost: every credential works again when the server does', not lost, lost)
    check('no refresh token but the one that counts was ever sent', not any(v.get('reuse') for v in after.values()), [v for v in after.values() if v.get('reuse')][:3])
    # after no answer at all it is five seconds, after an answer half a minute
    soon = tuple(f'/m/{x}' for x in FAULTS if FAULTS[x][0] == GOOD or x in ('drop', 'hang', 'truncated', 'big=300000'))
    retried = {k: v for k, v in lines.items() if v.get('asked', 0) > halves and not k.startswith(soon) and 'device-code' not in k}
    check('a server that answers with a refusal is asked once in half a minute, not at every call', not retried, retried)
    polls = {x: lines.get(f'/m/{x}/device-code/token', {}).get('asked', 0) for x in ('pending', 'slow_down')}
    check('device code: a poll a second, and five seconds more after each slow_down', polls['pending'] >= 8 and 2 <= polls['slow_down'] <= 5, polls)
    check('a redirect was never followed', server.stats().get('followed', 0) == 0, server.stats())
    f.stop()
    server.stop()
    pool.shutdown()


def device_outcomes(f, name, devices, ended):
    check('device code: whoever is refused is told at once', ended, [x for x, (p, _) in devices.items() if FAULTS[x][2] is False and p.poll() is None])
    wrong = []
    for fault, (p, url) in devices.items():
        try:
            out, err = p.communicate(timeout=150)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            err += ' (still waiting)'
        devices[fault] = (p, err)
        good = (p.returncode == 0) == FAULTS[fault][2] and (p.returncode == 0 or FAULTS[fault][3] in err or fault.startswith('skew'))
        if not good:
            wrong.append((fault, p.returncode, err))
    check('device code: a poll that got no usable answer is repeated, and the sign-in still succeeds', not wrong, wrong[:3])


def line_of(row):
    """What `frank status` says of the account's credential."""
    return str(row.get('credential', {}).get('text', ''))


def judge(name, got, seen):
    bad = []
    for (fault, grant), r in got.items():
        want = FAULTS[fault][0 if grant == 'authorization-code' else 1]
        row = seen[name[fault, grant]]
        text = line_of(row)
        if want == GOOD:
            good = r.returncode == 0 and r.stdout.strip() and row['state'] == 'active' and not text
        else:
            good = r.returncode in (75, 69) and row['state'] == want and (FAULTS[fault][3] in text or FAULTS[fault][3] in r.stderr) and row['credential'].get('next')
        if not good:
            bad.append((fault, grant, want, r.returncode, r.stderr, row['state'], text, row['credential']))
    return bad


def recover(f, name, wanted):
    """Once the server works again: which accounts do not?"""
    left = list(wanted)
    end = time.monotonic() + 120
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        while left and time.monotonic() < end:
            list(pool.map(lambda k: f.frank('account', 'retry', name[k]), left))
            left = [k for k, r in zip(left, pool.map(lambda k: token(f, name[k]), left)) if r.returncode != 0]
            if left:
                time.sleep(2)
    return [name[k] + ' ' + k[0] for k in left]


def show(name, got, seen, lost, devices):
    print(f'     {"fault":<16} {"grant":<19} {"state":<20} {"lost":<8} line', flush=True)
    for (fault, grant), r in sorted(got.items(), key=lambda k: (list(FAULTS).index(k[0][0]), GRANTS.index(k[0][1]))):
        row = seen[name[fault, grant]]
        print(f'     {urllib.parse.unquote(fault)[:16]:<16} {grant:<19} {row["state"]:<20} {"LOST" if any(x.startswith(name[fault, grant] + " ") for x in lost) else "nothing":<8} '
              f'{line_of(row)[:90] or "-"}', flush=True)
    for fault, (p, err) in devices.items():
        print(f'     {urllib.parse.unquote(fault)[:16]:<16} {"device-code (poll)":<19} {"authorized" if p.returncode == 0 else "not authorized":<20} {"nothing":<8} '
              f'{"-" if p.returncode == 0 else err.splitlines()[0][:90] if err else ""}', flush=True)


def explained(f, cause, account, grant, secret_from):
    """What --explain says of an answer, to somebody who has this account."""
    context = {'account': account, 'grant': grant, 'auth_user': MAILBOX, 'secret_from': secret_from}
    r = f.frank('check', '--explain', json.dumps(ANSWERS[cause][1]), '--provider', 'generic', '--stage', 'token', '--context', json.dumps(context), '--json')
    return json.loads(r.stdout)


def answers(ground):
    """One table for both: the state, the fixer and the next step of an account are those that --explain gives for the answer."""
    server = Fault('token', '--tls', 'yes', '--device_life', '300')
    key, cert = private_copy(os.environ['GROUND_CERT_CLIENT_KEY']), os.environ['GROUND_CERT_CLIENT_PEM']
    secret = os.path.join(harness_dir(), 'client-secret')
    with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as out:
        out.write('a-client-secret-of-the-answers\n')
    names = {(cause, grant): f'{grant}-{cause}'.replace('#', '-') for cause in ANSWERS for grant in GRANTS}
    f = Frank('answers', {name: make(ground, server, key, cert, secret, mode_of(ANSWERS[cause]), grant, name) for (cause, grant), name in names.items()})
    check(f'answers: frankd starts with {len(names)} accounts', f.start(), f.log()[-1500:])
    pool = concurrent.futures.ThreadPoolExecutor(12)
    signed = list(pool.map(lambda cause: play_browser(f, names[cause, 'authorization-code']), ANSWERS))
    check('answers: everybody signed in while the server worked', all(rc == 0 for rc, _ in signed), [s for s in signed if s[0]][:2])
    f.stop()
    f.start()
    time.sleep(1.1)
    http(server.control + '/arm', b'')
    devices = {cause: f.begin_authorize(names[cause, 'device-code']) for cause in ANSWERS}
    list(pool.map(lambda k: token(f, names[k]), [k for k in names if k[1] != 'device-code']))
    seen, wrong = rows(f), []
    for (cause, grant), name in names.items():
        if grant == 'device-code':
            continue
        configured = f.accounts[name]
        said = explained(f, cause, name, configured['grant'], configured.get('client-key', configured.get('client-secret', '')))
        row = seen[name]
        told = {k: row['credential'].get(k) for k in ('cause', 'fixer', 'next')}
        if row['state'] != STATES[said['retry']] or said['cause'] != cause.split('#')[0] or told != {k: said[k] for k in told} or not row['credential']['text'].startswith(said['text']):
            wrong.append((name, row['state'], row['credential'], said))
    check('what --explain says of an answer is what frankd does about it: state, cause, fixer, next step', not wrong, wrong[:3])
    wrong = []
    for cause, (p, _) in devices.items():
        said = explained(f, cause, names[cause, 'device-code'], 'device-code', '')
        if STATES[said['retry']] == TRANSIENT:
            if p.poll() is not None:
                wrong.append((cause, 'is over', p.returncode))
            p.kill()
        out, err = p.communicate(timeout=60)
        if STATES[said['retry']] != TRANSIENT and (p.returncode == 0 or said['text'] not in err or said['next'] not in err):
            wrong.append((cause, p.returncode, err, said))
    check('... and what somebody who signs in by a code is told', not wrong, wrong[:3])
    f.stop()
    f.start()
    kept = {f'authorization-code-{c}'.replace('#', '-') for c in ANSWERS} & {n for n, row in seen.items() if row['state'] != TRANSIENT}
    wait_for(lambda: all('credential' in rows(f).get(n, {}) for n in kept), 20, 0.5)
    after = rows(f)
    wrong = [(n, after[n]['credential'], seen[n]['credential']) for n in kept if any(after[n]['credential'].get(k) != seen[n]['credential'].get(k) for k in ('state', 'cause', 'fixer', 'next'))]
    check('... also after a restart', kept and not wrong, wrong[:3])
    f.stop()
    server.stop()
    pool.shutdown()


def whole_client(ground):
    """What a server thinks of a client holds for all of its accounts: asked once, told everywhere, mended everywhere."""
    server = Fault('token', '--tls', 'yes', '--mode', 'ok')
    base = oauth_account(ground, **{'issuer': None, 'token-endpoint': server.info['token_endpoint'], 'grant': 'client-credentials', 'client-id': 'shared', 'scopes': ['mail.send'],
                                    'extra-parameters': None})
    f = Frank('client', {n: dict(base) for n in ('one', 'two', 'three', 'four')})
    f.accounts['three']['client-id'] = f.accounts['four']['client-id'] = 'another'
    f.write_conf()
    check('client: frankd starts', f.start(), f.log()[-800:])
    for n in f.accounts:
        f.frank('secret', 'set', n, input='a-client-secret-that-expires')
    check('client: all work', all(token(f, n).returncode == 0 for n in f.accounts), f.shown())
    server.mode('invalid_client')
    token(f, 'three', '--rejected')
    states = {n: r['state'] for n, r in rows(f).items()}
    check('client: a refusal that may be due to one account\'s scope or tenant is that account\'s alone',
          states == {'one': 'active', 'two': 'active', 'three': 'client-error', 'four': 'active'}, states)
    server.mode(mode_of(ANSWERS['client-secret-expired']))
    token(f, 'one', '--rejected')
    wait_for(lambda: rows(f)['two']['state'] == 'client-error', 20, 0.2)
    states = {n: r['state'] for n, r in rows(f).items()}
    asked = server.stats()['requests']
    check('client: an expired secret is the trouble of every account of that client, and of no other',
          states == {'one': 'client-error', 'two': 'client-error', 'three': 'client-error', 'four': 'active'}, states)
    token(f, 'two', '--rejected')
    check('client: and the server is not asked again for the others', server.stats()['requests'] == asked, (asked, server.stats()['requests']))
    said = rows(f)['two']['credential']
    check('client: the others are told which account found out, and what to do for their own', '"one"' in said['text'] and 'frank secret set two' in said['next'] and ' one`' not in said['next'], said)
    server.mode('ok')
    for n in ('one', 'two'):
        f.frank('secret', 'set', n, input='the-secret-that-replaces-it')
        check(f'client: a new secret puts {n} right', wait_for(lambda: token(f, n).returncode == 0, 45, 1), f.shown())
    check('client: which says nothing of the mistake of another client', rows(f)['three']['state'] == 'client-error', f.shown())
    f.frank('account', 'retry', 'three')
    check('client: frank account retry asks at once', wait_for(lambda: token(f, 'three').returncode == 0, 20, 1), f.shown())
    f.stop()
    server.stop()


def asleep(ground):
    """As while the machine sleeps: the processes stand still for longer than the token lives, and nobody is asked in between."""
    ground.set(at_ttl=2)
    f = Frank('asleep', {'a': oauth_account(ground)})
    f.start()
    rc, out = f.authorize(ground, 'a', MAILBOX)
    check('asleep: authorized', rc == 0, out)
    first = token(f, 'a').stdout.strip()
    pids = f.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(4)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGCONT)
    r = token(f, 'a')
    check('asleep: the token of before is not given out any more', r.returncode == 0 and r.stdout.strip() != first, r.stderr)
    ground.reset()
    f.stop()
