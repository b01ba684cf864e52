# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""frankd's supervision, with roles that only log: supervise.py FRANKD FAKE_ROLE FRANKD_WITH_A_LATE_USER [CLASS[.TEST]]

Starts a private frankd beside copies of the fake role and looks at what the roles were given, what happens when one dies,
and how it all stops."""
import glob
import os
import pwd
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

FRANKD, FAKE, LATE_FRANKD = (os.path.abspath(a) for a in sys.argv[1:4])
try:
    ME = pwd.getpwuid(os.geteuid()).pw_name
except KeyError:
    ME = str(os.geteuid())

CONF = '''
runtime-dir = "{dir}/run"
state-dir = "{dir}/state"
aliases = "none"
postmaster = "pm@example.test"
account "relay" {{
    provider = "generic"
    mailbox = "a@example.test"
    grant = "password"
    password = "file:{dir}/password"
    submit = "localhost:2525"
    ca-file = "{dir}/ca.pem"
}}
account "none" {{
    provider = "generic"
    mailbox = "b@example.test"
    grant = "none"
    submit = "localhost:2525"
}}
service "all" {{
    users = {{"*"}}
    accounts = {{"relay", "none"}}
    senders = {{"*"}}
}}
'''


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    return condition()


class Daemon(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='frank-supervise-')
        os.chmod(self.dir, 0o755)
        self.bin = os.path.join(self.dir, 'bin')
        os.mkdir(self.bin)
        shutil.copy(FRANKD, self.bin)
        for name in ('frank-queue', 'frank-keeper', 'frank-https', 'frank-send', 'frank-tls'):
            shutil.copy(FAKE, os.path.join(self.bin, name))
        self.log = os.path.join(self.dir, 'log')
        self.write('log', '')
        self.write('password', 'not-for-the-log\n', 0o600)
        self.write('ca.pem', '-----BEGIN CERTIFICATE-----\n')
        self.write('frank.conf', CONF.format(dir=self.dir))
        os.makedirs(os.path.join(self.dir, 'state'), 0o755, exist_ok=True)
        if os.geteuid() == 0:  # the roles become whoever owns the state folder
            nobody = pwd.getpwnam('nobody')
            os.chown(os.path.join(self.dir, 'state'), nobody.pw_uid, nobody.pw_gid)
        self.p = None

    def tearDown(self):
        if self.p and self.p.poll() is None:
            self.p.kill()
            self.p.wait(10)
        if sys.exc_info()[0] or os.environ.get('KEEP'):
            print(self.dir, file=sys.stderr)
        else:
            shutil.rmtree(self.dir)

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.dir, name)
        with open(path, 'w') as f:
            f.write(text)
        os.chmod(path, mode)

    def check(self):
        p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stderr

    def command(self, *args):
        return [os.path.join(self.bin, 'frankd'), '-c', os.path.join(self.dir, 'frank.conf'), *args]

    def start(self, *args, env=None):
        count = len(re.findall('is ready', self.text()))
        with open(self.log, 'ab') as log:
            self.p = subprocess.Popen(self.command('--foreground', *args), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                      stderr=log, env={**os.environ, **(env or {})})
        self.assertTrue(self.saw('is ready', count + 1), self.text())

    @staticmethod
    def read(path):
        with open(path, errors='replace') as f:
            return f.read()

    def text(self):
        return self.read(self.log)

    def saw(self, pattern, times=1, seconds=10):
        return wait_for(lambda: len(re.findall(pattern, self.text())) >= times, seconds)

    def role(self, name):
        """The pid of a role, or 0."""
        for path in glob.glob('/proc/[0-9]*/stat'):
            try:
                with open(path) as f:
                    stat = f.read()
            except OSError:
                continue
            pid, comm = stat.split(' ', 1)[0], stat[stat.index('(') + 1:stat.rindex(')')]
            rest = stat[stat.rindex(')') + 2:].split()
            if comm == name and rest[0] != 'Z' and int(rest[1]) == self.p.pid:
                return int(pid)
        return 0

    def set(self):
        return [self.role('frank-queue'), self.role('frank-keeper')]

    def stop(self):
        begin = time.monotonic()
        self.p.send_signal(signal.SIGTERM)
        self.assertEqual(self.p.wait(10), 0, self.text())
        self.assertLess(time.monotonic() - begin, 5)


class Supervision(Daemon):
    def test_each_role_gets_its_part(self):
        self.start()
        self.assertTrue(self.saw('peer (queue|keeper) up', 2))
        self.assertTrue(self.saw('user 0 is root'))
        text = self.text()
        # the keeper: the key and the password, no certificate; the queue: neither
        self.assertRegex(text, r'\[keeper\]: configuration 1: accounts=2 services=1 secrets=2 files=0')
        self.assertRegex(text, r'\[queue\]: configuration 1: accounts=2 services=1 secrets=0 files=0')
        self.assertRegex(text, r'\[keeper\]: dir tokens 0700')
        self.assertRegex(text, r'\[queue\]: dir state 0700')
        self.assertRegex(text, r'\[queue\]: dir bodies 0700')
        self.assertRegex(text, r'\[queue\]: dir drop 3733')
        self.assertNotRegex(text, r'\[keeper\]: dir (state|bodies|drop)')
        self.assertRegex(text, r'\[queue\]: listen submit')
        self.assertRegex(text, r'\[queue\]: listen control')
        self.assertRegex(text, r'\[keeper\]: listen keeper')
        self.assertNotIn('not-for-the-log', text)
        os.kill(self.role('frank-queue'), signal.SIGUSR1)
        self.assertTrue(self.saw(r'\[send\]: peer queue up'), self.text())
        self.assertTrue(self.saw(r'\[send\]: peer keeper up'))
        self.assertTrue(self.saw(r'\[send\]: configuration \d+: accounts=2 services=0 secrets=0 files=1'), self.text())
        os.kill(self.role('frank-keeper'), signal.SIGUSR1)
        self.assertTrue(self.saw(r'\[fetch\]: peer keeper up'))
        self.assertTrue(self.saw(r'\[fetch\]: configuration \d+: accounts=2 services=0 secrets=0 files=1'), self.text())
        self.assertNotRegex(self.text(), r'\[fetch\]: peer queue')
        self.stop()
        # in user mode nobody else leaves mail
        self.start('--user')
        self.assertTrue(self.saw(r'\[queue\]: dir drop 0700'), self.text())
        self.stop()
        self.assertEqual(self.role('frank-queue'), 0)
        for name in ('submit', 'control', 'keeper'):
            self.assertFalse(os.path.exists(f'{self.dir}/run/{name}.sock'))

    def test_key_is_made_once(self):
        self.start()
        path = f'{self.dir}/state/master.key'
        key = self.read(path)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        self.assertEqual(len(key), 45)
        self.assertTrue(self.saw('Back it up'))
        self.assertNotIn(key.strip(), self.text())
        self.stop()
        self.start()
        self.assertEqual(self.read(path), key)
        self.stop()
        self.assertEqual(self.text().count('Back it up'), 1)
        # never a new key beside what only the old one opens
        os.unlink(path)
        self.write('state/tokens/relay', 'sealed')
        p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 78)
        self.assertIn('backup', p.stderr)
        self.assertFalse(os.path.exists(path))

    def test_one_of_the_set_dies(self):
        self.start()
        for name in ('frank-queue', 'frank-keeper'):
            before = self.set()
            self.assertTrue(all(before))
            count = len(re.findall(r'peer keeper up', self.text()))
            os.kill(self.role(name), signal.SIGKILL)
            self.assertTrue(self.saw('peer keeper up', count + 1), self.text())
            self.assertTrue(wait_for(lambda: all(self.set()) and not set(before) & set(self.set())))
        self.assertEqual(len(re.findall('A role died', self.text())), 2)
        self.stop()

    def test_network_role(self):
        self.start()
        queue = self.role('frank-queue')
        os.kill(queue, signal.SIGUSR1)
        self.assertTrue(self.saw(r'\[queue\]: peer send up'))
        first = wait_for(lambda: self.role('frank-send'))
        # it dies: the set stays, and it comes back when it is asked for
        os.kill(first, signal.SIGKILL)
        self.assertTrue(self.saw(r'\[queue\]: peer send down'))
        self.assertTrue(self.saw(r'\[keeper\]: peer send down'))
        os.kill(queue, signal.SIGUSR1)
        self.assertTrue(self.saw(r'\[queue\]: peer send up', 2), self.text())
        self.assertEqual(self.role('frank-queue'), queue)
        # let go of, it ends; asked for at the same moment, the next one comes
        for i in range(5):
            before = wait_for(lambda: self.role('frank-send'))
            self.assertTrue(before)
            os.kill(queue, signal.SIGWINCH)
            self.assertTrue(self.saw(r'\[queue\]: peer send up', 3 + i), self.text())
            self.assertTrue(wait_for(lambda: self.role('frank-send') not in (0, before)))
        os.kill(queue, signal.SIGUSR2)
        self.assertTrue(wait_for(lambda: self.role('frank-send') == 0))
        self.assertEqual(len(re.findall('A role died', self.text())), 1)
        self.stop()

    def test_killed(self):
        self.start()
        roles = self.set()
        self.p.kill()
        self.p.wait(10)
        self.assertTrue(wait_for(lambda: not any(os.path.exists(f'/proc/{pid}') for pid in roles)))
        self.assertTrue(os.path.exists(f'{self.dir}/run/submit.sock'))
        self.start()
        self.stop()

    def test_role_that_does_not_end(self):
        self.start()
        os.kill(self.role('frank-queue'), signal.SIGUSR1)
        send = wait_for(lambda: self.role('frank-send'))
        self.assertTrue(send)
        os.kill(send, signal.SIGSTOP)
        os.kill(self.role('frank-keeper'), signal.SIGSTOP)
        self.stop()
        self.assertEqual(self.set(), [0, 0])

    def test_never_ready(self):
        with open(os.path.join(self.bin, 'frank-keeper'), 'wb') as f:
            f.write(b'no program')
        begin = time.monotonic()
        p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 70, p.stderr)
        self.assertIn('frank-keeper cannot be started', p.stderr)
        self.assertLess(time.monotonic() - begin, 5)

    def test_second_frankd(self):
        self.start()
        p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 69)
        self.assertIn(f'process {self.p.pid}', p.stderr)
        self.assertTrue(self.role('frank-queue'))
        self.stop()

    def test_reload_whole_or_not_at_all(self):
        self.start()
        os.kill(self.role('frank-queue'), signal.SIGHUP)
        self.assertTrue(self.saw(r'reload: good'))
        # whoever asks for the reload sees what --check would warn of
        self.write('frank.conf', CONF.format(dir=self.dir) + 'spool { lifetime = "1h" }\n')
        os.kill(self.role('frank-queue'), signal.SIGHUP)
        self.assertTrue(self.saw('reload: good(.*)warning: spool: warn-after is longer than lifetime'), self.text())
        self.write('frank.conf', CONF.format(dir=self.dir) + 'account "more" { nonsense = 1 }\n')
        os.kill(self.role('frank-queue'), signal.SIGHUP)
        self.assertTrue(self.saw('reload: .*frank.conf:[0-9]+: error: .*nonsense'), self.text())
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw('the old one stays in force', 2), self.text())
        self.assertIn('nonsense', self.text())
        self.write('frank.conf', CONF.format(dir=self.dir).replace(f'{self.dir}/state', f'{self.dir}/elsewhere'))
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw('change only by a restart'), self.text())
        self.write('frank.conf', CONF.format(dir=self.dir).replace('account "none"', 'account "third"').replace(
            'accounts = {"relay", "none"}', 'accounts = {"relay"}'))
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw('Configuration 4 is in force'), self.text())
        self.assertTrue(self.saw(r'\[queue\]: configuration 4: accounts=2 services=1'))
        self.assertEqual(len(re.findall('Configuration [0-9]+ is in force', self.text())), 3)
        self.stop()

    def command_secret(self, script):
        """The password comes from a command from now on."""
        self.write('secret-command', '#!/bin/sh\n' + script, 0o755)
        self.write('frank.conf', CONF.format(dir=self.dir).replace(f'file:{self.dir}/password', f'command:{self.dir}/secret-command'))

    def test_reload_waits_for_no_command(self):
        """While a command runs, frankd supervises; what the command says counts."""
        self.start()
        keeper = self.role('frank-keeper')
        self.command_secret(f'touch {self.dir}/runs; while [ ! -e {self.dir}/go ]; do sleep 0.1; done; echo very-secret\n')
        os.kill(self.role('frank-queue'), signal.SIGHUP)
        self.assertTrue(wait_for(lambda: os.path.exists(f'{self.dir}/runs')), self.text())
        os.kill(keeper, signal.SIGKILL)
        self.assertTrue(self.saw('keeper.*: started|are started anew'), self.text())
        self.assertTrue(wait_for(lambda: self.role('frank-keeper') not in (0, keeper)), self.text())
        self.assertNotIn('Configuration 2 is in force', self.text())
        self.write('go', '')
        self.assertTrue(self.saw('Configuration 2 is in force'), self.text())
        self.assertTrue(self.saw(r'\[keeper\]: configuration 2: accounts=2 services=1 secrets=2'), self.text())
        self.assertNotIn('very-secret', self.text())
        # one that fails: the old configuration stays
        self.command_secret('exit 3\n')
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw(r'frank.conf:[0-9]+: error: command .*secret-command failed with exit status 3'), self.text())
        self.assertTrue(self.saw('the old one stays in force'))
        # nothing of it is left where frankd ends meanwhile
        os.unlink(f'{self.dir}/runs')
        self.command_secret(f'echo $$ >{self.dir}/runs; exec sleep 100\n')
        self.p.send_signal(signal.SIGHUP)
        pid = wait_for(lambda: os.path.exists(f'{self.dir}/runs') and self.read(f'{self.dir}/runs'))
        self.stop()
        self.assertFalse(os.path.exists(f'/proc/{pid.strip()}'))

    def test_reload_storm(self):
        """However often a reload is asked for: one at a time, and not more than one a second; the last wish counts."""
        self.start()
        begin = time.monotonic()
        for _ in range(200):
            self.p.send_signal(signal.SIGHUP)
            time.sleep(0.005)
        self.write('frank.conf', CONF.format(dir=self.dir) + '# changed\naccount "last" {\n provider = "generic"\n mailbox = "c@example.test"\n'
                   ' grant = "none"\n submit = "localhost:2525"\n}\n')
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw(r'is in force \(accounts: 3'), self.text())
        took = time.monotonic() - begin
        self.assertLessEqual(len(re.findall('is in force', self.text())), took + 2)
        self.stop()

    def test_who_else_may_read_or_write(self):
        check = self.check
        self.assertNotIn(self.dir, check())
        os.chmod(f'{self.dir}/password', 0o644)
        self.assertRegex(check(), rf'frank.conf:[0-9]+: warning: /.*/password: others may read this secret \(owner {ME}, mode 0644\): chmod go-rwx .*/password')
        os.chmod(f'{self.dir}/password', 0o666)
        os.chmod(f'{self.dir}/ca.pem', 0o606)
        text = check()
        for name, mode in (('password', '0666'), ('ca.pem', '0606')):
            self.assertRegex(text, rf'/{name}: (warning: )?others may change this file \(owner {ME}, mode {mode}\): chmod go-w .*/{name}\n')
        os.chmod(f'{self.dir}/password', 0o600)
        os.chmod(f'{self.dir}/ca.pem', 0o644)

    def test_one_small_thing_stops_nothing(self):
        """What a block names and is not there any more puts that block out of force at a start; --check and a reload stay strict."""
        broken = CONF.format(dir=self.dir).replace('users = {"*"}', 'users = {"root", "no-such-user-here"}') + f'''
            account "gone" {{
                provider = "generic"
                mailbox = "g@example.test"
                grant = "password"
                password = "file:{self.dir}/nosuch"
                submit = "localhost:2525"
            }}
            account "run" {{
                provider = "generic"
                mailbox = "r@example.test"
                grant = "password"
                password = "command:/bin/false"
                submit = "localhost:2525"
            }}
            listener "door" {{
                address = {{"127.0.0.1:0"}}
                certificate = "{self.dir}/nosuch.pem"
            }}
            notify {{
                command = {{"/bin/true"}}
                command-user = "no-such-user-here"
            }}
            '''.replace('127.0.0.1:0', '127.0.0.1:%d' % self.free_port())
        self.write('frank.conf', broken)
        p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 78, p.stderr)
        self.start()
        text = self.text()
        for what in ('no-such-user-here', 'nosuch cannot', 'nosuch.pem', '/bin/false', 'command-user'):
            self.assertRegex(text, rf'error: .*{re.escape(what)}')
        # the queue knows all accounts, since their mail waits; the keeper knows those that are in force
        self.assertTrue(self.saw(r'\[queue\]: configuration 1: accounts=4 '), self.text())
        self.assertTrue(self.saw(r'\[keeper\]: configuration 1: accounts=2 '), self.text())
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw('The new configuration is not usable'), self.text())
        self.stop()
        # what is wrong in the file itself still is
        self.write('frank.conf', CONF.format(dir=self.dir) + 'account "x" {\n')
        p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 78, p.stderr)

    @staticmethod
    def free_port():
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            return s.getsockname()[1]

    def test_what_everybody_may_change_is_not_done(self):
        """A configuration that everybody may write is refused, since it may name commands; so is a folder on the way there, and a command."""
        def refused(pattern):
            p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 78, p.stderr)
            self.assertRegex(p.stderr, pattern)
            p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 78, p.stderr)
            self.assertRegex(p.stderr, pattern)
        os.chmod(f'{self.dir}/frank.conf', 0o646)
        refused(r'/frank.conf: error: others may change this file \(owner \S+, mode 0646\): chmod go-w')
        os.chmod(f'{self.dir}/frank.conf', 0o644)
        os.chmod(self.dir, 0o757)
        refused(rf'{self.dir}: error: others may replace what is in this folder \(owner \S+, mode 0757\): chmod go-w')
        os.chmod(self.dir, 0o755)
        self.write('tell', '#!/bin/sh\n', 0o757)
        self.write('frank.conf', CONF.format(dir=self.dir) + f'notify {{\n command = {{"{self.dir}/tell"}}\n}}\n')
        refused(r'/tell: others may change this file \(owner \S+, mode 0757\)')
        # the same of a folder that was warned of already, for a secret in it
        os.mkdir(f'{self.dir}/loose')
        os.chmod(f'{self.dir}/loose', 0o757)
        self.write('loose/password', 'x\n', 0o600)
        self.write('loose/tell', '#!/bin/sh\n', 0o755)
        self.write('frank.conf', CONF.format(dir=self.dir).replace(f'file:{self.dir}/password', f'file:{self.dir}/loose/password')
                   + f'notify {{\n command = {{"{self.dir}/loose/tell"}}\n}}\n')
        refused(rf'error: {self.dir}/loose: others may replace what is in this folder')
        os.chmod(f'{self.dir}/loose', 0o755)
        self.start()
        # a running one keeps its configuration
        os.chmod(f'{self.dir}/frank.conf', 0o646)
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw('The new configuration is not usable'), self.text())
        self.stop()

    def test_roles_that_hang(self):
        """A role that answers no more is ended like one that died, and so is one that does not get ready."""
        self.start(env={'WATCHDOG_USEC': '800000'})
        self.assertTrue(self.saw('is ready'))
        first = self.role('frank-keeper')
        os.kill(first, signal.SIGSTOP)
        self.assertTrue(self.saw('A role does not answer any more; it is ended. role=keeper', seconds=30), self.text())
        self.assertTrue(wait_for(lambda: self.role('frank-keeper') not in (0, first), 30), self.text())
        self.stop()
        self.start(env={'WATCHDOG_USEC': '800000'})
        self.write('state/frank-send-hangs', '')
        os.kill(self.role('frank-queue'), signal.SIGUSR1)
        self.assertTrue(self.saw('A role does not get ready; it is ended. role=send', seconds=30), self.text())
        self.assertTrue(self.saw('A role died. role=send', seconds=30), self.text())
        self.stop()

    def entrances(self, text):
        self.write('frank.conf', CONF.format(dir=self.dir) + text)

    def reload(self, want):
        self.p.send_signal(signal.SIGHUP)
        self.assertTrue(self.saw(want), self.text())

    def mode(self, name):
        return os.stat(f'{self.dir}/run/services/{name}').st_mode & 0o777

    def test_entrances(self):
        """Services' own sockets and listeners follow the configuration."""
        own = 'service "{}" {{\n socket = true\n socket-mode = "{}"\n accounts = {{"none"}}\n}}\n'.format
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            port = taken.getsockname()[1]
        listener = 'listener "local" {{ address = {{"127.0.0.1:{}"}} }}\n'.format
        self.entrances(own('one', '0666') + own('two', '0600') + listener(port))
        self.start()
        for line in ('submit of one', 'submit of two', 'listener of local', 'sock-diag'):
            self.assertTrue(self.saw(rf'\[queue\]: listen {line}$'.replace('$', r'\n')), self.text())
        self.assertEqual([self.mode(n) for n in ('one', 'one/submit.sock', 'two', 'two/submit.sock')], [0o755, 0o666, 0o700, 0o600])
        folder = os.stat(f'{self.dir}/run/services/one').st_ino
        # one stays with other rights, two goes, three comes, the listener moves
        self.entrances(own('one', '0600') + own('three', '0600') + listener(self.free_port()))
        self.reload('Configuration 2 is in force')
        self.assertTrue(self.saw(r'listen submit of three\n'), self.text())
        self.assertTrue(self.saw(r'listen listener of local\n', 2), self.text())
        self.assertEqual(len(re.findall('listen submit of one', self.text())), 1)
        self.assertEqual([self.mode('one'), self.mode('one/submit.sock')], [0o700, 0o600])
        self.assertFalse(os.path.exists(f'{self.dir}/run/services/two'))
        # a port that another program has: nothing of the new configuration holds
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            self.entrances(own('four', '0600') + listener(taken.getsockname()[1]))
            self.reload('cannot listen at 127.0.0.1')
            self.assertTrue(self.saw('the old one stays in force'))
        self.assertFalse(os.path.exists(f'{self.dir}/run/services/four/submit.sock'))
        self.assertTrue(os.path.exists(f'{self.dir}/run/services/three/submit.sock'))
        # the queue that is started anew gets all of them again
        os.kill(self.role('frank-queue'), signal.SIGKILL)
        self.assertTrue(self.saw(r'listen submit of one\n', 2), self.text())
        self.stop()
        # the folder is what a container has mounted
        self.assertEqual(os.stat(f'{self.dir}/run/services/one').st_ino, folder)
        self.assertFalse(os.path.exists(f'{self.dir}/run/services/one/submit.sock'))

    def test_queue_has_a_configuration_last(self):
        """Queue tries at once what waited for it, and asks keeper for the new password: so keeper has it before."""
        self.start()
        keeper = self.role('frank-keeper')
        os.kill(keeper, signal.SIGSTOP)
        self.reload('Configuration 2 is in force')
        time.sleep(0.5)
        self.assertNotIn('[queue]: configuration 2', self.text())
        os.kill(keeper, signal.SIGCONT)
        self.assertTrue(self.saw(r'\[queue\]: configuration 2'), self.text())
        self.assertLess(self.text().index('[keeper]: configuration 2'), self.text().index('[queue]: configuration 2'))
        # one that hangs does not keep it from queue
        os.kill(keeper, signal.SIGSTOP)
        self.reload('Configuration 3 is in force')
        self.assertTrue(self.saw(r'\[queue\]: configuration 3'), self.text())
        os.kill(keeper, signal.SIGCONT)
        self.stop()

    def test_an_address_that_another_program_has(self):
        """At a start that listener alone is out of force; a reload refuses the whole (test_entrances)."""
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            taken.listen()
            free = self.free_port()
            self.entrances(f'listener "busy" {{ address = {{"127.0.0.1:{taken.getsockname()[1]}"}} }}\n'
                           f'listener "local" {{ address = {{"127.0.0.1:{free}"}} }}\n')
            self.start()
            self.assertRegex(self.text(), 'Listener busy is out of force: cannot listen at 127.0.0.1:[0-9]+: Address already in use')
            self.assertTrue(self.saw(r'\[queue\]: out of force: listener "busy": cannot listen'), self.text())
            self.assertTrue(self.saw(r'listen listener of local\n'), self.text())
            self.assertNotIn('listener of busy', self.text())
            self.p.send_signal(signal.SIGHUP)
            self.assertTrue(self.saw('the old one stays in force'), self.text())
        self.reload('Configuration [0-9] is in force')
        self.assertTrue(self.saw(r'listen listener of busy\n'), self.text())
        self.stop()

    def test_a_user_who_is_known_late(self):
        """A directory server may answer only after the start: frankd looks again by itself."""
        late = os.path.join(self.dir, 'late')
        shutil.copy(LATE_FRANKD, os.path.join(self.bin, 'frankd'))
        conf = CONF.format(dir=self.dir).replace('users = {"*"}', 'users = {"root", "late-user"}')
        self.write('frank.conf', conf)
        self.start(env={'FRANK_TEST_LATE': late})
        self.assertRegex(self.text(), 'error: users = "late-user": this machine has no such user')
        self.write('late', '')
        self.assertTrue(self.saw('late-user is known now', seconds=20), self.text())
        self.assertTrue(self.saw('Configuration 2 is in force'), self.text())
        self.stop()
        # what was edited meanwhile waits for somebody to reload it
        os.unlink(late)
        self.start(env={'FRANK_TEST_LATE': late})
        self.write('frank.conf', conf + '# edited\n')
        self.write('late', '')
        self.assertTrue(self.saw('the files of the configuration were changed', seconds=20), self.text())
        self.stop()

    def test_a_look_for_late_users_takes_nothing_away(self):
        """What cannot be read at that moment stays in force as it was, and frankd looks again."""
        late = os.path.join(self.dir, 'late')
        shutil.copy(LATE_FRANKD, os.path.join(self.bin, 'frankd'))
        self.write('secret', 'not-for-the-log\n', 0o600)
        self.write('frank.conf', CONF.format(dir=self.dir).replace('users = {"*"}', 'users = {"root", "late-user"}') +
                   f'webhook "w" {{ url = "https://hooks.example.test/" secret = "file:{self.dir}/secret" }}\n')
        self.start(env={'FRANK_TEST_LATE': late})
        os.unlink(f'{self.dir}/secret')
        self.write('late', '')
        self.assertTrue(self.saw('the old one stays in force', seconds=20), self.text())
        self.assertRegex(self.text(), 'secret cannot be read: No such file')
        self.write('secret', 'not-for-the-log\n', 0o600)
        self.assertTrue(self.saw('Configuration 2 is in force', seconds=20), self.text())
        self.stop()

    def test_a_look_for_late_users_keeps_the_aliases(self):
        late = os.path.join(self.dir, 'late')
        shutil.copy(LATE_FRANKD, os.path.join(self.bin, 'frankd'))
        self.write('aliases', 'root: a@example.test\n')
        self.write('frank.conf', CONF.format(dir=self.dir).replace('users = {"*"}', 'users = {"root", "late-user"}')
                   .replace('aliases = "none"', f'aliases = "{self.dir}/aliases"'))
        self.start(env={'FRANK_TEST_LATE': late})
        os.unlink(f'{self.dir}/aliases')
        self.write('late', '')
        self.assertTrue(self.saw('the old one stays in force', seconds=20), self.text())
        self.assertRegex(self.text(), 'aliases cannot be read: No such file')
        self.write('aliases', 'root: a@example.test\n')
        self.assertTrue(self.saw('Configuration 2 is in force', seconds=20), self.text())
        self.stop()

    def test_certificate_is_for_tls_alone(self):
        self.write('cert.pem', '-----BEGIN CERTIFICATE-----\n')
        self.write('key.pem', 'not-for-the-log\n', 0o600)
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            port = taken.getsockname()[1]
        self.entrances(f'listener "local" {{ address = {{"127.0.0.1:{port}"}} certificate = "{self.dir}/cert.pem" key = "{self.dir}/key.pem" }}\n')
        self.start()
        self.assertEqual(self.role('frank-tls'), 0)
        self.assertTrue(self.saw(r'\[queue\]: listeners=1 secrets=0'), self.text())
        os.kill(self.role('frank-queue'), signal.SIGALRM)
        self.assertTrue(self.saw(r'\[tls\]: configuration 1: accounts=0 services=0 secrets=2 files=0'), self.text())
        self.assertTrue(self.saw(r'\[tls\]: peer queue up'), self.text())
        self.assertNotRegex(self.text(), r'\[tls\]: (dir |listen |peer keeper)')
        self.assertNotRegex(self.text(), r'\[keeper\]: listeners')
        self.assertNotIn('not-for-the-log', self.text())
        self.stop()
        self.assertEqual(self.role('frank-tls'), 0)

    def test_check_asks_about_the_certificate(self):
        """frank-tls is asked whether certificate and key go together; what it says stands with file and line, in --check and a reload."""
        self.write('cert.pem', '-----BEGIN CERTIFICATE-----\n')
        self.write('key.pem', '-----BEGIN PRIVATE KEY-----\n', 0o600)
        self.write('bin/frank-tls', '#!/bin/sh\n[ "$1" = --check-pair ] || exit 64\n'
                   'tr "\\0" + | grep -q "CERTIFICATE-----+-----BEGIN" && printf "the key is not that of the certificate" && exit 1\n', 0o755)
        self.entrances(f'listener "local" {{ address = {{"127.0.0.1:{self.free_port()}"}} certificate = "{self.dir}/cert.pem" key = "{self.dir}/key.pem" }}\n')
        p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertRegex(p.stderr, r'frank.conf:[0-9]+: warning: listener "local": the key is not that of the certificate: no TLS is possible')
        # one that does not answer says nothing
        self.write('bin/frank-tls', '#!/bin/sh\nexit 64\n', 0o755)
        p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
        self.assertNotIn('no TLS is possible', p.stderr)

    def test_large_configuration(self):
        self.write('frank.conf', CONF.format(dir=self.dir) + ''.join(
            f'account "a{i}" {{\n provider = "generic"\n mailbox = "a{i}@example.test"\n grant = "none"\n submit = "localhost:2525"\n}}\n'
            for i in range(10000)))
        begin = time.monotonic()
        self.start()
        self.assertTrue(self.saw(r'\[queue\]: configuration 1: accounts=10002'), self.text())
        self.assertTrue(self.saw(r'\[keeper\]: configuration 1: accounts=10002'))
        self.assertTrue(self.saw(r'\[queue\]: peer keeper up'))
        os.kill(self.role('frank-queue'), signal.SIGUSR1)
        self.assertTrue(self.saw(r'\[send\]: peer queue up'), self.text())
        self.assertRegex(self.text(), r'\[send\]: configuration 1: accounts=10002')
        self.assertLess(time.monotonic() - begin, 30)
        self.stop()

    def test_answer_beside_a_large_configuration(self):
        """On one processor the role reads nothing while main fills its channel, and the answer to the reload comes last."""
        self.write('frank.conf', CONF.format(dir=self.dir) + ''.join(
            f'account "a{i}" {{\n mailbox = "a{i}@example.test"\n grant = "none"\n submit = "localhost:2525"\n}}\n' for i in range(10000)))
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        try:
            self.start()
            self.assertTrue(self.saw(r'\[queue\]: configuration 1: accounts=10002', seconds=30), self.text())
            os.kill(self.role('frank-queue'), signal.SIGHUP)
            self.assertTrue(self.saw('reload: good', seconds=30), self.text())
            self.assertTrue(self.saw(r'\[queue\]: configuration 2: accounts=10002'), self.text())
            self.assertNotIn('A role died', self.text())
            self.stop()
        finally:
            os.sched_setaffinity(0, allowed)

    def test_what_the_starter_left(self):
        """Its umask, its open files and its low limit of them."""
        accounts = ''
        for i in range(100):
            self.write(f'ca{i}.pem', '-----BEGIN CERTIFICATE-----\n')
            accounts += (f'account "a{i}" {{\n mailbox = "a{i}@example.test"\n grant = "none"\n submit = "localhost:2525"\n'
                         f' ca-file = "{self.dir}/ca{i}.pem"\n}}\n')
        self.write('frank.conf', CONF.format(dir=self.dir) + accounts)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = os.umask(0o077)
        null = os.open('/dev/null', os.O_RDONLY)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, limits[1]))
            with open(self.log, 'ab') as log:
                self.p = subprocess.Popen(self.command('--foreground'), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                          stderr=log, pass_fds=[null])
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            os.umask(before)
            os.close(null)
        self.assertTrue(self.saw('is ready'), self.text())
        self.assertEqual(os.stat(f'{self.dir}/run').st_mode & 0o777, 0o755)
        self.assertEqual(os.stat(f'{self.dir}/state').st_mode & 0o777, 0o755)
        self.assertNotIn('is /dev/null', self.text())  # the roles log such descriptors
        self.stop()

    def test_socket_in_the_way(self):
        os.mkdir(f'{self.dir}/run')
        path = f'{self.dir}/run/submit.sock'
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(path)
            inode = os.stat(path).st_ino
            p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 69, p.stderr)
            self.assertEqual(os.stat(path).st_ino, inode)
        self.start()  # nobody is there any more
        self.stop()

    def test_lock_is_no_link(self):
        self.write('precious', 'kept')
        os.link(f'{self.dir}/precious', f'{self.dir}/state/frankd.lock')
        p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 71, p.stderr)
        self.assertEqual(self.read(f'{self.dir}/precious'), 'kept')

    def test_check_starts_nothing(self):
        os.rmdir(f'{self.dir}/state')
        p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
        self.assertEqual((p.returncode, p.stderr), (0, ''), p.stderr)
        self.assertFalse(os.path.exists(f'{self.dir}/state'))
        self.assertFalse(os.path.exists(f'{self.dir}/run'))
        os.unlink(f'{self.dir}/ca.pem')
        p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 78)
        self.assertIn('ca.pem', p.stderr)

    def test_check_finds_what_a_start_would(self):
        good = CONF.format(dir=self.dir)
        for text, said in (
                (good.replace(f'{self.dir}/run', f'{self.dir}/' + 'long' * 30), 'is too long'),
                (good + f'tokens {{ key = "file:{self.dir}/none/key" }}\n', 'none/key cannot be made'),
                (good + 'tokens { key = "command:/bin/false" }\n', 'exit status 1'),
                (good.replace('ca.pem', ''), 'no regular file'),
                (good.replace(f'{self.dir}/ca.pem', '/dev/null'), 'no regular file')):
            self.write('frank.conf', text)
            p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 78, text)
            self.assertIn(said, p.stderr)

    def test_one_user(self):
        home = f'{self.dir}/home'
        os.makedirs(f'{home}/.config/frank')
        text = '\n'.join(line for line in CONF.format(dir=self.dir).split('\n') if not line.startswith(('runtime-dir', 'state-dir')))
        self.write('home/.config/frank/frank.conf', text)
        env = {k: v for k, v in os.environ.items() if not k.startswith('XDG_')}
        env.update(HOME=home, XDG_RUNTIME_DIR=f'{self.dir}/runtime')
        with open(self.log, 'ab') as log:
            self.p = subprocess.Popen([os.path.join(self.bin, 'frankd'), '--user', '--foreground'], stdin=subprocess.DEVNULL, stderr=log, env=env)
        self.assertTrue(self.saw('is ready'), self.text())
        self.assertTrue(os.path.exists(f'{self.dir}/runtime/frank/submit.sock'))
        self.assertTrue(os.path.exists(f'{home}/.local/state/frank/master.key'))
        self.stop()

    def test_background(self):
        with open(self.log, 'ab') as log:
            p = subprocess.run(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=20)
        self.assertEqual(p.returncode, 0, self.text())
        self.assertIn('is ready', self.text())
        pid = int(self.read(f'{self.dir}/state/frankd.lock'))
        os.kill(pid, signal.SIGTERM)
        self.assertTrue(wait_for(lambda: not os.path.exists(f'{self.dir}/run/submit.sock')))
        self.write('frank.conf', 'nonsense = 1\n')
        self.assertEqual(subprocess.run(self.command(), capture_output=True, timeout=20).returncode, 78)

    def test_service_manager(self):
        path = f'{self.dir}/notify'
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(path)
            s.settimeout(10)
            self.start(env={'NOTIFY_SOCKET': path})
            self.assertEqual(s.recv(100), b'READY=1')
            self.p.send_signal(signal.SIGHUP)
            self.assertRegex(s.recv(100), rb'^RELOADING=1\nMONOTONIC_USEC=[0-9]+$')
            self.assertEqual(s.recv(100), b'READY=1')
            self.stop()
            self.assertEqual(s.recv(100), b'STOPPING=1')

    def test_socket_activation(self):
        os.mkdir(f'{self.dir}/run')
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as keeper, socket.socket(socket.AF_UNIX) as submit:
            # handed over in another order than frankd makes them
            keeper.bind(f'{self.dir}/run/keeper.sock')
            submit.bind(f'{self.dir}/run/submit.sock')
            inode = os.stat(f'{self.dir}/run/submit.sock').st_ino
            keeper.listen()
            submit.listen()

            def hand_over():
                os.dup2(keeper.fileno(), 13)
                os.dup2(submit.fileno(), 14)
                os.dup2(13, 3)
                os.dup2(14, 4)
                os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2')

            log = os.open(self.log, os.O_WRONLY | os.O_APPEND)
            pid = os.fork()
            if pid == 0:
                try:
                    hand_over()
                    os.dup2(log, 2)
                    os.execv(self.command()[0], self.command('--foreground'))
                finally:
                    os._exit(127)
            os.close(log)
            self.assertTrue(self.saw('is ready'), self.text())
            self.assertTrue(self.saw('listen', 3))
            os.kill(pid, signal.SIGTERM)
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
        # systemd's stay, frankd's own goes
        self.assertEqual(os.stat(f'{self.dir}/run/submit.sock').st_ino, inode)
        self.assertTrue(os.path.exists(f'{self.dir}/run/keeper.sock'))
        self.assertFalse(os.path.exists(f'{self.dir}/run/control.sock'))
        self.assertNotIn('none of the sockets', self.text())


class RoleAlone(unittest.TestCase):
    """What a role does with a main that breaks the rules. Packets are written by hand: see message.h."""

    HELLO, TABLE, CONF_END, GENERATION = 1, 2, 13, 4

    @staticmethod
    def packet(number, *fields):
        return struct.pack('=HH', number, 0) + b''.join(struct.pack('=HHI', f, 0, len(v)) + v for f, v in fields)

    def run_role(self, *packets):
        """The exit status and what the role answered."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            os.set_inheritable(theirs.fileno(), True)
            p = subprocess.Popen(['/bin/sh', '-c', f'exec "$0" /tmp 3<&{theirs.fileno()}', FAKE], stdin=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True, pass_fds=[theirs.fileno()])
            theirs.close()
            for packet in packets:
                ours.send(packet)
            ours.settimeout(1)
            answer = b''
            try:
                answer = ours.recv(1000)
            except OSError:
                pass
            ours.close()
            text = p.communicate(timeout=10)[1]
        return p.returncode, answer, text

    def test_another_build(self):
        status, answer, text = self.run_role(self.packet(self.HELLO, (self.TABLE, b'12345678')))
        self.assertEqual((status, answer), (70, b''))
        self.assertIn('another build', text)

    def test_configuration_before_hello(self):
        status, answer, text = self.run_role(self.packet(self.CONF_END, (self.GENERATION, b'12345678')))
        self.assertEqual((status, answer), (70, b''), text)

    def test_main_is_gone(self):
        self.assertEqual(self.run_role()[0], 69)

    def test_noise(self):
        self.assertEqual(self.run_role(b'noise')[0], 69)

    def test_by_hand(self):
        p = subprocess.run([FAKE], capture_output=True, text=True, timeout=10)
        self.assertEqual(p.returncode, 64)
        self.assertIn('started by frankd', p.stderr)


class AsRoot(Daemon):
    """What only root can try; the integration topic root runs it."""

    def test_root_without_its_users(self):
        """Where every role would run as root, frankd does not start, and says what makes the users."""
        if any(u.pw_name == 'frank-keeper' for u in pwd.getpwall()):
            self.skipTest('this machine has the users')
        os.chown(f'{self.dir}/state', 0, 0)
        p = subprocess.run(self.command('--foreground'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 78, p.stderr)
        self.assertIn('systemd-sysusers', p.stderr)
        p = subprocess.run(self.command('--check'), capture_output=True, text=True, timeout=20)
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertIn('systemd-sysusers', p.stderr)
        self.start('--user')
        self.stop()

    def test_root_without_one_of_its_users(self):
        """No role runs as root, also where the users of the other roles exist."""
        others = [line for line in open('/etc/passwd', encoding='utf-8') if not line.startswith('frank')]
        os.chown(f'{self.dir}/state', 0, 0)
        names = ['frank', 'frank-keeper', 'frank-net']
        for missing in names:
            there = [f'{n}:x:{65001 + i}:{65001 + i}::/:/usr/sbin/nologin\n' for i, n in enumerate(names) if n != missing]
            self.write('passwd', ''.join(others + there))
            own = ['unshare', '--mount', 'sh', '-c', 'mount --bind "$0" /etc/passwd && exec "$@"', f'{self.dir}/passwd']
            if subprocess.run(own + ['true'], capture_output=True, timeout=20).returncode != 0:
                self.skipTest('no mount namespace can be made here')
            p = subprocess.run(own + self.command('--foreground'), capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 78, p.stderr)
            self.assertIn(f'There is no user {missing}, and root owns the state folder', p.stderr)
            p = subprocess.run(own + self.command('--check'), capture_output=True, text=True, timeout=20)
            self.assertEqual(p.returncode, 0, p.stderr)
            self.assertIn(f'would not start: There is no user {missing}, and', p.stderr)

    def test_foreign_file_stays_foreign(self):
        """Who had the folder before may have laid a link to a file that was never his."""
        bodies = f'{self.dir}/state/bodies'
        os.makedirs(bodies)
        for path, owner in ((bodies, 65533), (f'{bodies}/own', 65533), (f'{bodies}/link', 65532)):
            if path != bodies:
                open(path, 'w').close()
            os.chown(path, owner, owner)
        os.chown(f'{self.dir}/state', 65534, 65534)
        self.start()
        self.assertEqual(os.stat(f'{bodies}/own').st_uid, os.stat(bodies).st_uid)
        self.assertNotEqual(os.stat(bodies).st_uid, 65533)
        self.assertEqual(os.stat(f'{bodies}/link').st_uid, 65532)
        self.stop()

    def test_secret_of_another(self):
        os.chown(f'{self.dir}/password', 12345, 0)
        self.assertRegex(self.check(), r'frank.conf:[0-9]+: warning: /.*/password: another user owns this secret \(owner 12345, mode 0600\): chown root .*/password')
        os.chown(f'{self.dir}/password', 0, 12345)
        os.chmod(f'{self.dir}/password', 0o640)
        self.assertRegex(self.check(), r'frank.conf:[0-9]+: warning: /.*/password: others may read this secret')
        os.chown(f'{self.dir}/password', 0, 0)
        self.assertNotIn(self.dir, self.check())


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1] + (sys.argv[4:] or ['Supervision', 'RoleAlone']))
