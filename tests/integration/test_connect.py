# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""How frank-send gets to its server and knows it for what it is: names, addresses, keys, certificates, tickets, bound logins."""
from harness import *
from test_send import Sent, real, FROM, TO

PASSWORD = ['--grant', 'password']


def openssl(*args, **k):
    return subprocess.run(['openssl', *args], check=True, capture_output=True, **k).stdout


def pin_of(certificate):
    import base64
    key = openssl('x509', '-in', certificate, '-pubkey', '-noout')
    return 'sha256/' + base64.b64encode(openssl('dgst', '-sha256', '-binary', input=openssl('pkey', '-pubin', '-outform', 'der', input=key))).decode()


def authority(folder, **names):
    """An authority, and a certificate for each keyword's names."""
    ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    openssl('req', '-x509', *ec, '-days', '30', '-subj', '/CN=names test CA', '-keyout', f'{folder}/ca.key', '-out', f'{folder}/ca.pem')
    for name, hosts in names.items():
        openssl('req', *ec, '-subj', f'/CN={name}', '-keyout', f'{folder}/{name}.key', '-out', f'{folder}/{name}.csr')
        with open(f'{folder}/{name}.ext', 'w') as f:
            f.write('subjectAltName=' + ','.join('DNS:' + h for h in hosts) + '\n')
        openssl('x509', '-req', '-in', f'{folder}/{name}.csr', '-CA', f'{folder}/ca.pem', '-CAkey', f'{folder}/ca.key', '-CAcreateserial', '-days', '30',
                '-extfile', f'{folder}/{name}.ext', '-out', f'{folder}/{name}.pem')


def pins(ground):
    own, wrong = pin_of(os.environ['GROUND_TLS_CERT']), 'sha256/' + 'A' * 43 + '='
    base = ['--host', 'localhost', '--user', FROM, '--from', FROM, '--to', TO, '--tls', 'starttls', '--port', ground.starttls, *PASSWORD]
    sent = lambda *more: Sent(*base, *more, secret=ground.password)
    s = sent('--pin', own)
    check('a pinned key is trusted without its issuer', s.only('250 2.0.0/eom', 1), s.text)
    s = sent('--pin', wrong)
    check('another key is not, and the line says which it is', s.only('certificate-untrusted/tls', 1) and own in s.text and 'AUTH' not in s.transcript, s.text)
    s = sent('--pin', wrong, '--ca', ground.ca)
    check('nor with a good issuer', s.only('certificate-untrusted/tls', 1) and own in s.text, s.text)
    s = sent('--pin', own, '--ca', os.path.join(os.path.dirname(ground.ca), 'bad-selfsigned.pem'))
    check('pin and ca-file: both must hold', s.only('certificate-untrusted/tls.*issuer', 1), s.text)
    s = sent('--ca', ground.ca, '--tls-name', 'mail.example.test')
    check('tls-name: the certificate must be for that name', s.only('250 2.0.0/eom', 1), s.text)
    s = sent('--ca', ground.ca, '--tls-name', 'other.example.test')
    check('tls-name: and for no other', s.only('certificate-name/tls', 1), s.text)


def client_certificate(ground):
    """A server that wants one: Python's ssl, one line of SMTP."""
    folder = tempfile.mkdtemp(dir=harness_dir())
    authority(folder, client=['client.test'])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ['GROUND_TLS_CERT'], os.environ['GROUND_TLS_KEY'])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(f'{folder}/ca.pem')
    seen = []
    with socket.create_server(('127.0.0.1', 0)) as listener:
        def serve():
            for _ in range(3):
                with contextlib.suppress(OSError):
                    c, _ = listener.accept()
                    with context.wrap_socket(c, server_side=True) as t:
                        seen.append(dict(x[0] for x in t.getpeercert()['subject'])['commonName'])
                        t.sendall(b'554 5.7.1 that was all\r\n')
                        t.recv(100)
        thread = threading.Thread(target=serve)
        thread.start()
        base = real(ground, '--tls', 'implicit', '--port', listener.getsockname()[1], '--to', TO)
        s = Sent(*base, '--certificate', f'{folder}/client.pem', '--key', f'{folder}/client.key')
        check('a server that wants a certificate gets the account\'s', s.only('554 5.7.1/greeting', 1) and seen == ['client'], (seen, s.text))
        s = Sent(*base)
        check('without one it refuses', not s.only('554') and len(seen) == 1, (seen, s.text))
        s = Sent(*base, '--certificate', f'{folder}/client.pem', '--key', f'{folder}/ca.key')
        check('a key that is not the certificate\'s is said so', s.only('local/tls The account.s tls-key is not the key', 1), s.text)
        thread.join(20)


def tickets(ground):
    for version in ((), ('--tls12',)):
        server = ScramServer(ground.password, '--once', *version)
        s = Sent(*real(ground, '--to', TO, '--tls', 'implicit', '--port', server.port, '--count', 4, '--outstanding', 1, '--retry'), *PASSWORD, secret=ground.password)
        check(f'a later session resumes the TLS of an earlier one {version}', s.only('250 2.0.0/eom', 4) and s.facts['tls'].endswith(', resumed') and
              s.facts['mechanism'] == ('SCRAM-SHA-256' if version else 'SCRAM-SHA-256-PLUS'), s.text)
        server.stop()


class ScramServer:
    def __init__(self, password, *args):
        self.p = subprocess.Popen(['bash', '-c', f'. "{GROUND_HOME}/lib/node.sh"; exec node "$@"', 'node', os.path.join(HERE, 'scram-server.mjs'), '--cert', os.environ['GROUND_TLS_CERT'],
                                   '--key', os.environ['GROUND_TLS_KEY'], *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.p.stdin.write(password)
        self.p.stdin.close()
        self.port = json.loads(self.p.stdout.readline())['port']

    def stop(self):
        self.p.terminate()
        self.p.wait(10)


def bound_logins(ground):
    for args, version, mechanism in (((), 'TLSv1.3', 'SCRAM-SHA-256-PLUS'), (('--tls12',), 'TLSv1.2', 'SCRAM-SHA-256-PLUS'), (('--no-plus',), 'TLSv1.3', 'SCRAM-SHA-256')):
        server = ScramServer(ground.password, *args)
        base = real(ground, '--tls', 'implicit', '--port', server.port, '--to', TO)
        s = Sent(*base, '--count', 2, *PASSWORD, secret=ground.password)
        check(f'{mechanism} over {version}', s.only('250 2.0.0/eom', 2) and s.facts['mechanism'] == mechanism and s.facts['tls'].startswith(version), s.text)
        s = Sent(*base, *PASSWORD, secret='wrong-password-0123')
        check(f'{mechanism} over {version}: a wrong password', s.only('535 5.7.8/auth invalid-proof', 1), s.text)
        server.stop()
    for version in ((), ('--tls12',)):
        server = ScramServer(ground.password, '--lie', *version)
        s = Sent(*real(ground, '--tls', 'implicit', '--port', server.port, '--to', TO), *PASSWORD, secret=ground.password)
        check('a login that was bound to another connection is refused', s.only('535 5.7.8/auth channel-bindings-dont-match', 1), s.text)
        server.stop()


WANTED = {  # case: outcome, what the transcript must say, and must not
    'in its own domain': ('250 2.0.0/eom', r'connected to mail\.in\.test:\d+ \[127\.0\.0\.1\]', None),
    'another domain': ('certificate-name/tls The server.s certificate is not for out.test but for mail.elsewhere.test', '', 'EHLO'),
    'another domain, named by tls-name': ('250 2.0.0/eom', r'connected to mail\.elsewhere\.test', None),
    'another domain, certificate for ours': ('250 2.0.0/eom', r'connected to mail\.elsewhere\.test', None),
    'STARTTLS where there is nothing else': ('250 2.0.0/eom', 'C: STARTTLS', None),
    'STARTTLS where implicit is asked for': ('no-host/dns The name _submissions._tcp.two.test', '', 'connected'),
    'the second server where the first is dead': ('250 2.0.0/eom', r'port 1: Connection refused[^$]*connected to mail\.in\.test', None),
    'no service, on purpose': ('no-host/dns The name _submission._tcp.none.test names no server', '', 'connected'),
    'no such domain': ('no-host/dns The name _submission._tcp.nowhere.test does not exist', '', 'connected'),
    'an address that never answers': ('250 2.0.0/eom', r'connected to hole\.test:\d+ \[127\.0\.0\.1\]', 'timed out'),
    'localhost, which no file names': ('250 2.0.0/eom', r'connected to localhost:\d+ \[127\.0\.0\.1\]', None),
    'a name below localhost': ('250 2.0.0/eom', r'connected to mail\.localhost:\d+ \[127\.0\.0\.1\]', None),
    'a kind of address that is never named': ('250 2.0.0/eom', r'connected to silent\.test:\d+ \[127\.0\.0\.1\]', None),
}


def names():
    """In a network of its own, with a name server of its own."""
    if os.geteuid() != 0:
        check.needs_root('servers named by DNS, and several addresses')
        return
    account = lambda domain: {'mailbox': 'billing@example.test', 'grant': 'none', 'submit': f'srv:{domain}'}
    f = Frank('names', {'found': account('in.test'), 'nowhere': account('nowhere.test')})
    folder = f.dir
    f.accounts['found']['ca-file'] = f'{folder}/ca.pem'
    f.write_conf()
    authority(folder, domain=['mail.in.test', 'own.test', 'two.test', 'order.test'], elsewhere=['mail.elsewhere.test'])
    with open(f'{folder}/resolv.conf', 'w') as out:
        out.write('nameserver 127.0.0.1\n')
    with open(f'{folder}/hosts', 'w') as out:
        out.write('192.0.2.7 elsewhere\n')
    argv = [os.path.join(HERE, 'names.py'), folder, os.path.join(build_dir(), 'tests/send/send-driver'), os.path.join(build_dir(), 'broker/frank-send'),
            program('frankd'), program('frank'), program('sendmail')]
    env = dict(clean_env(), GROUND=os.environ['GROUND'], GROUND_NPM=os.environ.get('GROUND_NPM', ''), PYTHONDONTWRITEBYTECODE='1')
    r = subprocess.run(['unshare', '-n', '-m', 'sh', '-c', f'mount --bind {folder}/resolv.conf /etc/resolv.conf && mount --bind {folder}/hosts /etc/hosts && exec python3 "$@"', 'sh', *argv],
                       env=env, capture_output=True, text=True, timeout=300)
    seen = {}
    for line in r.stdout.splitlines():
        case = json.loads(line)
        seen[case['name']] = case['out'] + case['err']
    for name, (outcome, said, unsaid) in WANTED.items():
        text = seen.get(name, r.stderr)
        check(f'names: {name}', re.match('1 ' + outcome, text) and re.search(said, text) and not (unsaid and re.search(unsaid, text)), text)
    said = seen.get('check found', '')
    check('frank check of a server that DNS names: all is well, and the server is named', '"cause": "healthy"' in said and
          re.search(r'in\.test names mail\.in\.test:\d+', said) and re.search(r'"endpoint": "mail\.in\.test:\d+ \[127\.0\.0\.1\]"', said), (said, r.stderr[-600:]))
    check('the key that mail was signed with before a restart is looked up, and it is said where it was seen',
          'app._domainkey.example.test: an Ed25519 key (seen in the DKIM-Signature of mail)' in said, (said, r.stderr[-600:]))
    said = seen.get('authorize', '')
    check('an issuer at localhost is found though no file names it', re.match(r'http://localhost:\d+/authorize\?', said), (said, r.stderr[-600:]))
    said = seen.get('check nowhere', '')
    check('frank check of a domain that names none: the account is called what it is', '"endpoint": "srv:nowhere.test"' in said and ':0' not in said and
          'nowhere.test does not exist' in said, (said, r.stderr[-600:]))


def run(ground, options):
    pins(ground)
    client_certificate(ground)
    tickets(ground)
    bound_logins(ground)
    names()
