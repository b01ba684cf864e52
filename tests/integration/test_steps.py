# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The next step that `frank status` prints is one that the account's configuration allows, and following it mends the account.

Each account gets into trouble; what the step leaves to a person (another secret in a file, a key of the configuration) is done here,
and then the very commands that it names are run.
"""
import re

from harness import *
from test_grants import private_copy
from test_outcomes import ANSWERS, MAILBOX, mode_of, play_browser

FRESH = 'the-secret-that-replaces-the-old-one'
MORE = {**ANSWERS, **{
    'scope-invalid': (400, {'error': 'invalid_scope', 'error_description': 'no such scope'}),
    'key-refused': (400, {'error': 'invalid_grant', 'error_description': 'Invalid JWT Signature.'}),
    'revoked': (400, {'error': 'invalid_grant', 'error_description': 'Token has been expired or revoked.'}),
}}


def run(ground, options):
    tokens(ground)
    passwords(ground)


def secret_file(name, text):
    path = os.path.join(harness_dir(), 'secret-' + name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as out:
        out.write(text + '\n')
    return path


def secret_command(name, text):
    """A program that prints what stands in a file."""
    path = os.path.join(harness_dir(), 'print-' + name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o700), 'w') as out:
        out.write(f'#!/bin/sh\ncat {secret_file(name, text)}\n')
    return path


def account(ground, server, name, answer, grant, **more):
    base = f'https://localhost:{server.port}'
    return oauth_account(ground, **{
        'issuer': None, 'authorization-endpoint': 'https://localhost:9/authorize', 'token-endpoint': f'{base}/m/{mode_of(MORE[answer])}/{name}/token', 'device-endpoint': f'{base}/device',
        'verify-identity': False, 'scopes': ['mail.send'], 'extra-parameters': None, 'client-id': 'client-' + name, 'grant': grant, **more})


def step_of(f, name):
    row = f.account(name)
    return row.get('credential', {}).get('next') or row.get('next') or ''


def follow(f, name, step):
    """Runs the commands that the step names, in order. Returns what went wrong."""
    commands = re.findall(r'`([^`]*)`', step)
    for command in commands:
        words = command.split()
        if words[:2] == ['frank', 'authorize']:
            rc, out = play_browser(f, name) if f.accounts[name]['grant'] == 'authorization-code' else type_code(f, name)
        else:
            r = f.frank(*words[1:], input=FRESH + '\n' if words[1] == 'secret' else None)
            rc, out = r.returncode, r.stdout + r.stderr
        if rc:
            return f'{command}: {rc}: {out}'
    return None if commands else 'no command'


def type_code(f, name):
    p, _ = f.begin_authorize(name)
    out, err = p.communicate(timeout=60)
    return p.returncode, out + err


def usable(f, name):
    r = f.frank('token', name, timeout=120)
    secrets.add(r.stdout.strip())
    return r.returncode == 0


def tokens(ground):
    server = Fault('token', '--tls', 'yes', '--device_life', '300')
    key = private_copy(os.environ['GROUND_CERT_CLIENT_KEY'])
    secrets.add(FRESH)
    secrets.add('an-old-secret')
    cases = {  # account: (answer, grant, where the secret comes from, what a person does before the commands, what the step must name)
        'app-file': ('client-secret-expired', 'client-credentials', 'file', lambda: secret_file('app-file', FRESH), 'frank account retry app-file'),
        'app-store': ('client-secret-expired', 'client-credentials', 'store', None, 'frank secret set app-store'),
        'app-command': ('client-secret-wrong', 'client-credentials', 'command', lambda: secret_file('app-command', FRESH), 'frank reload'),
        'app-policy': ('conditional-access', 'client-credentials', 'store', None, 'frank account retry app-policy'),
        'app-revoked': ('revoked', 'client-credentials', 'file', None, 'frank account retry app-revoked'),
        'app-scope': ('scope-invalid', 'client-credentials', 'store', 'scopes', 'frank reload'),
        'app-unknown': ('unknown-aadsts', 'client-credentials', 'store', None, 'frank reload'),
        'service-key': ('key-refused', 'service-account', 'key', None, 'frank account retry service-key'),
        'person-revoked': ('revoked', 'authorization-code', None, None, 'frank authorize person-revoked'),
        'person-disabled': ('account-disabled', 'authorization-code', None, None, 'frank account retry person-disabled'),
        'person-secret': ('client-secret-expired', 'authorization-code', 'file', lambda: secret_file('person-secret', FRESH), 'frank account retry person-secret'),
        'device-revoked': ('mfa-required', 'device-code', None, None, 'frank authorize device-revoked'),
    }
    accounts = {}
    for name, (answer, grant, source, _, _) in cases.items():
        more = {'file': lambda: {'client-secret': 'file:' + secret_file(name, 'an-old-secret')},
                'command': lambda: {'client-secret': 'command:' + secret_command(name, 'an-old-secret')},
                'key': lambda: {'client-key': 'file:' + key}}.get(source, dict)()
        accounts[name] = account(ground, server, name, answer, grant, **more)
    accounts['app-scope']['scopes'] = ['mail.send', 'mail.mistyped']
    accounts['app-missing'] = account(ground, server, 'app-missing', 'revoked', 'client-credentials', **{'client-secret': 'file:' + secret_file('app-missing', 'an-old-secret')})
    accounts['app-empty'] = account(ground, server, 'app-empty', 'revoked', 'client-credentials')
    f = Frank('steps', accounts)
    if not check('steps: frankd starts', f.start(), f.log()[-1500:]):
        return
    r = f.frank('authorize', 'app-file')
    check('steps: who asks for a sign-in that nobody needs is told where the secret goes', r.returncode == 64 and '`frank account retry app-file`' in r.stderr and 'secret set' not in r.stderr, r)
    r = f.frank('secret', 'set', 'app-command', input='another\n')
    check('steps: who stores a secret that the configuration takes elsewhere is told where it goes', r.returncode == 78 and 'print-app-command' in r.stderr and '`frank reload`' in r.stderr, r)
    for name, (_, grant, source, _, _) in cases.items():
        if source == 'store':
            f.frank('secret', 'set', name, input='an-old-secret\n')
        if grant in ('authorization-code', 'device-code'):
            rc, out = play_browser(f, name) if grant == 'authorization-code' else type_code(f, name)
            check(f'steps: {name} is signed in', rc == 0, out)
    f.stop()
    f.start()  # no token was issued a moment ago
    time.sleep(1.1)
    http(server.control + '/arm', b'')
    os.rename(secret_file('app-missing', 'an-old-secret'), os.path.join(harness_dir(), 'aside'))
    for name in accounts:
        f.frank('token', name, timeout=120)
    stuck = {name: f.account(name)['state'] for name in accounts}
    check('steps: every account waits for somebody', all(s in ('client-error', 'needs-authorization') for s in stuck.values()), stuck)
    http(server.control + '/heal', b'')
    os.rename(os.path.join(harness_dir(), 'aside'), os.path.join(harness_dir(), 'secret-app-missing'))
    cases['app-missing'] = (None, None, 'file', None, 'frank account retry app-missing')
    cases['app-empty'] = (None, None, 'store', None, 'frank secret set app-empty')
    for name in ('app-empty', 'app-file', 'person-disabled'):
        o = f.json('check', name)
        check(f'steps: {name}: frank check names the same step', f'`{cases[name][4]}`' in o.get('next', ''), o.get('next', o))
    time.sleep(5)  # nobody asks a server twice within that
    steps = {name: step_of(f, name) for name in cases}
    # a reload gives every account another chance, so these come last, and that with another configuration before them
    for name, (_, _, source, by_hand, wanted) in sorted(cases.items(), key=lambda c: (c[1][4] == 'frank reload', c[1][3] != 'scopes')):
        step = steps[name]
        check(f'steps: {name}: the step names `{wanted}`', f'`{wanted}`' in step, step)
        if by_hand == 'scopes':
            f.accounts[name]['scopes'] = ['mail.send']
            f.write_conf()
        elif by_hand:
            by_hand()
        wrong = follow(f, name, step)
        check(f'steps: {name}: its commands can be run', wrong is None, wrong)
        check(f'steps: {name}: following it mends the account', wait_for(lambda: f.account(name)['state'] == 'active' and usable(f, name), 15, 0.5), f.frank('status').stdout)
        if by_hand and by_hand != 'scopes':
            check(f'steps: {name}: with the new secret', server.stats()['last']['form'].get('client_secret') == FRESH, list(server.stats()['last']['form']))
    f.stop()
    server.stop()


def passwords(ground):
    """A password that the mail server refuses: from a file, from a command, from the store."""
    wrong = 'not the password at all'
    secrets.add(wrong)
    accounts = {'pw-file': password_account(ground, password='file:' + secret_file('pw-file', wrong)),
                'pw-command': password_account(ground, password='command:' + secret_command('pw-command', wrong)),
                'pw-store': password_account(ground)}
    for n in accounts:
        accounts[n]['mailbox'] = f'{n}@example.test'
        accounts[n]['auth-user'] = MAILBOX
    f = Frank('steps-pw', accounts, services={'all': dict(users=['*'], accounts=list(accounts), senders=['*'], token=True, **{'from': 'keep'})})
    if not check('steps: frankd starts with passwords', f.start(), f.log()[-1500:]):
        return
    f.frank('secret', 'set', 'pw-store', input=wrong + '\n')
    for n in accounts:
        f.send(f'{n}@example.test', 'reader@example.test', marker(n))
    held = wait_for(lambda: all(f.account(n)['state'] == 'needs-authorization' for n in accounts), 60, 0.5)
    check('steps: a refused password holds its account', held, f.frank('status').stdout)
    for n, wanted in {'pw-file': 'frank reload', 'pw-command': 'frank reload', 'pw-store': 'frank secret set pw-store'}.items():
        step = step_of(f, n)
        check(f'steps: {n}: the step names `{wanted}`', f'`{wanted}`' in step and ('secret set' in step) == (n == 'pw-store'), step)
        if n != 'pw-store':
            secret_file(n, ground.password)
        for command in re.findall(r'`([^`]*)`', step):
            r = f.frank(*command.split()[1:], input=ground.password + '\n' if 'secret' in command else None)
            check(f'steps: {n}: {command}', r.returncode == 0, r)
        check(f'steps: {n}: following it mends the account', wait_for(lambda: f.account(n)['state'] == 'active', 60, 0.5), f.account(n))
    f.stop()
