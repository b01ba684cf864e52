# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Frank as a client of other people's servers, each started privately on loopback: Postfix, Exim, OpenSMTPD, Dovecot's submission
service, Python's aiosmtpd and nodemailer's smtp-server. Each gets mail that a person would send and mail that is awkward, over one
session and several, and must end up with each message once, octet for octet as far as its own rules allow."""
from harness import *
from test_send import Sent, token_of, token_args

FROM = 'billing@example.test'
TEXTS = {  # what is sent by sendmail: subject, body
    'plain': ('plain', 'Hello.\n'),
    'dots': ('dots', '.\n..\n.leading\n\n.\nend\n'),
    'utf8': ('=?utf-8?q?caf=C3=A9?=', 'Grüße aus Österreich – €\n'),
    'long': ('long', ('0123456789' * 60 + '\n') * 40),
    'big': ('big', ('x' * 70 + '\n') * 6000),
}


class Counterpart:
    """A server: where it listens and what it took. `auth`: the keys of an account that may use it."""
    ca, tls = None, 'starttls'

    def stop(self):
        pass


class Postfix(Counterpart):
    name = 'postfix'

    def __init__(self, ground):
        self.port, self.ca, self.ground = ground.starttls, ground.ca, ground
        self.keys = dict(grant='password')
        self.to = f'interop-{os.getpid()}@example.test'

    def taken(self):
        return self.ground.messages(self.to)


class Peer(Counterpart):
    """tests/ground/peer."""

    def __init__(self, name, ground, keys):
        self.name, self.keys, self.to = name, keys, 'to@example.net'
        self.dir, self.port = tempfile.mkdtemp(prefix=f'peer-{name}-', dir='/var/tmp'), free_port()
        self.p = subprocess.Popen([GROUND_HOME + '/peer', name, self.dir, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.up = self.p.stdout.readline().strip() == 'ready'
        self.why = '' if self.up else self.p.stderr.read()
        self.ca, self.tls = ground.ca, 'none' if name == 'opensmtpd' else 'starttls'

    def taken(self):
        if self.name == 'opensmtpd':
            return [open(f, errors='replace').read() for f in glob.glob(self.dir + '/mail/*')]
        return [open(f, errors='replace').read() for f in glob.glob(self.dir + '/spool/input/*-D')]

    def stop(self):
        self.p.stdin.close()
        self.p.wait(30)
        shutil.rmtree(self.dir, ignore_errors=True)


class Process(Counterpart):
    """A server in a small program of ours that prints {"port": N} and writes each message to a file."""

    def __init__(self, name, ground, argv, text):
        self.name, self.keys, self.to, self.ca = name, dict(grant='password'), 'to@example.net', ground.ca
        self.dir = tempfile.mkdtemp(dir=harness_dir())
        self.p = subprocess.Popen([*argv, self.dir, os.environ['GROUND_TLS_CERT'], os.environ['GROUND_TLS_KEY']], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.p.stdin.write(text)
        self.p.stdin.close()
        line = self.p.stdout.readline()
        self.up = bool(line)
        self.why = '' if line else self.p.stderr.read()[-500:]
        self.port = json.loads(line)['port'] if line else 0

    def taken(self):
        return [open(f, errors='replace', newline='').read() for f in glob.glob(self.dir + '/*.eml')]

    def stop(self):
        self.p.terminate()
        self.p.wait(10)


AIOSMTPD = r'''
import asyncio, json, os, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
folder, cert, key = sys.argv[1:]
password = sys.stdin.read().strip().encode()
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
count = 0
class Handler:
    async def handle_DATA(self, server, session, envelope):
        global count
        count += 1
        with open(f"{folder}/{count}.part", "wb") as f:
            f.write(envelope.content)
        os.rename(f"{folder}/{count}.part", f"{folder}/{count}.eml")
        return "250 2.0.0 taken"
def check(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and data.password == password
    return AuthResult(success=good, handled=False)
def factory():
    return SMTP(Handler(), tls_context=context, require_starttls=True, auth_required=True, authenticator=check, enable_SMTPUTF8=True, decode_data=False,
                data_size_limit=40000000, loop=loop)
loop = asyncio.new_event_loop()
server = loop.run_until_complete(loop.create_server(factory, host="127.0.0.1", port=0))
print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
loop.run_forever()
'''

NODEMAILER = r'''
const fs = require("fs"), path = require("path")
const [folder, cert, key] = process.argv.slice(1)
const { SMTPServer } = require(path.join(process.env.GROUND_NODE_MODULES, "smtp-server"))
const password = fs.readFileSync(0, "utf8").trim()
let n = 0
const server = new SMTPServer({
  cert: fs.readFileSync(cert), key: fs.readFileSync(key), authMethods: ["PLAIN", "LOGIN"], size: 40000000,
  onAuth: (a, s, done) => done(null, a.password === password ? { user: a.username } : {}),
  onData: (stream, s, done) => {
    const name = path.join(folder, String(++n)), out = fs.createWriteStream(name + ".part")
    stream.pipe(out)
    out.on("finish", () => { fs.renameSync(name + ".part", name + ".eml"); done(null, "2.0.0 taken") })
  }
})
server.on("error", () => {})
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.server.address().port })))
'''


DOVECOT_2_3 = '''protocols = submission
ssl_cert = <{cert}
ssl_key = <{key}
mail_location = maildir:~/Maildir
passdb {{
  driver = passwd-file
  args = scheme=plain username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={dir}/home allow_all_users=yes
}}
'''
DOVECOT_2_4 = '''dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols = submission
ssl_server_cert_file = {cert}
ssl_server_key_file = {key}
mail_driver = maildir
mail_path = ~/Maildir
passdb passwd-file {{
  passwd_file_path = {dir}/users
  default_password_scheme = plain
  auth_username_format = %{{user}}
}}
userdb static {{
  fields {{
    uid = mail
    gid = mail
    home = {dir}/home
  }}
  userdb_static_allow_all_users = yes
}}
'''


class Dovecot(Counterpart):
    """Its submission service in front of the ground's Postfix, with the ground's logins."""
    name = 'dovecot submission'

    def __init__(self, ground):
        self.ground, self.ca, self.keys = ground, ground.ca, dict(grant='password')
        self.to, self.port = f'interop-d-{os.getpid()}@example.test', free_port()
        self.dir = tempfile.mkdtemp(prefix='dovecot-', dir='/var/tmp')
        os.chmod(self.dir, 0o755)
        with open(f'{self.dir}/users', 'w') as f:
            f.write(f'{FROM}:{{PLAIN}}{ground.password}\n')
        os.chmod(f'{self.dir}/users', 0o644)
        self.conf = f'{self.dir}/dovecot.conf'
        with open(self.conf, 'w') as f:
            old = re.match(r'2\.[0-3]\.', subprocess.run(['dovecot', '--version'], capture_output=True, text=True).stdout)
            f.write((DOVECOT_2_3 if old else DOVECOT_2_4).format(dir=self.dir, cert=os.environ['GROUND_TLS_CERT'], key=os.environ['GROUND_TLS_KEY']))
            f.write(f'''base_dir = {self.dir}/run
state_dir = {self.dir}/state
instance_name = interop
log_path = {self.dir}/log
listen = 127.0.0.1
ssl = required
auth_mechanisms = plain scram-sha-256
submission_relay_host = 127.0.0.1
submission_relay_port = {os.environ['GROUND_MX_PORT']}
submission_relay_trusted = no
hostname = dovecot.test
first_valid_uid = 1
service submission-login {{
  inet_listener submission {{
    port = {self.port}
  }}
  inet_listener submissions {{
    port = 0
  }}
}}
''')
        with open(f'{self.dir}/start', 'w') as out:  # no pipe: the daemon would keep it open
            r = subprocess.run(['dovecot', '-c', self.conf], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.up = r.returncode == 0 and bool(wait_for(self.listens, 10))
        self.why = open(f'{self.dir}/start').read()

    def listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', self.port), 1).close()
            return True

    def taken(self):
        return self.ground.messages(self.to)

    def stop(self):
        subprocess.run(['doveadm', '-c', self.conf, 'stop'], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.dir, ignore_errors=True)


def counterparts(ground):
    root = os.geteuid() == 0
    node = ['bash', '-c', f'. "{GROUND_HOME}/lib/node.sh"; exec node -e "$0" -- "$@"', NODEMAILER]
    yield lambda: Postfix(ground)
    if root:
        yield lambda: Peer('exim', ground, dict(grant='password'))
        yield lambda: Peer('opensmtpd', ground, dict(grant='none'))
        yield lambda: Dovecot(ground)
    yield lambda: Process('aiosmtpd', ground, ['/usr/bin/python3', '-c', AIOSMTPD], ground.password)
    yield lambda: Process('nodemailer', ground, node, ground.password)


def one(ground, c):
    if not check(f'{c.name}: it is there', getattr(c, 'up', True), getattr(c, 'why', '')):
        return
    account = dict(provider='generic', mailbox=FROM, submit=f'localhost:{c.port}', tls=c.tls, sessions=3, **{'ca-file': c.ca}, **c.keys)
    f = Frank('interop', {'a': account})
    if not check(f'{c.name}: frankd starts', f.start(), f.log()[-500:]):
        return
    texts = lambda: c.taken()
    if c.keys['grant'] == 'password':
        f.frank('secret', 'set', 'a', input='surely not the password\n')
        lost = marker('interop-lost')
        f.send(FROM, c.to, lost)
        held = wait_for(lambda: f.account('a').get('state') not in ('active', None), 30, 0.3)
        check(f'{c.name}: a wrong password holds the account and keeps the mail', held and len(f.queue()) == 1, f.shown())
        f.frank('secret', 'set', 'a', input=ground.password + '\n')
        check(f'{c.name}: which goes with the right one', wait_for(lambda: any(lost in t for t in texts()), 40, 0.3), f.shown())
    marks = {}
    for name, (subject, body) in TEXTS.items():
        marks[name] = marker('interop')
        r = f.sendmail('-i', '-f', FROM, '--', c.to, body=f'From: {FROM}\nTo: {c.to}\nSubject: {subject}\nX-Mark: {marks[name]}\n\n{body}{marks[name]}\n')
        check(f'{c.name}: {name}: sendmail takes it', r.returncode == 0, r.stderr)
    many = [marker('interop-many') for _ in range(20)]
    for m in many:
        f.send(FROM, c.to, m)
    everything = list(marks.values()) + many
    gone = f.empty(60)
    check(f'{c.name}: the queue is empty', gone, f.shown()[-1200:])
    wait_for(lambda: all(any(m in t for t in texts()) for m in everything), 30, 0.3)
    got = texts()
    counts = {m: sum(m in t for t in got) for m in everything}
    check(f'{c.name}: each message is there once', all(n == 1 for n in counts.values()), {m: n for m, n in counts.items() if n != 1})
    dots = next((t for t in got if marks['dots'] in t), '').replace('\r\n', '\n')
    check(f'{c.name}: dots are as they were', '\n.\n..\n.leading\n\n.\nend\n' in dots, dots[-300:])
    big = next((t for t in got if marks['big'] in t), '')
    check(f'{c.name}: and all of a large one', big.count('x' * 70) == 6000, len(big))
    f.stop()


def run(ground, options):
    if os.geteuid() != 0:
        check.needs_root('exim, opensmtpd and dovecot as counterparts')
    secrets.add('surely not the password')
    for make in counterparts(ground):
        c = make()
        try:
            one(ground, c)
        finally:
            c.stop()
