# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""What the integration tests share: the ground's servers, a private frankd, its commands, and the checks.

Python 3's standard library only. Everything lives below one temporary folder; processes are ended by their id.
Each check prints its line at once: `ok NAME` or `FAIL NAME -- what was seen`.
"""
import contextlib, glob, importlib.machinery, importlib.util, json, mailbox, os, pwd, random, re, resource, select, shutil, signal, socket, ssl, \
    subprocess, sys, tempfile, threading, time, urllib.error, urllib.parse, urllib.request

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
GROUND_HOME = os.path.join(TOP, 'tests', 'ground')
sys.path.insert(0, os.path.join(GROUND_HOME, 'lib'))
import localhost
SCOPES = ['openid', 'offline_access', 'email', 'mail.send']
CLIENT = 'broker-public'


class Checks:
    """Counts and prints."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.group = ''
        self.for_root = {}  # topic: what of it only root can do
        self.lock = threading.Lock()

    def __call__(self, name, good, info=''):
        with self.lock:
            if good:
                self.passed += 1
                print(f'ok   {self.group}: {name}', flush=True)
            else:
                self.failed += 1
                print(f'FAIL {self.group}: {name} -- {str(info)[:1500]}', flush=True)
        return bool(good)

    def skip(self, name, why):
        with self.lock:
            self.skipped += 1
            print(f'skip {self.group}: {name} -- {why}', flush=True)

    def needs_root(self, name, why='needs root'):
        """Where we are not root, run.py has the topic run once more as root when all are through."""
        if os.geteuid() == 0:
            self.skip(name, why)
        else:
            self.for_root.setdefault(self.group, []).append(name)


check = Checks()


def clean_env():
    """The environment for a program under test: without what the tests know."""
    return {k: v for k, v in os.environ.items() if not k.startswith(('GROUND', 'FRANK'))}


class Secrets:
    """Every secret that a run used, to be looked for at its end where it must not be."""

    def __init__(self):
        self.values = set()

    def add(self, *values):
        for v in values:
            v = v.encode() if isinstance(v, str) else v
            if v and len(v) >= 16:
                self.values.add(v)

    def found_in(self, data):
        return [v for v in self.values if v in data]


secrets = Secrets()


def wait_for(condition, seconds=10, step=0.05):
    """What `condition` gave once it was true, else its last value."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > end:
            return value
        time.sleep(step)


def build_dir():
    d = os.environ.get('FRANK_BUILD', os.path.join(TOP, 'build-test'))
    return os.path.abspath(d)


def program(name):
    return os.path.join(build_dir(), {'frankd': 'broker/frankd', 'frank': 'admin/frank', 'sendmail': 'shim/sendmail', 'mailq': 'shim/mailq',
                                      'frank-sandbox': 'sandbox/frank-sandbox'}[name])


def free_port():
    """A port below those that the kernel gives to outgoing connections, which could take it before it is used."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(('127.0.0.1', port))
            return port


def loopback(port):
    """The loopback addresses of this machine, which may be without IPv6, with a port each, as a listener has them."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as s:
        s.bind(('::1', 0))
        return [f'127.0.0.1:{port}', f'[::1]:{port}']
    return [f'127.0.0.1:{port}']


def http(url, data=None, headers={}, cafile=None, timeout=20):
    """(status, text) without a proxy; redirects are not followed."""
    class No(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *a, **k):
            return None
    ctx = ssl.create_default_context(cafile=cafile) if url.startswith('https') else None
    op = urllib.request.build_opener(urllib.request.ProxyHandler({}), No, *([urllib.request.HTTPSHandler(context=ctx)] if ctx else []))
    try:
        with op.open(urllib.request.Request(url, data, headers), timeout=timeout) as r:
            return r.status, r.read().decode(errors='replace')
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(errors='replace')
    except (OSError, urllib.error.URLError) as e:
        return 0, str(e)


def browse(url):
    """A loopback page, its redirects followed as a browser does: (status, text) of the last one."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20) as r:
            return r.status, r.read().decode(errors='replace')
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode(errors='replace')
    except (OSError, urllib.error.URLError) as e:
        return 0, str(e)


class Ground:
    """The real servers of tests/ground, brought up once for a run."""

    def __init__(self):
        self.was_up = subprocess.run([GROUND_HOME + '/ground', 'status'], capture_output=True).returncode == 0
        if not self.was_up:
            import secrets as random_text
            os.environ['GROUND_PASSWORD'] = random_text.token_urlsafe(18)  # one that can be searched for
            subprocess.run([GROUND_HOME + '/ground', 'up'], check=True, stdout=subprocess.DEVNULL)
        self.load()
        self.faults = []

    def load(self):
        root = os.environ.get('GROUND', os.path.join(os.environ.get('TMPDIR', '/tmp'), 'ground'))
        out = subprocess.run(['bash', '-c', f'. "{root}/env"; env -0'], capture_output=True, text=True, check=True).stdout
        for line in out.split('\0'):
            k, _, v = line.partition('=')
            if k.startswith('GROUND'):
                os.environ[k] = v
        self.ca, self.issuer, self.password = os.environ['GROUND_CA'], os.environ['GROUND_ISSUER'], os.environ['GROUND_PASSWORD']
        self.starttls, self.implicit = int(os.environ['GROUND_SUBMISSION_PORT']), int(os.environ['GROUND_SUBMISSIONS_PORT'])
        self.mail = os.environ['GROUND_MAIL']
        loader = importlib.machinery.SourceFileLoader('ground_token', GROUND_HOME + '/token')
        sys.dont_write_bytecode = True
        spec = importlib.util.spec_from_loader('ground_token', loader)
        self.token = importlib.util.module_from_spec(spec)
        loader.exec_module(self.token)

    def down(self):
        for f in self.faults:
            f.stop()
        self.remember()
        if not self.was_up:
            subprocess.run([GROUND_HOME + '/ground', 'down'], stdout=subprocess.DEVNULL)

    def set(self, **k):
        return http(os.environ['GROUND_ADMIN'] + '/set?' + urllib.parse.urlencode(k), b'')

    def reset(self):
        self.set(at_ttl=os.environ['GROUND_AT_TTL'], rt_ttl=os.environ['GROUND_RT_TTL'], rotate=os.environ['GROUND_RT_ROTATE'], expires_in='yes')

    def revoke(self, account):
        return http(os.environ['GROUND_ADMIN'] + '/revoke?account=' + urllib.parse.quote(account), b'')

    def log(self):
        return json.loads(http(os.environ['GROUND_ADMIN'] + '/log')[1])

    def remember(self):
        """Notes every code and token that the authorization server holds now."""
        for name in self.token_names():
            secrets.add(name)

    def token_names(self):
        status, text = http(os.environ['GROUND_ADMIN'] + '/tokens')
        return json.loads(text) if status == 200 else []

    def sign_in(self, url, login, deny=False):
        """Answers the forms as `login`; returns the address that the browser would be sent to. The code in it is not used up."""
        redirect = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)['redirect_uri'][0]
        try:
            to = self.token.walk(url, login, redirect)
        except SystemExit as e:
            raise RuntimeError(str(e))
        secrets.add(urllib.parse.parse_qs(urllib.parse.urlsplit(to).query).get('code', [''])[0])
        return to

    def browser(self, url, login, *more):
        r = subprocess.run([GROUND_HOME + '/browser-login', url, login, *more], capture_output=True, text=True, timeout=120)
        try:
            out = json.loads(r.stdout)
        except ValueError:
            out = dict(error=r.stderr[-800:])
        secrets.add(urllib.parse.parse_qs(urllib.parse.urlsplit(out.get('redirect') or '').query).get('code', [''])[0])
        return r.returncode, out

    def messages(self, address):
        """Texts in the mailbox of an address."""
        box = os.path.join(self.mail, address.lower(), 'Maildir', 'new')
        return [open(f, errors='replace').read() for f in sorted(glob.glob(box + '/*'))]

    def arrived(self, address, marker, seconds=20):
        return wait_for(lambda: [m for m in self.messages(address) if marker in m], seconds, 0.1)


class Fault:
    """A counterpart that misbehaves: tests/ground/fault."""

    all = []  # every one of a run: a topic may end before it stops its own

    def __init__(self, *args):
        self.p = subprocess.Popen([GROUND_HOME + '/fault', *args], stdout=subprocess.PIPE, text=True)
        Fault.all.append(self)
        self.info = json.loads(self.p.stdout.readline())
        self.port = self.info['port']
        self.control = f"http://127.0.0.1:{self.info['control']}"

    def mode(self, text):
        return http(self.control + '/mode?set=' + text, b'')

    def stats(self):
        return json.loads(http(self.control + '/stats')[1])

    def messages(self):
        return json.loads(http(self.control + '/messages')[1])

    def stop(self):
        if self.p.poll() is None:
            self.p.terminate()
            self.p.wait(10)


def quote(v):
    if isinstance(v, bool):
        return 'true' if v else 'false'
    if isinstance(v, (int, float)):
        return str(v)
    if isinstance(v, (list, tuple)):
        return '{' + ', '.join(quote(x) for x in v) + '}'
    return '"' + str(v).replace('\\', '\\\\').replace('"', '\\"') + '"'


def block(kind, name, keys):
    body = ''.join(f'    {k} = {quote(v)}\n' for k, v in keys.items() if v is not None)
    return f'{kind}{" " + quote(name) if name else ""} {{\n{body}}}\n'


class Frank:
    """One private frankd: its folder, its configuration, its commands."""

    all = []  # every one of a run, for the search for secrets and for the end

    def __init__(self, name, accounts, services=None, top=None, spool=None, tokens=None, listeners=None):
        self.dir = tempfile.mkdtemp(prefix=f'frank-{name}-', dir=RUN_DIR)
        os.chmod(self.dir, 0o755)
        for sub in ('run', 'state'):
            os.mkdir(os.path.join(self.dir, sub), 0o755)
        if os.getuid() == 0:  # started as root, the roles become the owner of the state folder
            nobody = pwd.getpwnam('nobody')
            os.chown(os.path.join(self.dir, 'state'), nobody.pw_uid, nobody.pw_gid)
        self.accounts, self.services, self.top, self.spool, self.tokens = accounts, services, top or {}, spool, tokens
        self.listeners = listeners or {}
        self.p, self.starts = None, 0
        self.conf_file, self.log_file = os.path.join(self.dir, 'frank.conf'), os.path.join(self.dir, 'frankd.log')
        self.env = clean_env()
        self.env.update(FRANK_SUBMIT_SOCKET=self.path('run/submit.sock'), FRANK_CONTROL_SOCKET=self.path('run/control.sock'),
                        FRANK_DROP_DIR=self.path('state/drop'))
        self.write_conf()
        Frank.all.append(self)

    def path(self, p):
        return os.path.join(self.dir, p)

    def write_conf(self):
        services = self.services
        if services is None:
            services = {'all': dict(users=['*'], accounts=list(self.accounts), senders=['*'], **{'from': 'keep'}, token=True)}
        top = {'runtime-dir': self.path('run'), 'state-dir': self.path('state'), 'mail-name': 'example.test', 'hostname': 'client.example.test', 'aliases': 'none', **self.top}
        text = ''.join(f'{k} = {quote(v)}\n' for k, v in top.items())
        if self.spool:
            text += block('spool', None, self.spool)
        if self.tokens:
            text += block('tokens', None, self.tokens)
        text += ''.join(block('account', n, a) for n, a in self.accounts.items())
        text += ''.join(block('service', n, s) for n, s in services.items())
        text += ''.join(block('listener', n, x) for n, x in self.listeners.items())
        with open(self.conf_file, 'w') as f:
            f.write(text)

    def start(self, wait=True):
        """Starts frankd and waits until it listens. Returns whether it does."""
        self.starts += 1
        log = open(self.log_file, 'ab')
        # Who starts it may have any umask: what others need is theirs all the same.
        self.p = subprocess.Popen([program('frankd'), '-c', self.conf_file, '--foreground'], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
                                  start_new_session=True, umask=0o077)
        log.close()
        if not wait:
            return True
        return wait_for(lambda: self.p.poll() is not None or self.listening(), 15, 0.02) and self.p.poll() is None

    def listening(self):
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(2)
                s.connect(self.path('run/submit.sock'))
                return s.recv(4).startswith(b'220')
        except OSError:
            return False

    def pids(self):
        """frankd and all of its roles."""
        out = []
        if self.p is None or self.p.poll() is not None:
            return out
        for d in glob.glob('/proc/[0-9]*/stat'):
            with contextlib.suppress(OSError, ValueError):
                text = open(d).read()
                if int(text.rsplit(')', 1)[1].split()[3]) == self.p.pid:  # session
                    out.append(int(text.split(' ', 1)[0]))
        return sorted(set(out) | {self.p.pid})

    def is_sanitized(self):
        """Is it a build with AddressSanitizer, whose memory says little of the program's?"""
        return 'libasan' in open(f'/proc/{self.p.pid}/maps').read()

    def kill(self, pids=None):
        """kill -9 of the whole set at one moment; `pids` if they are known already, which is quicker."""
        pids = pids or self.pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.p:
            self.p.wait(10)
        wait_for(lambda: not any(alive(p) for p in pids), 5, 0.005)

    def stop(self, seconds=10):
        """SIGTERM; how long it took, or None where it did not end."""
        if self.p is None or self.p.poll() is not None:
            return 0.0
        pids, t = self.pids(), time.monotonic()
        self.p.terminate()
        try:
            self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            return None
        gone = wait_for(lambda: not any(alive(p) for p in pids), max(0.1, seconds - (time.monotonic() - t)), 0.01)
        return time.monotonic() - t if gone else None

    def log(self):
        return open(self.log_file, errors='replace').read()

    def sendmail(self, *args, body='Subject: x\n\nx\n', timeout=60):
        return subprocess.run([program('sendmail'), *args], input=body if isinstance(body, bytes) else body.encode(), capture_output=True, env=self.env, timeout=timeout)

    def send(self, sender, to, marker, timeout=60):
        """One message that can be found again by its marker. Returns sendmail's exit status."""
        r = self.sendmail('-i', '-f', sender, '--', *([to] if isinstance(to, str) else to), timeout=timeout,
                          body=f'From: {sender}\nTo: {to if isinstance(to, str) else ", ".join(to)}\nSubject: {marker}\n\nHello {marker}\n')
        if r.returncode:
            print(f'     sendmail: {r.returncode}: {r.stderr.decode(errors="replace").strip()}', flush=True)
        return r.returncode

    def frank(self, *args, input=None, timeout=60):
        return subprocess.run([program('frank'), *args], input=input, capture_output=True, text=True, env=self.env, timeout=timeout)

    def json(self, *args):
        r = self.frank(*args, '--json')
        try:
            return json.loads(r.stdout)
        except ValueError:
            return dict(error=r.stdout + r.stderr)

    def account(self, name):
        """The account's row of `frank status --json`."""
        rows = self.json('status')
        rows = rows.get('accounts', []) if isinstance(rows, dict) else rows
        return next((r for r in rows if isinstance(r, dict) and r.get('account', r.get('name')) == name), {})

    def queue(self):
        """The rows of `frank queue --json`."""
        q = self.json('queue')
        return q.get('messages', []) if isinstance(q, dict) else q

    def shown(self):
        """What a person sees of every message and account, as one text."""
        out = [self.frank('status').stdout]
        for m in self.queue():
            out.append(self.frank('queue', 'show', str(m.get('queue_id', m.get('id', '')))).stdout)
        return '\n'.join(out)

    def empty(self, seconds=20):
        return wait_for(lambda: self.queue() == [], seconds, 0.2)

    def begin_authorize(self, account, *args):
        """Starts `frank authorize --no-browser`; returns the process and the address that it printed."""
        p = subprocess.Popen([program('frank'), 'authorize', account, '--no-browser', *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env=self.env)
        url = p.stdout.readline().strip()
        secrets.add(urllib.parse.parse_qs(urllib.parse.urlsplit(url).query).get('state', [''])[0])
        return p, url

    def authorize(self, ground, account, login, *args):
        """Signs in by the forms, without a browser. Returns (exit status, output)."""
        p, url = self.begin_authorize(account, *args)
        try:
            back = ground.sign_in(url, login)
            browse(back)
            out, err = p.communicate(timeout=60)
        except Exception as e:  # the command's own words are what matters then
            p.kill()
            out, err = p.communicate()
            err += f'\n{type(e).__name__}: {e}'
        return p.returncode, out + err


def alive(pid):
    try:
        return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0] != 'Z'
    except OSError:
        return False


PROGRAMS = ('frankd', 'frank', 'frank-queue', 'frank-keeper', 'frank-https', 'frank-send', 'frank-tls', 'sendmail', 'mailq', 'frank-sandbox')


def parent(folder):
    """The program that started the process of this folder in /proc."""
    with contextlib.suppress(OSError, IndexError):
        pid = open(folder + '/stat').read().rsplit(')', 1)[1].split()[1]
        return open(f'/proc/{pid}/comm').read().strip()


class Watcher(threading.Thread):
    """Reads command lines and environments of the programs under test, again and again, for the search for secrets."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.done = {}, False  # content: (program, part, of what topic)

    def run(self):
        while not self.done:
            for d in glob.glob('/proc/[0-9]*') if check.group else ():  # before the first topic only the counterparts start
                with contextlib.suppress(OSError):
                    line = open(d + '/cmdline', 'rb').read()
                    name = os.path.basename(line.split(b'\0')[0]).decode(errors='replace')
                    if name not in PROGRAMS:
                        continue
                    try:
                        environ = open(d + '/environ', 'rb').read()
                    except PermissionError:  # undumpable, and we are not root: nobody else can read it either
                        environ = b''
                    self.seen.setdefault(line, (name, 'command line', check.group))
                    self.seen.setdefault(environ, (name, 'environment', f'{check.group}, parent {parent(d)}'))
            time.sleep(0.1)


watcher = Watcher()
RUN_DIR = None


def begin(run_dir):
    global RUN_DIR
    RUN_DIR = run_dir
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    watcher.start()


def harness_dir():
    """The folder of this run."""
    return RUN_DIR


def end():
    """Stops whatever still runs."""
    watcher.done = True
    for f in Frank.all + Fault.all:
        f.stop()


def oauth_account(ground, mechanism='XOAUTH2', tls='starttls', mailbox_='billing@example.test', **more):
    """An account of the ground's authorization server and mail server."""
    a = {'provider': 'generic', 'mailbox': mailbox_, 'client-id': CLIENT, 'grant': 'authorization-code', 'issuer': ground.issuer, 'scopes': SCOPES,
         'extra-parameters': ['prompt=consent'], 'submit': f'localhost:{ground.starttls if tls == "starttls" else ground.implicit}', 'tls': tls,
         'auth': [mechanism], 'ca-file': ground.ca}
    a.update(more)
    return a


def password_account(ground, mechanism='PLAIN', tls='starttls', mailbox_='billing@example.test', **more):
    a = {'provider': 'generic', 'mailbox': mailbox_, 'grant': 'password', 'submit': f'localhost:{ground.starttls if tls == "starttls" else ground.implicit}',
         'tls': tls, 'auth': [mechanism], 'ca-file': ground.ca}
    a.update(more)
    return a


def marker(prefix):
    return f'{prefix}-{time.time_ns():x}'


def as_root(topic):
    """A topic that changes users and mounts, run as root by a user with sudo; its lines and counts become ours."""
    kept = ('GROUND', 'GROUND_NPM', 'FRANK_BUILD', 'TMPDIR', 'ASAN_OPTIONS', 'UBSAN_OPTIONS')  # no secrets: command lines can be read
    words = ['sudo', 'env', *[f'{k}={v}' for k, v in os.environ.items() if k in kept or k.lower().endswith('_proxy')],
             sys.executable, os.path.join(HERE, 'run.py'), topic]
    seen = 0
    for line in subprocess.run(words, stdout=subprocess.PIPE, text=True).stdout.splitlines():
        kind, _, rest = line.partition(' ')
        name, _, info = rest.strip().removeprefix(topic + ': ').partition(' -- ')
        if kind in ('ok', 'FAIL'):
            check(name, kind == 'ok', info)
        elif kind == 'skip':
            check.skip(name, info)
        seen += kind in ('ok', 'FAIL', 'skip')
    check('ran as root', seen)
