# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Sendmail where programs call it in odd surroundings: closed descriptors, small limits, signals, no environment, containers, no daemon.

Everything is done by the sanitized build and by the static program that is installed, except where only the latter can run.
"""
import pty, stat

from arrivals import BODY, FROM, Post
from box import Box
from harness import *

SENDMAIL = '/usr/sbin/sendmail'
NOBODY = 54321  # a uid that nobody has


def run(ground, options):
    if os.getuid() != 0:
        return as_root('surroundings')
    try:
        box = Box()
    except RuntimeError as e:
        return check.skip('a private root', f'mount namespaces are not allowed here: {e}')
    try:
        account = {'provider': 'generic', 'mailbox': FROM, 'grant': 'none', 'submit': f'localhost:{os.environ["GROUND_MX_PORT"]}', 'tls': 'none'}
        rules = {'accounts': ['out'], 'senders': ['*'], 'from': 'keep'}
        f = Frank('surroundings', {'out': account}, {'container': dict(socket=True, **{'socket-mode': '0666'}, **rules), 'all': dict(users=['*'], **rules)})
        if not check('frankd starts', f.start(), f.log()[-800:]):
            return
        box.bind(f.path('run'), '/run/frank')
        box.bind(f.path('state/drop'), '/var/lib/frank/drop')
        box.write('/etc/frank/frank.conf', '')  # without one sendmail would say that there is no account yet
        post = Post(ground)
        programs = {'sanitized': os.path.join(build_dir(), 'shim/sendmail'), 'static': os.path.join(build_dir(), 'shim/sendmail-static')}
        if not os.path.exists(programs['static']):
            programs['static'] = programs.pop('sanitized')  # a build without sanitizers: the program is static itself
        for kind, path in programs.items():
            box.copy(path, SENDMAIL)
            surroundings(box, post, kind)
        limits(box, post)
        containers(box, post, f)
        post.verify()
        no_daemon(box, post, f)
        check('nothing waits or was dropped', f.empty(20) and not os.listdir(f.path('state/drop')), f.shown())
        f.stop()
    finally:
        box.end()


def message(to, body=BODY):
    return f'From: Shop <{FROM}>\nTo: {to}@example.test\nSubject: surroundings\nContent-Type: text/plain; charset=utf-8\n\n{body}'


def sends(box, post, name, *argv, user=NOBODY, body=BODY, **how):
    """The program takes the message, without a word, and it arrives."""
    to = re.sub('[^a-z0-9]+', '-', name.lower())
    r = box.run(*argv, user=user, input=message(to, body), **how)
    check(f'{name}: taken', r.returncode == 0 and not r.stdout + r.stderr, r)
    post.expect(name, to, body=body)


def refuses(box, name, status, words, *argv, input=None, user=NOBODY, **how):
    r = box.run(*argv, user=user, input=message('refused') if input is None else input, **how)
    check(f'{name}: exit status {status}', r.returncode == status and (words is None or re.search(words, r.stderr.decode())), r)


def surroundings(box, post, kind):
    env = {'ASAN_OPTIONS': 'detect_leaks=0'}  # LeakSanitizer wants descriptors and /proc of its own
    call = f'{SENDMAIL} -i -t'
    for name, script in {
        'no new privileges': f'exec setpriv --no-new-privs {call}',
        'an empty environment': f'exec env -i {call}',
        'descriptor 1 and 2 closed': f'exec {call} >&- 2>&-',
        'umask 0777': f'umask 0777; exec {call}',
        'the folder is deleted': f'd=$(mktemp -d) && cd "$d" && rmdir "$d" && exec {call}',
        'SIGPIPE ignored': f'exec env --ignore-signal=PIPE {call}',
        'signals blocked': f'exec env --block-signal {call}',
        'all signals ignored': f'exec env --ignore-signal {call}',
        'nice 19, own session': f'exec nice -n 19 setsid -w {call}',
        'a pipe that opens for reading and writing': f'exec {call} 9<&0 8>&1',
    }.items():
        sends(box, post, f'{kind}: {name}', 'sh', '-c', script, env=env)
    for argv0 in ('', '-sendmail', '/usr/lib/sendmail.postfix', 'a b\nc', 'x' * 5000, 'hoststat'):
        sends(box, post, f'{kind}: argv[0] is {argv0[:20]!r}', 'bash', '-c', 'exec -a "$0" ' + call, argv0, env=env)
    sends(box, post, f'{kind}: 5,000 arguments', 'sh', '-c', 'exec "$0" -i -t $(seq -f "-oX%g" 5000)', SENDMAIL, env=env)
    sends(box, post, f'{kind}: long variables', 'sh', '-c', f'HOME=$(printf %0100000d 0) USER=$HOME LOGNAME=$HOME exec {call}', env=env)
    nonblocking = ('import os, sys, subprocess, time\nr, w = os.pipe()\nos.set_blocking(r, False)\n'
                   f'p = subprocess.Popen(["{SENDMAIL}", "-i", "-t"], stdin=r)\nos.close(r)\nfor piece in sys.stdin.buffer.read().partition(b"Subject"):\n'
                   '    os.write(w, piece)\n    time.sleep(0.2)\nos.close(w)\nsys.exit(p.wait())')
    sends(box, post, f'{kind}: standard input does not block', 'python3', '-c', nonblocking, env=env)
    pair = ('import os, sys, subprocess, socket\na, b = socket.socketpair()\n'
            f'p = subprocess.Popen(["{SENDMAIL}", "-i", "-t"], stdin=b, stdout=b)\nb.close()\na.sendall(sys.stdin.buffer.read())\na.shutdown(socket.SHUT_WR)\nsys.exit(p.wait())')
    sends(box, post, f'{kind}: standard input is a socket', 'python3', '-c', pair, env=env)
    sends(box, post, f'{kind}: standard input from its middle', 'bash', '-c', f'{{ echo "to be skipped"; cat; }} >$(mktemp -p /tmp file.XXXX); exec {call} < <(tail -n +2 /tmp/file.*; rm -f /tmp/file.*)', env=env)
    # as an empty input is: no recipients, or a message without a body; and never what stands in the socket, which gets that number
    refuses(box, f'{kind}: standard input is closed', 64, 'no recipients', 'sh', '-c', f'exec {call} <&-', env=env)
    refuses(box, f'{kind}: everything is closed', 64, None, 'sh', '-c', f'exec {call} <&- >&- 2>&-', env=env)
    r = box.run('sh', '-c', f'exec {SENDMAIL} -f {FROM} closed-{kind}@example.test <&- >&- 2>&-', user=NOBODY, env=env)
    check(f'{kind}: everything is closed, and a recipient named', r.returncode == 0, r)
    post.expect(f'{kind}: everything is closed', f'closed-{kind}', body='', To=None, Subject=None)
    refuses(box, f'{kind}: standard input is a folder', 74, 'could not be read', 'sh', '-c', f'exec {call} </', env=env)
    refuses(box, f'{kind}: standard input is for writing only', 74, 'could not be read', 'sh', '-c', f'exec {call} 0>/dev/null', env=env)
    refuses(box, f'{kind}: mailq with standard output closed', 74, None, 'sh', '-c', f'exec {SENDMAIL} -bp >&-', env=env)
    refuses(box, f'{kind}: mailq on a full device', 74, None, 'sh', '-c', f'exec {SENDMAIL} -bp >/dev/full', env=env)
    terminal(box, post, kind)


def terminal(box, post, kind):
    """A person at a terminal: lines, then a dot."""
    parent, child = pty.openpty()
    p = subprocess.Popen([*box.enter, SENDMAIL, f'terminal-{kind}@example.test'], stdin=child, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         env=clean_env())
    os.close(child)
    os.write(parent, b'Subject: typed\n\nby hand\n.\n')
    try:
        out, _ = p.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        p.kill()
        out, _ = p.communicate()
    check(f'{kind}: a terminal, ended by a dot', p.returncode == 0, out)
    os.close(parent)
    post.expect(f'{kind}: a terminal', f'terminal-{kind}', 'root@example.test', 'by hand\n', To=None)


def limits(box, post):
    """The installed program in little room; a message many times as large goes through it."""
    large = 'line of a long report\n' * 200000
    call = f'{SENDMAIL} -i -t'
    for name, limit in {'8 descriptors': '--nofile=8', '4 descriptors': '--nofile=4', 'a small address space': '--as=2000000', 'a small data segment': '--data=1000000',
                        'a stack of 64 KiB': '--stack=65536', 'no locked memory and no files': '--memlock=0 --fsize=0', 'no other process': '--nproc=1'}.items():
        sends(box, post, f'limits: {name}', 'sh', '-c', f'exec prlimit {limit} {call}', body=large)
    refuses(box, 'limits: no descriptor left', 75, 'not|nothing', 'sh', '-c', f'exec prlimit --nofile=3 {call}')


def containers(box, post, f):
    """A file system with nothing but the program and one folder, in namespaces of its own."""
    root = '/srv/container'
    box.run('sh', '-c', f'mkdir -p {root}/run/frank && cp {SENDMAIL} {root}/sendmail && chmod -R a+rX {root}')
    socket_folder = f.path('run/services/container')
    check("a service's socket stands in a folder that can be mounted alone", os.path.isdir(socket_folder), os.listdir(f.path('run')))
    for name, folder in (("a service's socket", '/run/frank/services/container'), ('the common socket', '/run/frank')):
        sends(box, post, f'container with {name}', 'sh', '-c', f'mount --bind {folder} {root}/run/frank && unshare -m -p -n -i -u -f setpriv --no-new-privs '
              f'chroot --userspec={NOBODY}:{NOBODY} --groups= {root} /sendmail -i -t; rc=$?; umount {root}/run/frank; exit $rc', user=None)
    services = {m[2]: m[1] for m in re.finditer(r'service=(\S+) recipient=container-with-(\S+)@\S+ uid=\d+ ', f.log())}
    check('the socket says which service', services.get('a-service-s-socket') == 'container' and services.get('the-common-socket') == 'all', services)
    # root of a user namespace is its owner outside, for the service as well
    r = box.run('unshare', '-U', '-r', 'true', user=NOBODY)
    if r.returncode == 0:
        sends(box, post, 'container whose root is nobody outside', 'unshare', '-U', '-r', '-m', '-n', SENDMAIL, '-i', '-t')
        is_named = lambda: re.search(r'service=all recipient=container-whose-root-is-nobody-outside@\S+ uid=54321 ', f.log())
        check('its root is not taken for root', wait_for(is_named, 20), f.log()[-500:])
    else:
        check.skip('container whose root is nobody outside', 'users may not make user namespaces here')


def no_daemon(box, post, f):
    """The daemon is away: the message waits as a file that only the daemon can read, however little the caller has."""
    f.stop()
    drop = f.path('state/drop')
    call = f'{SENDMAIL} -i -t'
    for name, script in {'plain': f'exec {call}', 'umask 0777': f'umask 0777; exec {call}', 'no new privileges': f'exec setpriv --no-new-privs {call}', 'everything else closed': f'exec {call} >&- 2>&-',
                         'an empty environment and no folder': f'd=$(mktemp -d) && cd "$d" && rmdir "$d" && exec env -i {call}'}.items():
        sends(box, post, f'no daemon: {name}', 'sh', '-c', script)
    files = [os.lstat(os.path.join(drop, name)) for name in os.listdir(drop)]
    check('no daemon: five files of their senders, which others cannot read', len(files) == 5 and all(s.st_uid == NOBODY and stat.S_IMODE(s.st_mode) == 0o640 for s in files), files)
    refuses(box, 'no daemon: a file may not grow', 75, 'not stored|nothing was stored', 'sh', '-c', f'exec prlimit --fsize=100 {call}')
    check('no daemon: what was begun is gone', len(os.listdir(drop)) == 5, os.listdir(drop))
    check('no daemon: it comes back', f.start(), f.log()[-500:])
    post.verify()
