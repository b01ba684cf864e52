#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""names.py FOLDER DRIVER FRANK-SEND FRANKD FRANK SENDMAIL: how frank-send finds its server, in a network of its own: a name server of ours on
127.0.0.1, port 53.

Started by test_connect.py under `unshare -n -m`, with FOLDER/resolv.conf over /etc/resolv.conf, and FOLDER/hosts, which says nothing of
localhost, over /etc/hosts. Prints a JSON line per case: its name, what the driver printed, and what the servers saw; last what
`frank check` says of accounts whose server DNS names, and the address that `frank authorize` has from an issuer at localhost. FOLDER has
the certificates, and frank.conf for frankd.
"""
import fcntl, http.server, json, os, socket, struct, subprocess, sys, threading, time

HERE = os.path.dirname(os.path.realpath(__file__))
FAULT = os.path.join(os.path.dirname(HERE), 'ground', 'fault')
A, TXT, AAAA, SRV = 1, 16, 28, 33


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, 0x8914, struct.pack('16sH14x', b'lo', 0x1 | 0x40))  # SIOCSIFFLAGS: up, running


def wire_name(name):
    return b''.join(bytes([len(p)]) + p.encode() for p in name.split('.') if p) + b'\0'


def answer(query, records):
    """One answer (RFC 1035 section 4) of what `records` has: {(name, type): [data]}. None: no answer at all."""
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    name, kind = '.'.join(labels).lower(), struct.unpack('!H', query[at + 1:at + 3])[0]
    found = records.get((name, kind), [])
    if found is None:
        return None
    known = any(n == name for n, _ in records)
    head = query[:2] + struct.pack('!HHHHH', 0x8580 if known else 0x8583, 1, len(found), 0, 0)
    return head + query[12:at + 5] + b''.join(b'\xc0\x0c' + struct.pack('!HHIH', kind, 1, 60, len(d)) + d for d in found)


def serve_names(records):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(('127.0.0.1', 53))

    def loop():
        while True:
            query, peer = s.recvfrom(2048)
            reply = answer(query, records)
            if reply:
                s.sendto(reply, peer)
    threading.Thread(target=loop, daemon=True).start()


def hole(address):
    """A port where connections hang: its backlog is full, so the kernel answers nobody."""
    s = socket.socket(socket.AF_INET6)
    s.bind(address)
    s.listen(0)
    fill = []
    for _ in range(4):
        c = socket.socket(socket.AF_INET6)
        c.setblocking(False)
        c.connect_ex(s.getsockname()[:2])
        fill.append(c)
    return s, fill


class Server:
    def __init__(self, folder, tls, certificate, *more):
        self.p = subprocess.Popen([FAULT, 'smtp', '--tls', tls, '--cert', f'{folder}/{certificate}.pem', '--key', f'{folder}/{certificate}.key', *more],
                                  stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.p.stdout.readline())['port']


def start(folder, frankd):
    with open(f'{folder}/frankd.log', 'ab') as log:
        d = subprocess.Popen([frankd, '-c', f'{folder}/frank.conf', '--foreground'], stdin=subprocess.DEVNULL, stderr=log)
    deadline = time.monotonic() + 60
    while not os.path.exists(f'{folder}/run/submit.sock') and d.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return d


def issuer():
    """An authorization server as far as its own description."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            base = f'http://localhost:{self.server.server_address[1]}'
            body = json.dumps(dict(issuer=base, authorization_endpoint=base + '/authorize', token_endpoint=base + '/token')).encode()
            self.send_response(200)
            self.send_header('Content-Type', 'application/json')
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with open(f'{sys.argv[1]}/frank.conf', 'a') as conf:
        conf.write(f'account "issuer" {{\n mailbox = "billing@example.test"\n grant = "authorization-code"\n client-id = "names"\n scopes = {{"mail.send"}}\n'
                   f' issuer = "http://localhost:{server.server_address[1]}"\n submit = "localhost:587"\n}}\n')


def checks(folder, frankd, frank, sendmail):
    """A signed message through an account of frank.conf; after a restart `frank check` of each, as JSON."""
    d = start(folder, frankd)
    env = dict(os.environ, FRANK_CONTROL_SOCKET=f'{folder}/run/control.sock', FRANK_SUBMIT_SOCKET=f'{folder}/run/submit.sock')
    message = 'DKIM-Signature: v=1; a=ed25519-sha256; d=example.test;\n s=app; h=from; bh=MTIz; b=MTIz\nFrom: billing@example.test\nSubject: signed\n\nsigned\n'
    r = subprocess.run([sendmail, '-f', 'billing@example.test', 'inbox@example.test'], input=message, capture_output=True, text=True, env=env, timeout=60)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and json.loads(subprocess.run([frank, 'queue', '--json'], capture_output=True, text=True, env=env, timeout=60).stdout)['messages']:
        time.sleep(0.1)
    d.terminate()
    d.wait(30)
    d = start(folder, frankd)
    for account in ('found', 'nowhere'):
        c = subprocess.run([frank, 'check', account, '--json'], stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=200)
        print(json.dumps(dict(name=f'check {account}', rc=c.returncode, out=c.stdout, err=r.stderr + c.stderr)), flush=True)
    p = subprocess.Popen([frank, 'authorize', 'issuer', '--no-browser'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    url = p.stdout.readline()
    p.terminate()
    print(json.dumps(dict(name='authorize', out=url, err=p.communicate(timeout=30)[1])), flush=True)
    d.terminate()
    d.wait(30)


def main():
    folder, driver, program, frankd, frank, sendmail = sys.argv[1:]
    loopback_up()
    implicit, starttls, foreign = Server(folder, 'implicit', 'domain'), Server(folder, 'starttls', 'domain'), Server(folder, 'implicit', 'elsewhere')
    plain = Server(folder, 'none', 'domain')
    srv = lambda priority, port, host: struct.pack('!HHH', priority, 1, port) + wire_name(host)
    text = lambda t: bytes([len(t)]) + t.encode()
    here = socket.inet_aton('127.0.0.1')
    records = {(n, A): [here] for n in ('mail.in.test', 'mail.elsewhere.test', 'dead.in.test', 'hole.test', 'silent.test')}
    records.update({
        ('_submissions._tcp.in.test', SRV): [srv(0, implicit.port, 'mail.in.test')],
        ('_submissions._tcp.out.test', SRV): [srv(0, foreign.port, 'mail.elsewhere.test')],
        ('_submissions._tcp.own.test', SRV): [srv(0, implicit.port, 'mail.elsewhere.test')],
        ('_submission._tcp.two.test', SRV): [srv(0, starttls.port, 'mail.elsewhere.test')],
        ('_submissions._tcp.order.test', SRV): [srv(20, implicit.port, 'mail.in.test'), srv(10, 1, 'dead.in.test')],
        ('_submissions._tcp.none.test', SRV): [srv(0, 0, '')],
        ('_submission._tcp.none.test', SRV): [srv(0, 0, '')],
        ('app._domainkey.example.test', TXT): [text('v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=')],
        ('hole.test', AAAA): [socket.inet_pton(socket.AF_INET6, '::1')],
        ('silent.test', AAAA): None,
    })
    serve_names(records)
    issuer()
    kept = hole(('::1', plain.port))
    cases = {
        'in its own domain': ['--srv', '--host', 'in.test', '--tls', 'either'],
        'another domain': ['--srv', '--host', 'out.test', '--tls', 'either'],
        'another domain, named by tls-name': ['--srv', '--host', 'out.test', '--tls', 'either', '--tls-name', 'mail.elsewhere.test'],
        'another domain, certificate for ours': ['--srv', '--host', 'own.test', '--tls', 'either'],
        'STARTTLS where there is nothing else': ['--srv', '--host', 'two.test', '--tls', 'either'],
        'STARTTLS where implicit is asked for': ['--srv', '--host', 'two.test', '--tls', 'implicit'],
        'the second server where the first is dead': ['--srv', '--host', 'order.test', '--tls', 'either'],
        'no service, on purpose': ['--srv', '--host', 'none.test', '--tls', 'either'],
        'no such domain': ['--srv', '--host', 'nowhere.test', '--tls', 'either'],
        'an address that never answers': ['--host', 'hole.test', '--tls', 'none', '--port', str(plain.port)],
        'localhost, which no file names': ['--host', 'localhost', '--tls', 'none', '--port', str(plain.port)],
        'a name below localhost': ['--host', 'mail.localhost', '--tls', 'none', '--port', str(plain.port)],
        'a kind of address that is never named': ['--host', 'silent.test', '--tls', 'none', '--port', str(plain.port)],
    }
    for name, args in cases.items():
        r = subprocess.run([driver, program, '--ca', f'{folder}/ca.pem', '--transcript', *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        print(json.dumps(dict(name=name, out=r.stdout, err=r.stderr)), flush=True)
    checks(folder, frankd, frank, sendmail)
    for s in (implicit, starttls, foreign, plain):
        s.p.terminate()
        s.p.wait()
    del kept


if __name__ == '__main__':
    main()
