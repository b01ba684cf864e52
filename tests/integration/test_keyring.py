# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The token store's key in the desktop's keyring: a real gnome-keyring on a D-Bus of its own."""
import contextlib, os, shutil, signal, subprocess

from harness import Frank, check, harness_dir, marker, password_account


@contextlib.contextmanager
def keyring(home):
    """The environment of a desktop whose keyring is open."""
    os.makedirs(home, 0o700, exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k not in ('DISPLAY', 'WAYLAND_DISPLAY', 'DBUS_SESSION_BUS_ADDRESS')}
    env.update(HOME=home, XDG_DATA_HOME=home + '/share', XDG_RUNTIME_DIR=home)
    bus = subprocess.Popen(['dbus-daemon', '--session', '--nofork', '--print-address', '--nopidfile'], env=env, stdout=subprocess.PIPE,
                           stderr=subprocess.DEVNULL, text=True)
    daemon = None
    try:
        env['DBUS_SESSION_BUS_ADDRESS'] = bus.stdout.readline().strip()
        daemon = subprocess.Popen(['gnome-keyring-daemon', '--foreground', '--unlock', '--components=secrets'], env=env, stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        daemon.stdin.write(b'a password of the desktop')
        daemon.stdin.close()
        yield {k: env[k] for k in ('HOME', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS')}
    finally:
        for p in (daemon, bus):
            if p:
                p.send_signal(signal.SIGTERM)
                p.wait(10)


def run(ground, options):
    if not shutil.which('gnome-keyring-daemon') or not shutil.which('dbus-daemon'):
        check('gnome-keyring and dbus-daemon are installed', False)
        return
    f = Frank('keyring', {'a': password_account(ground)}, tokens={'key': 'keyring'})
    with keyring(os.path.join(harness_dir(), 'desktop')) as desktop:
        f.env.update(desktop)
        check('frankd starts with the key in the keyring', f.start(), f.log())
        r = f.frank('secret', 'set', 'a', input=ground.password + '\n')
        check('a password is stored', r.returncode == 0, r.stderr)
        check('there is no key file', not os.path.exists(f.path('state/master.key')), os.listdir(f.path('state')))
        f.stop()
        check('frankd starts again', f.start(), f.log())
        m = marker('keyring')
        check('sendmail', f.send('billing@example.test', 'keyring@example.test', m) == 0)
        check('the stored password opens with the same key', ground.arrived('keyring@example.test', m), f.shown() + f.log()[-800:])
        f.stop()
    check('without the keyring frankd does not start', not f.start(), f.log()[-500:])
    check('and says why', 'keyring' in f.log().splitlines()[-1], f.log()[-500:])
