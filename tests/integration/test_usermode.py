# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""frankd --user as a unit of a real `systemd --user`, its key in a real gnome-keyring on that user's bus.

The instance runs in a mount namespace of its own, where /run is its own and says that systemd has booted, and in cgroups made
for it: so it needs no systemd as process 1, but root.
"""
import os, pwd, re, shutil, signal, subprocess, time

from harness import *
import harness

USER = 'games'  # one of Debian's own without processes
UNIT = 'frank-user.service'


class Session:
    """What a login would start for USER."""

    def __init__(self):
        self.user = pwd.getpwnam(USER)
        self.home = os.path.join(harness.harness_dir(), 'home')
        self.run = f'/run/user/{self.user.pw_uid}'
        os.mkdir(self.home, 0o700)
        os.chown(self.home, self.user.pw_uid, self.user.pw_gid)
        self.env = {'PATH': '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', 'HOME': self.home, 'XDG_RUNTIME_DIR': self.run, 'USER': USER, 'LOGNAME': USER,
                    'DBUS_SESSION_BUS_ADDRESS': f'unix:path={self.run}/bus', 'FRANK_SUBMIT_SOCKET': self.run + '/frank/submit.sock',
                    'FRANK_CONTROL_SOCKET': self.run + '/frank/control.sock', 'FRANK_DROP_DIR': self.home + '/.local/state/frank/drop'}
        script = (f'mount --make-rprivate / && mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system {self.run} && chown {self.user.pw_uid}:{self.user.pw_gid} {self.run} && '
                  f'chmod 700 {self.run} && echo ready && exec sleep 86400')
        self.holder = subprocess.Popen(['unshare', '-m', 'sh', '-c', script], stdout=subprocess.PIPE)
        self.ready = self.holder.stdout.readline() == b'ready\n'
        hybrid = [d for d in ('/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified') if os.path.isdir(d)]
        self.groups = [f'{d}/frank-test-{os.getpid()}' for d in hybrid or ['/sys/fs/cgroup']]
        self.processes = []

    def argv(self, *command):
        return ['nsenter', '-t', str(self.holder.pid), '-m', '--', 'setpriv', f'--reuid={self.user.pw_uid}', f'--regid={self.user.pw_gid}', '--clear-groups', '--', *command]

    def call(self, *command, input=None, timeout=60):
        return subprocess.run(self.argv(*command), input=input, capture_output=True, text=True, env=self.env, timeout=timeout)

    def systemctl(self, *args):
        return self.call('systemctl', '--user', *args)

    def start(self):
        """systemd --user, in its cgroups. Whether it answers."""
        try:
            for g in self.groups:
                os.mkdir(g)
                for name in ('', '/cgroup.procs', '/tasks', '/cgroup.subtree_control', '/cgroup.threads'):
                    if os.path.exists(g + name):
                        os.chown(g + name, self.user.pw_uid, self.user.pw_gid)
        except OSError:
            return False

        def enter():
            for g in self.groups:
                with open(g + '/cgroup.procs', 'w') as f:
                    f.write(str(os.getpid()))
        log = open(os.path.join(harness.harness_dir(), 'systemd.log'), 'w')
        self.systemd = subprocess.Popen(self.argv('/lib/systemd/systemd', '--user'), env=dict(self.env, SYSTEMD_LOG_TARGET='console'), stdout=log, stderr=log,
                                        preexec_fn=enter)
        self.processes.append(self.systemd)
        return wait_for(lambda: self.systemctl('is-system-running').stdout.strip() in ('running', 'degraded', 'starting'), 20, 0.2)

    def keyring(self):
        p = subprocess.Popen(self.argv('gnome-keyring-daemon', '--foreground', '--unlock', '--components=secrets'), env=self.env, stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        p.stdin.write(b'a password of the desktop')
        p.stdin.close()
        self.processes.append(p)
        return p

    def stop(self):
        if len(self.processes) and self.processes[0].poll() is None:
            self.systemctl('exit')
        for p in reversed(self.processes):
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        self.holder.kill()
        self.holder.wait()
        for g in self.groups:
            for root, dirs, _ in os.walk(g, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(root)


def run(ground, options):
    source = os.path.join(harness.build_dir(), 'contrib/systemd', UNIT)
    if not os.path.exists(source):
        source = os.path.join(harness.TOP, 'contrib/systemd', UNIT + '.in')
    unit = re.sub(r'(?m)^ExecStart=\S+', 'ExecStart=' + program('frankd'), open(source).read())
    unit = re.sub(r'\S+/frank reload$', program('frank') + ' reload', unit, flags=re.M)
    if os.getuid() != 0 or not shutil.which('systemctl') or not shutil.which('gnome-keyring-daemon'):
        check.needs_root('systemd --user', 'needs root, systemd and gnome-keyring')
        return
    s = Session()
    try:
        units = s.home + '/.config/systemd/user'
        conf = s.home + '/.config/frank'
        os.makedirs(units)
        os.makedirs(conf)
        with open(f'{units}/{UNIT}', 'w') as f:
            f.write(unit)
        with open(conf + '/frank.conf', 'w') as f:
            f.write('mail-name = "example.test"\nhostname = "client.example.test"\n' + block('tokens', None, {'key': 'keyring'}) + block('account', 'a', password_account(ground)) +
                    block('service', 'all', dict(users=['*'], accounts=['a'], senders=['*'], **{'from': 'keep'})))
        subprocess.run(['chown', '-R', USER + ':', s.home], check=True)
        r = subprocess.run(['systemd-analyze', 'verify', '--user', '--man=no', f'{units}/{UNIT}'], capture_output=True, text=True, env=dict(s.env, XDG_RUNTIME_DIR=harness.harness_dir()))
        check('systemd-analyze finds nothing wrong with the unit', UNIT not in r.stderr, r.stderr)
        if not s.ready or not s.start():
            check.skip('systemd --user', 'an instance cannot be started here: ' + open(os.path.join(harness.harness_dir(), 'systemd.log')).read()[-300:]
                       if s.ready else 'no mount namespace can be made here')
            return
        check('a real systemd --user runs', True)
        s.keyring()
        wait_for(lambda: 'org.freedesktop.secrets' in s.call('busctl', '--user', 'list').stdout, 20, 0.2)

        r = s.systemctl('start', UNIT)
        check('systemctl --user start', r.returncode == 0, r.stderr + s.systemctl('status', '--no-pager', UNIT).stdout)
        r = s.call(program('frank'), 'secret', 'set', 'a', input=ground.password + '\n')
        check('frank finds it', r.returncode == 0, r.stderr)
        r = s.call(program('frank'), 'key', 'list', '--json')
        check('its key is in the keyring', '"keyring"' in r.stdout, r.stdout + r.stderr)
        check('and in no file', not os.path.exists(s.home + '/.local/state/frank/master.key'))

        def send(name):
            m = marker(name)
            r = s.call(program('sendmail'), '-i', '-f', 'billing@example.test', f'{name}@example.test', input=f'Subject: {m}\n\nx\n')
            return r.returncode == 0 and ground.arrived(f'{name}@example.test', m)
        check('a person\'s mail goes out', send('usermode'), s.call(program('frank'), 'queue').stdout)
        main = lambda: s.systemctl('show', '-p', 'MainPID', '--value', UNIT).stdout.strip()
        pid = main()
        check('all of it runs as that person', pid.isdigit() and {os.stat(f'/proc/{p}').st_uid for p in roles(int(pid))} <= {0, s.user.pw_uid}  # undumpable: root's
              and {uid_of(p) for p in roles(int(pid))} == {s.user.pw_uid}, [(p, uid_of(p)) for p in roles(int(pid))])
        check('systemctl --user reload', s.systemctl('reload', UNIT).returncode == 0 and main() == pid)
        good = open(conf + '/frank.conf').read()
        with open(conf + '/frank.conf', 'a') as f:
            f.write('no-such-key = "x"\n')
        check('which fails where the configuration is refused, and the old one stays', s.systemctl('reload', UNIT).returncode != 0 and main() == pid and
              s.systemctl('is-active', UNIT).stdout.strip() == 'active')
        with open(conf + '/frank.conf', 'w') as f:
            f.write(good)
        check('and succeeds when it is mended', s.systemctl('reload', UNIT).returncode == 0)
        check('systemctl --user restart', s.systemctl('restart', UNIT).returncode == 0 and main() != pid)
        check('the stored password opens with the same key', send('again'), s.call(program('frank'), 'status').stdout)
        os.kill(int(main()), signal.SIGKILL)
        check('killed, it is started anew', wait_for(lambda: s.systemctl('is-active', UNIT).stdout.strip() == 'active' and send('anew'), 30, 1),
              s.systemctl('status', '--no-pager', UNIT).stdout)
        r = s.systemctl('stop', UNIT)
        check('systemctl --user stop', r.returncode == 0 and s.systemctl('is-active', UNIT).stdout.strip() == 'inactive', r.stderr)
        cannot_start(ground, s, units)
    finally:
        s.stop()


def cannot_start(ground, s, units):
    """A daemon that can never start, while the service manager keeps its socket: no caller waits for it, nothing is lost, and the unit says so."""
    lock, drop, entrance = s.home + '/.local/state/frank/frankd.lock', s.env['FRANK_DROP_DIR'], 'frank-test-submit.socket'
    state = lambda unit, what: s.systemctl('show', '-p', what, '--value', unit).stdout.strip()
    with open(f'{units}/{entrance}', 'w') as f:
        f.write(f'[Socket]\nListenStream={s.env["FRANK_SUBMIT_SOCKET"]}\nService={UNIT}\n')
    s.systemctl('daemon-reload')
    s.systemctl('reset-failed')
    with contextlib.suppress(FileNotFoundError):
        os.unlink(lock)
    os.mkdir(lock)
    r = s.systemctl('start', entrance)
    check('the service manager keeps the socket', r.returncode == 0, r.stderr)
    marks = [marker('kept') for _ in range(3)]

    def send(m):
        r = s.call(program('sendmail'), '-i', '-f', 'billing@example.test', 'kept@example.test', input=f'Subject: {m}\n\nx\n', timeout=200)
        return r.returncode == 0 and not r.stderr
    check('sendmail does not wait for a daemon that cannot start', send(marks[0]))
    check('the unit ends as failed', wait_for(lambda: state(UNIT, 'ActiveState') == 'failed', 120, 1), state(UNIT, 'SubState'))
    check('sendmail calls it once more, and waits as little', send(marks[1]))
    check('then the socket ends as well', wait_for(lambda: state(entrance, 'ActiveState') == 'failed', 30, 1), state(entrance, 'SubState'))
    check('and mail goes to the drop directory at once', send(marks[2]) and len(os.listdir(drop)) == 3, os.listdir(drop))
    os.rmdir(lock)
    s.systemctl('reset-failed')
    r = s.systemctl('start', UNIT)
    check('mended, it starts', r.returncode == 0, r.stderr)
    check('and everything arrives', all(ground.arrived('kept@example.test', m, 60) for m in marks), os.listdir(drop))
    s.systemctl('stop', UNIT)


def uid_of(pid):
    try:
        return int(re.search(r'(?m)^Uid:\t(\d+)', open(f'/proc/{pid}/status').read()).group(1))
    except OSError:
        return None


def roles(pid):
    """A process and its children."""
    try:
        children = [int(c) for c in open(f'/proc/{pid}/task/{pid}/children').read().split()]
    except OSError:
        children = []
    return [pid, *children]
