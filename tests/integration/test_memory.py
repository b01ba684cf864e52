# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Secrets in memory: sealed at rest, opened ones in locked pages that no dump has; nobody of the same uid attaches a debugger."""
import ctypes, os, re, shutil, signal, subprocess, sys, time

from harness import *
import harness

CHUNK = 1 << 20
# what a debugger would do, as a process of its own
ATTACH = '''
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])
r = libc.ptrace(16, pid, None, None)
print('ptrace', 'attached' if r == 0 else os.strerror(ctypes.get_errno()))
for name in ('mem', 'environ', 'maps'):
    try:
        open(f'/proc/{pid}/{name}', 'rb').read(0 if name == 'mem' else 1)
        print(name, 'opened')
    except OSError as e:
        print(name, e.strerror)
'''


def status(pid, field):
    try:
        return re.search(r'(?m)^' + field + r':\s*(.*)$', open(f'/proc/{pid}/status').read()).group(1).split()
    except (OSError, AttributeError):
        return []


def name_of(pid):
    return (status(pid, 'Name') or [''])[0]


def found_in_memory(pid, values):
    """Which of the values stand in the writable memory of a process."""
    found, size = set(), 0
    with open(f'/proc/{pid}/mem', 'rb', 0) as mem:
        for line in open(f'/proc/{pid}/maps'):
            m = re.match(r'([0-9a-f]+)-([0-9a-f]+) rw', line)
            if not m or '[vvar]' in line:
                continue
            at, end = int(m.group(1), 16), int(m.group(2), 16)
            if end - at > 1 << 32:
                continue  # a sanitizer's shadow
            tail = b''
            while at < end:
                try:
                    mem.seek(at)
                    data = mem.read(min(CHUNK, end - at))
                except (OSError, ValueError):
                    break
                if not data:
                    break
                size += len(data)
                found |= {v for v in values if v in tail + data}
                tail = data[-4096:]
                at += len(data)
    return found, size


def as_user(uid, gid, *command):
    return subprocess.run(['setpriv', f'--reuid={uid}', f'--regid={gid}', '--clear-groups', '--', *command], capture_output=True, text=True, timeout=60, cwd='/')


def run(ground, options):
    f = Frank('memory', {'a': oauth_account(ground), 'b': password_account(ground)})
    if not check('frankd starts', f.start(), f.log()):
        return
    code, out = f.authorize(ground, 'a', 'billing@example.test')
    check('signed in, and a password stored', code == 0 and f.frank('secret', 'set', 'b', input=ground.password + '\n').returncode == 0, out)
    token = f.frank('token', 'a').stdout.strip()
    secrets.add(token, ground.password)
    m = marker('memory')
    for service in 'ab':
        f.send('billing@example.test', 'memory@example.test', m)
    check('mail was sent', ground.arrived('memory@example.test', m), f.shown())
    ground.remember()
    pids = {name_of(p): p for p in f.pids()}
    limits = {name: open(f'/proc/{pid}/limits').read() for name, pid in pids.items()}  # before the idle ones leave
    if os.getuid() != 0:
        check.needs_root('what is in memory', 'only root may look')
    else:
        values = set(harness.secrets.values)
        control, _ = found_in_memory(os.getpid(), {ground.password.encode()})
        check('the search finds what is there', bool(control))
        for name in ('frankd', 'frank-queue', 'frank-keeper'):
            found, size = found_in_memory(pids[name], values)
            check(f'no token and no password stands open in {size >> 10} KiB of {name} at rest', size > 100000 and not found, len(found))
        flags = re.findall(r'(?m)^VmFlags: (.*)$', open(f'/proc/{pids["frank-keeper"]}/smaps').read())
        # a sanitizer takes mlock for itself
        sanitized = f.is_sanitized()
        own = [x for x in flags if ({'dd', 'wf'} if sanitized else {'lo', 'dd', 'wf'}) <= set(x.split())]
        check(f'the keys that keeper needs are in {len(own)} mappings that are {"" if sanitized else "locked, "}in no dump, and in no child', len(own) >= 2, flags[:5])
    for name in sorted(pids):
        check(f'{name} leaves no core file', re.search(r'Max core file size\s+0\s+0', limits[name]), limits[name])
    if os.getuid() != 0:
        check.needs_root('a debugger of the same uid', 'needs root to become that user')
        return
    for name in ('frank-keeper', 'frank-queue', 'frank-send', 'frank-https'):
        pid = pids.get(name)
        if pid is None or not alive(pid):
            continue
        wait_for(lambda: status(pid, 'Seccomp') == ['2'], 10)  # one that has just been started confines itself in a moment
        uid, gid = int(status(pid, 'Uid')[0]), int(status(pid, 'Gid')[0])
        # the same done to a process that does nothing against it
        victim = subprocess.Popen(['setpriv', f'--reuid={uid}', f'--regid={gid}', '--clear-groups', '--', 'sleep', '60'])
        try:
            wait_for(lambda: name_of(victim.pid) == 'sleep', 5)
            control = as_user(uid, gid, '/usr/bin/python3', '-c', ATTACH, str(victim.pid)).stdout
        finally:
            victim.kill()
            victim.wait()
        if 'ptrace attached' not in control:
            check.skip('a debugger of the same uid', 'this kernel lets nobody attach: ' + control)
            return
        out = as_user(uid, gid, '/usr/bin/python3', '-c', ATTACH, str(pid)).stdout
        check(f'{name}: nobody of uid {uid} attaches to it, or reads its memory or environment', 'Operation not permitted' in out and 'attached' not in out and 'opened' not in out, out)
        if shutil.which('gdb'):
            r = as_user(uid, gid, 'env', 'LC_ALL=C', 'gdb', '-batch', '-p', str(pid), '-ex', 'info registers')
            check(f'{name}: nor does gdb', 'Operation not permitted' in r.stderr + r.stdout and 'rip' not in r.stdout, r.stdout + r.stderr)
    check('and it still works', f.frank('token', 'a').returncode == 0)
    f.stop()
