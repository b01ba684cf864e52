# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""A private machine: this one's files under an overlay in memory, where packages are installed and Frank is the sendmail.

Programs that send mail call /usr/sbin/sendmail, read /etc, and belong to packages that conflict with each other's mail servers. A box is a
mount namespace whose root is an overlay over this machine's: apt installs into it with all maintainer scripts, Frank's
package takes the place of whatever mail server is there, and when the box ends nothing of it is left. Its network is this machine's.
"""
import contextlib, os, signal, subprocess, tempfile

from harness import build_dir, harness_dir, wait_for

# The file systems below / that are ones of their own are covered one by one; /run, /tmp and /var/tmp are empty ones.
ROOT = r'''
set -e
mount -t tmpfs -o mode=755 frank-box "$1"
cd "$1"
cover() { # path
  name=$(echo "$1" | tr / _)
  mkdir -p "layers/$name/upper" "layers/$name/work"
  mount -t overlay overlay -o "lowerdir=$1,upperdir=layers/$name/upper,workdir=layers/$name/work" "root$1"
}
mkdir root
cover /
for path in /bin /sbin /lib /lib64 /usr /usr/local /etc /opt /srv /root /home /var /var/lib /var/cache /var/log /var/spool; do
  [ -L "$path" ] || ! mountpoint -q "$path" || cover "$path"
done
mount --rbind /proc root/proc
mount --rbind /dev root/dev
mount --rbind /sys root/sys
mount -t tmpfs -o mode=755 run root/run
mount -t tmpfs -o mode=1777 tmp root/tmp
mount -t tmpfs -o mode=1777 tmp root/var/tmp
mkdir -p root/run/lock root/old "root$2"
mount --bind "$2" "root$2"
# What programs do without: services of this machine, and its names.
printf '#!/bin/sh\nexit 101\n' >root/usr/sbin/policy-rc.d
chmod 755 root/usr/sbin/policy-rc.d
hostname client.example.test
printf '127.0.0.1 client.example.test client localhost\n' >root/etc/hosts
cd root
pivot_root . old
cd /
umount -l /old
rmdir /old
echo ready
exec cat
'''

CONTROL = '''Package: frank-mail
Version: 0
Architecture: all
Maintainer: nobody <nobody@example.test>
Provides: mail-transport-agent
Conflicts: mail-transport-agent
Replaces: mail-transport-agent
Description: the sendmail that is under test
'''


class Box:
    def __init__(self, visible=None):
        """`visible` is a folder of this machine that is there under its own name, by default that of the run."""
        self.folder = tempfile.mkdtemp(prefix='frank-box-')
        self.holder = subprocess.Popen(['unshare', '-m', '-u', '--propagation', 'private', 'sh', '-c', ROOT, 'sh', self.folder, visible or harness_dir()],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if self.holder.stdout.readline() != b'ready\n':
            raise RuntimeError('no private root: ' + self.holder.stderr.read().decode())
        self.enter = ['nsenter', '-t', str(self.holder.pid), '-m', '-u', '--']
        self.env = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/tmp', 'LANG': 'C.UTF-8', 'TERM': 'dumb'}

    def run(self, *argv, user=None, input=None, env=None, timeout=180, cwd='/tmp'):
        """A command in the box, as root or another user, with an environment of its own. One that takes too long is ended: status -9."""
        words = list(self.enter)
        if user is not None:
            words += ['setpriv', '--reuid', str(user), '--regid', str(user), '--clear-groups', '--']
        words += ['env', '-C', cwd, '-i', *[f'{k}={v}' for k, v in (self.env | (env or {})).items()], *argv]
        if isinstance(input, str):
            input = input.encode()
        try:
            return subprocess.run(words, input=b'' if input is None else input, capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired as e:
            return subprocess.CompletedProcess(words, -9, e.stdout or b'', (e.stderr or b'') + b'(ended: it took too long)')

    def begin(self, *argv):
        """A daemon in the box, in the foreground; end() ends it."""
        return subprocess.Popen([*self.enter, 'env', '-i', *[f'{k}={v}' for k, v in self.env.items()], *argv], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def write(self, path, data, mode=0o644):
        data = data.encode() if isinstance(data, str) else data
        done = self.run('sh', '-c', 'mkdir -p "$(dirname "$1")" && cat >"$1" && chmod "$2" "$1"', 'sh', path, '%o' % mode, input=data)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())

    def copy(self, source, path):
        with open(source, 'rb') as f:
            self.write(path, f.read(), os.stat(source).st_mode & 0o777)

    def bind(self, source, path):
        """A folder below that of the run, at another place in the box."""
        self.run('sh', '-c', 'mkdir -p "$2" && mount --bind "$1" "$2"', 'sh', source, path)

    def make_package(self, sendmail):
        """Frank's sendmail as a package that takes the place of any other mail server; its path in the box."""
        self.copy(sendmail, '/tmp/package/usr/libexec/frank/sendmail')
        self.write('/tmp/package/DEBIAN/control', CONTROL)
        done = self.run('sh', '-c', 'set -e; cd /tmp/package; mkdir -p usr/sbin usr/bin usr/lib; for name in sbin/sendmail lib/sendmail bin/mailq bin/newaliases; do '
                        'ln -s ../libexec/frank/sendmail usr/$name; done; cd /tmp; dpkg-deb -b package frank-mail.deb')
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return '/tmp/frank-mail.deb'

    def install(self, packages, log=os.devnull):
        """Installs packages and nothing that they merely recommend: what apt said if it failed, else ''."""
        proxy = {k: v for k, v in os.environ.items() if k.lower().endswith('_proxy')}
        for attempt in range(2):
            done = self.run('apt-get', 'install', '-y', '--no-install-recommends', *packages,
                            env={'DEBIAN_FRONTEND': 'noninteractive', 'APT_LISTCHANGES_FRONTEND': 'none', **proxy}, timeout=900)
            with open(log, 'wb') as f:
                f.write(done.stdout + done.stderr)
            if done.returncode == 0:
                return ''
            self.run('apt-get', 'update', env=proxy, timeout=300)  # the lists may be older than the archive
        return (done.stdout + done.stderr).decode(errors='replace')[-1500:]

    def pids(self):
        """Every process whose root is the box."""
        mine = os.readlink(f'/proc/{self.holder.pid}/ns/mnt')
        found = []
        for name in os.listdir('/proc'):
            if name.isdigit():
                try:
                    if os.readlink(f'/proc/{name}/ns/mnt') == mine and int(name) != self.holder.pid:
                        found.append(int(name))
                except OSError:
                    pass
        return found

    def end(self):
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.pids():
                try:
                    os.kill(pid, sign)
                except ProcessLookupError:
                    pass
            wait_for(lambda: not self.pids(), 3)
        self.holder.stdin.close()
        self.holder.wait(20)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(self.folder)
