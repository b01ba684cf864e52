# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""frank-send alone, confined, with tests/send/driver in the places of main, queue and keeper: every mechanism and TLS mode on
real servers, and every way in which a server can go wrong."""
from harness import *

FROM, TO = 'billing@example.test', 'alerts@example.test'


class Sent:
    """One run of the driver."""

    def __init__(self, *args, secret=None, second=None, timeout=60):
        env = clean_env()
        for value in (secret, second):
            if value is not None:
                secrets.add(value)
        argv = [os.path.join(build_dir(), 'tests/send/send-driver'), os.path.join(build_dir(), 'broker/frank-send'), '--transcript', *map(str, args)]
        self.began = time.monotonic()
        r = subprocess.run(argv, env=env, input=f'{secret or ""}\n{second or ""}\n', capture_output=True, text=True, errors='replace', timeout=timeout)
        self.took = time.monotonic() - self.began
        self.log = r.stderr
        head, _, self.transcript = r.stdout.partition('---- the last transcript\n')
        self.facts, self.outcomes = {}, {}
        for line in head.splitlines():
            m = re.match(r'(\d+) (.*)', line)
            if m:
                self.outcomes[m[2].strip()] = int(m[1])
            else:
                name, _, value = line.partition(': ')
                self.facts[name] = value
        self.text = head + self.log + self.transcript

    def only(self, pattern, count=None):
        """Is there one kind of outcome, and is it this?"""
        return len(self.outcomes) == 1 and all(re.match(pattern, o) and count in (None, n) for o, n in self.outcomes.items()) and self.facts.get('exit') == '0'

    def all(self, wanted):
        """Each pattern with its count, and nothing else."""
        left = dict(self.outcomes)
        for pattern, count in wanted.items():
            found = [o for o in left if re.match(pattern, o)]
            if sum(left.pop(o) for o in found) != count:
                return False
        return not left


def token_of(ground, client='svc-billing'):
    r = subprocess.run([GROUND_HOME + '/token', 'cc', client], capture_output=True, text=True, check=True)
    return json.loads(r.stdout)['access_token']


def real(ground, *args):
    return ['--host', 'localhost', '--ca', ground.ca, '--user', FROM, '--from', FROM, *args]


def token_args(mechanism='xoauth2'):
    return ['--grant', 'authorization-code', '--mech', mechanism]


def matrix(ground, small, big):
    for tls, port in (('starttls', ground.starttls), ('implicit', ground.implicit)):
        for mechanism in ('xoauth2', 'oauthbearer', 'plain', 'login', 'scram-sha-256'):
            password = mechanism in ('plain', 'login', 'scram-sha-256')
            for what, value in (('', ground.password),) if password else ((' with a short token', small), (' with a token of 2.7 KB', big)):
                s = Sent(*real(ground, '--to', TO, '--tls', tls, '--port', port, '--count', 20, '--sessions', 2), '--grant',
                         'password' if password else 'authorization-code', '--mech', mechanism, secret=value)
                check(f'{mechanism} over {tls}{what}', s.only('250 2.0.0/eom', 20) and s.facts['mechanism'] == mechanism.upper() and
                      s.facts['tls'].startswith('TLSv1.3'), s.text)
                check(f'{mechanism} over {tls}{what}: no secret in log or transcript', value not in s.text)


def contents(ground, small):
    to = f'contents-{os.getpid()}@example.test'
    for size in (0, 5000, 70000, 3000000):
        s = Sent(*real(ground, '--to', to, '--tls', 'starttls', '--port', ground.starttls, '--size', size, *(['--file'] if size > 30000 else [])), *token_args(),
                 secret=small)
        check(f'content of {size} octets', s.only('250 2.0.0/eom', 1), s.text)
    got = wait_for(lambda: ground.messages(to) if len(ground.messages(to)) == 4 else None, 20, 0.1) or []
    check('they arrive as they were, a leading dot too', len(got) == 4 and all('\n.starts with a dot\n' in m for m in got) and
          sorted(m.count('\n' + 'x' * 70) > size // 72 - 10 for m, size in zip(sorted(got, key=len), (0, 5000, 70000, 3000000))) == [True] * 4, len(got))
    s = Sent(*real(ground, '--to', TO, '--tls', 'starttls', '--port', ground.starttls, '--size', 11000000, '--file'), *token_args(), secret=small)
    check('more than SIZE is refused without sending it', s.only('too-big/mail', 1) and 'BDAT' not in s.transcript, s.text)


def refusals(ground, small):
    base = real(ground, '--tls', 'starttls', '--port', ground.starttls)
    s = Sent(*base, '--to', TO, *token_args(), secret='not-a-token-0123456789', second=small)
    check('a refused token is replaced by a newer one', s.only('250 2.0.0/eom', 1) and s.facts['credentials'] == '2 (1 after a refusal)', s.text)
    s = Sent(*base, '--to', TO, *token_args(), secret='not-a-token-0123456789', second='neither-a-token-0123456789')
    check('two refused tokens are final', s.only('535 5.7.8/auth', 1) and s.facts['credentials'] == '2 (1 after a refusal)', s.text)
    s = Sent(*base, '--to', TO, *token_args(), secret='not-a-token-0123456789')
    check('a refused token, and the keeper has no other', s.only('no-credential/token', 1), s.text)
    s = Sent(*base, '--to', TO, '--grant', 'password', secret='wrong-password-0123')
    check('a wrong password is tried once', s.only('535 5.7.8/auth', 1) and s.facts['credentials'] == '1 (0 after a refusal)', s.text)
    s = Sent(*base, '--to', TO, '--to', 'nouser@example.test', '--to', 'full@example.test', '--to', 'greylist@example.test', *token_args(), secret=small)
    check('recipients are answered one by one', s.all({'250 2.0.0/eom': 1, '550 5.1.1/rcpt': 1, '452 [0-9.]*/rcpt': 1, '450 [0-9.]*/rcpt': 1}), s.text)
    s = Sent(*base, '--to', 'nouser@example.test', '--count', 5, *token_args(), secret=small)
    check('nobody is left to take it', s.only('550 5.1.1/rcpt', 5), s.text)
    s = Sent(*real(ground, '--tls', 'starttls', '--port', ground.starttls), '--from', 'someone-else@example.test', '--to', TO, '--count', 3, *token_args(), secret=small)
    check('a sender that is not the account\'s', s.only('553 5.7.1/rcpt', 3), s.text)
    for state, fault in (('needs-authorization', 'no-credential'), ('client-error', 'no-credential'), ('empty', 'no-credential'), ('active', 'credential-later'),
                         ('refreshing', 'credential-later')):
        s = Sent(*base, '--to', TO, '--count', 3, *token_args(), '--no-credential', state, secret=small)
        check(f'no credential: {state}', s.only(f'{fault}/token', 3) and 'The driver has no credential' in s.text, s.text)


def ways_to_the_server(ground, small):
    s = Sent(*real(ground, '--tls', 'implicit', '--port', ground.starttls, '--to', TO), *token_args(), secret=small)
    check('implicit TLS spoken to a STARTTLS port', s.only('tls-plaintext/tls.*220 ', 1), s.text)
    s = Sent(*real(ground, '--tls', 'starttls', '--port', ground.implicit, '--to', TO), *token_args(), secret=small)
    check('STARTTLS spoken to an implicit TLS port', s.only('tls-silent/tls', 1) and s.took < 8, (s.took, s.text))
    s = Sent('--host', 'localhost', '--user', FROM, '--to', TO, '--tls', 'starttls', '--port', ground.starttls, *token_args(), secret=small)
    check('an issuer that is not trusted', s.only('certificate-untrusted/tls', 1), s.text)
    s = Sent('--host', 'localhost', '--tls', 'none', '--port', free_port())
    check('a refused connection', s.only('connection-refused/connect', 1), s.text)
    s = Sent('--host', 'no-such-host.invalid', '--tls', 'none', '--port', 25, timeout=90)
    check('a name that does not exist', s.only('(no-host|dns-failure)/dns', 1), s.text)
    s = Sent(*real(ground, '--tls', 'starttls', '--port', ground.starttls, '--to', TO, '--hostname', 'box'), *token_args(), secret=small)
    check('a host without a full name gives its address', s.only('250 2.0.0/eom', 1) and 'C: EHLO [127.0.0.1]\n' in s.transcript, s.text)
    several_addresses()
    folder = os.path.dirname(ground.ca)
    for name, fault in (('expired', 'certificate-expired'), ('host', 'certificate-name'), ('selfsigned', 'certificate-untrusted')):
        for tls in ('implicit', 'starttls'):
            f = Fault('smtp', '--tls', tls, '--cert', f'{folder}/bad-{name}.pem', '--key', f'{folder}/bad-{name}.key')
            s = Sent(*real(ground, '--to', TO, '--tls', tls, '--port', f.port), *token_args(), secret=small)
            check(f'a certificate: {name}, {tls}', s.only(f'{fault}/tls', 1), s.text)
            check(f'a certificate: {name}, {tls}: nothing was said', f.stats()['auth_ok'] + f.stats()['auth_fail'] == 0)
            f.stop()


def several_addresses():
    """A name with two addresses, the first of which refuses: /etc/hosts in a mount namespace."""
    if os.geteuid() != 0:
        check.needs_root('a second address is tried')
        return
    f = Fault('smtp', '--tls', 'none')
    with tempfile.NamedTemporaryFile('w', delete=False) as hosts:
        hosts.write('127.0.0.2 two.example.test\n127.0.0.1 two.example.test\n')
    argv = [os.path.join(build_dir(), 'tests/send/send-driver'), os.path.join(build_dir(), 'broker/frank-send'), '--host', 'two.example.test', '--port', str(f.port),
            '--transcript']
    r = subprocess.run(['unshare', '-m', 'sh', '-c', f'mount --bind {hosts.name} /etc/hosts && exec "$@"', 'sh', *argv], env=clean_env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    os.unlink(hosts.name)
    check('a second address is tried where the first refuses', '1 250 2.0.0/eom' in r.stdout and f'* 127.0.0.2 port {f.port}: Connection refused' in r.stdout and
          f'endpoint: two.example.test:{f.port} [127.0.0.1]' in r.stdout, r.stdout + r.stderr)
    stats = wait_for(lambda: f.stats() if f.stats()['commands_by_verb'].get('QUIT') else None, 3) or f.stats()
    check('the server is told QUIT when the role is let go', stats['commands_by_verb'].get('QUIT') == 1, stats)
    f.stop()


# mode of the fault injector, outcomes of three messages to two recipients
GOES_WRONG = {
    'mail=451_4.3.0_Later': {'451 4.3.0/mail': 6},
    'mail=550_5.7.60_Not_you': {'550 5.7.60/mail': 6},
    'rcpt=550_5.1.1_No': {'550 5.1.1/rcpt': 6},
    'data=554_5.0.0_No': {'554 5.0.0/data': 6},
    'dot=554_5.6.0_Bad': {'554 5.6.0/eom': 6},
    'mail=421': {'421 4.3.2/mail': 6},
    'rcpt=421': {'421 4.3.2/rcpt': 6},
    'data=421': {'421 4.3.2/data': 6},
    '421_after_dot': {'421 4.3.2/eom': 6},
    'mail=drop': {'closed/mail': 6},
    'rcpt=drop': {'closed/(mail|rcpt)': 6},
    'data=drop': {'closed/(mail|rcpt|data)': 6},
    'data=drop,rst': {'closed/(mail|rcpt|data)': 6},
    'drop_in_data=10': {'closed/(data|eom in-doubt)': 6},
    'drop_after_dot': {'closed/eom in-doubt': 6},
    'drop_before_answer': {'closed/eom in-doubt': 6},
    'banner=554_5.3.2_No_service': {'554 5.3.2/greeting': 6},
    'banner=421_4.7.0_Busy': {'421 4.7.0/greeting': 6},
    'drop_banner': {'closed/greeting': 6},
    'ehlo=drop': {'closed/ehlo': 6},
    'huge': {'protocol-error/': 6},
    'longline': {'protocol-error/': 6},
    'maxrcpt=1': {'250 2.0.0/eom': 3, '452 4.5.3/rcpt': 3},
    'auth_fail': {'535 5.7.8/auth': 6},
    'auth_fail,auth_json=big': {'535 5.7.8/auth': 6},
    'auth_fail,auth_json=bad': {'535 5.7.8/auth': 6},
    'auth_fail,auth_json=notb64': {'535 5.7.8/auth': 6},
    'auth_fail=454_4.7.0_Later': {'454 4.7.0/auth': 6},
    'auth=421': {'421 4.3.2/auth': 6},
    'auth=drop': {'closed/auth': 6},
    'noauth': {'no-auth/auth': 6},
    'mechs=CRAM-MD5': {'no-mechanism/auth': 6},
    'starttls_refuse': {'454 4.7.0/starttls': 6},
    'starttls_inject': {'starttls-injection/starttls': 6},
    'starttls_drop': {'tls-failure/tls': 6},
    'starttls_garbage': {'tls-failure/tls': 6},
}
GOES_WELL = ['', 'nopipelining', 'barelf', 'trickle=1', 'latency=5', 'auth334only', 'strictline', 'dsn', 'nosmtputf8', 'slow_dot=100']


def faults(ground):
    f = Fault('smtp', '--tls', 'starttls')
    ground.faults.append(f)
    token = 'a-token-for-the-fault-injector'
    args = [*real(ground, '--tls', 'starttls', '--port', f.port, '--to', 'one@example.test', '--to', 'two@example.test', '--count', 3), *token_args()]
    for mode, wanted in GOES_WRONG.items():
        f.mode(mode)
        s = Sent(*args, secret=token, second=token + '-2')
        check(f'server: {mode}', s.all(wanted) and s.facts.get('exit') == '0' and token not in s.text, s.text)
    check('nothing in clear behind STARTTLS', f.stats()['plaintext_after_starttls'] == 0)
    for mode in GOES_WELL:
        f.mode(mode)
        s = Sent(*args, secret=token)
        check(f'server: {mode or "no fault"}', s.only('250 2.0.0/eom', 6), s.text)
    f.mode('nul')
    s = Sent(*args, secret=token)
    check('server: nul: shown escaped', s.only('250 /eom', 6) and '\\x00' in s.transcript and '\0' not in s.transcript, s.text)
    f.mode('dot_first=1')
    http(f.control + '/reset', b'')
    s = Sent(*args, secret=token)
    check('server: dot_first=1', s.all({'451 4.3.0/eom': 2, '250 2.0.0/eom': 4}), s.text)
    f.mode('auth_fail_first=1')
    http(f.control + '/reset', b'')
    s = Sent(*args, secret=token, second=token + '-2')
    check('the newer token goes over the same connection', s.only('250 2.0.0/eom', 6) and f.stats()['connections'] == 1, (s.text, f.stats()))
    f.mode('auth_fail')
    Sent(*args, secret=token, second=token + '-2')
    check('the error challenge of XOAUTH2 gets an empty line', f.stats()['last_challenge_answer'] == '')
    Sent(*args[:-1], 'oauthbearer', secret=token, second=token + '-2')
    check('that of OAUTHBEARER gets AQ==', f.stats()['last_challenge_answer'] == 'AQ==')
    s = Sent(*args, '--no-keeper', secret=token)
    check('the keeper ends before it answers', s.only('credential-later/token', 6), s.text)
    none_lost(f, args, token)
    life(f, args, token)
    f.stop()
    f = Fault('smtp', '--tls', 'none')
    s = Sent(*real(ground, '--tls', 'starttls', '--port', f.port, '--to', TO), *token_args(), secret=token)
    check('no STARTTLS is offered', s.only('no-starttls/starttls', 1) and f.stats()['auth_ok'] == 0, s.text)
    f.stop()


def none_lost(f, args, token):
    """Servers that end sessions early: each message arrives once."""
    for mode in ('close_after=3', 'close_after=3,close_quiet', 'close_after=1', 'close_after=1,close_quiet'):
        for sessions in (1, 3):
            f.mode(mode)
            http(f.control + '/reset', b'')
            s = Sent(*args, '--count', 50, '--sessions', sessions, '--retry', secret=token)
            got = f.stats()['messages']
            check(f'{mode}, {sessions} sessions: every message once', s.only('250 2.0.0/eom', 100) and got == 50, (s.outcomes, got))
    f.mode('slow_dot=20')
    http(f.control + '/reset', b'')
    s = Sent(*args, '--count', 60, '--sessions', 3, secret=token)
    check('work for many sessions, and three are allowed', s.only('250 2.0.0/eom', 120) and f.stats()['connections'] == 3, (s.text, f.stats()['connections']))
    f.mode('421_after=40')  # commands of all sessions together: after that, nobody gets in
    http(f.control + '/reset', b'')
    s = Sent(*args, '--count', 50, '--sessions', 3, secret=token)
    st = f.stats()
    check('nobody gets in any more: all is answered, and the server is left alone', s.facts.get('answered') == '50 of 50' and st['connections'] < 12 and
          2 * st['messages'] == s.outcomes.get('250 2.0.0/eom', 0), (s.outcomes, st['connections'], st['messages']))


def life(f, args, token):
    """The end of the role, and a new configuration, in the midst of work."""
    for mode, wanted in (('hang_after_dot', {'closed/eom in-doubt': 2, '/none untried': 4}), ('ehlo=hang', {'/none untried': 6}), ('mail=hang', {'.*closed/mail': 2, '/none untried': 4})):
        f.mode(mode)
        s = Sent(*args, '--shutdown', 300, secret=token)
        check(f'told to end while the server hangs ({mode})', s.facts.get('exit') == '0' and s.facts.get('answered') == '3 of 3' and s.took < 4.5 and
              sum(s.outcomes.values()) == 6 and sum(n for o, n in s.outcomes.items() if 'untried' in o) == wanted['/none untried'], (s.took, s.text))
    for how, connections in (('same', 1), ('changed', 2)):
        f.mode('slow_dot=10')
        http(f.control + '/reset', b'')
        s = Sent(*args, '--count', 20, '--outstanding', 4, '--reload', how, secret=token)
        check(f'a new configuration, {how}: nothing is lost', s.only('250 2.0.0/eom', 40) and f.stats()['messages'] == 20, s.text)
        check(f'a new configuration, {how}: sessions stay where nothing changed', f.stats()['connections'] == connections, f.stats()['connections'])
    s = Sent(*args, '--count', 20, '--outstanding', 4, '--reload', 'gone', secret=token)
    check('the account is gone: what is on its way is finished, the rest is untried', s.facts.get('answered') == '20 of 20' and
          all(re.match('250 2.0.0/eom|/none untried', o) for o in s.outcomes), s.text)


def run(ground, options):
    small, big = token_of(ground), token_of(ground, 'svc-bigtoken')
    matrix(ground, small, big)
    contents(ground, small)
    refusals(ground, small)
    ways_to_the_server(ground, small)
    faults(ground)
