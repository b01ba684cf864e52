# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The front door with everything behind it: SMTP sessions as mail programs hold them, DSN end to end, bodies in constant memory,
what monitors read from mailq, and no file that a caller names."""
import select

from harness import *


def run(ground, options):
    f = Frank('door', {'a': password_account(ground), 'dead': {'provider': 'generic', 'mailbox': 'dead@example.test', 'grant': 'none', 'tls': 'none',
                                                              'submit': f'127.0.0.1:{free_port()}'}},
              spool={'max-size': '100M'})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    f.frank('secret', 'set', 'a', input=ground.password + '\n')
    sessions(f, ground)
    pipelined(f, ground)
    dsn(f, ground)
    constant_memory(f, ground)
    no_named_file(f)
    mailq(f)
    values(f)
    many(f)
    restart(f)
    f.stop()
    taken_in_once()


class Session:
    """sendmail -bs, driven as a program drives it: a command, then its reply at once."""

    def __init__(self, f, *args):
        self.p = subprocess.Popen([program('sendmail'), '-bs', *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=f.env)
        self.held = b''

    def reply(self, seconds=20):
        """The lines of one reply; '' at the end of the output."""
        out, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            if b'\r\n' not in self.held:
                if select.select([self.p.stdout], [], [], 1)[0]:
                    more = os.read(self.p.stdout.fileno(), 65536)
                    if not more:
                        return ''
                    self.held += more
                continue
            line, _, self.held = self.held.partition(b'\r\n')
            out.append(line.decode())
            if line[3:4] != b'-':
                return '\n'.join(out)
        return 'no reply'

    def say(self, text):
        self.p.stdin.write(text if isinstance(text, bytes) else (text + '\r\n').encode())
        self.p.stdin.flush()
        return self.reply()

    def close(self):
        self.p.stdin.close()
        self.p.wait(20)
        self.p.stdout.close()
        return self.p.returncode, self.p.stderr.read().decode()


def dialogue(f, name, args, steps):
    """Every step is what is said and how the reply must begin."""
    s = Session(f, *args)
    wrong = [] if s.reply().startswith('220 ') else ['no greeting']
    for said, wanted in steps:
        got = s.say(said)
        if not re.match(wanted, got):
            wrong.append(f'{said!r}: {got!r} instead of {wanted}')
    rc, err = s.close()
    check(f'-bs as {name} speaks it', not wrong and rc == 0 and not err, (wrong, rc, err))


def content(mark, *lines):
    return f'From: billing@example.test\r\nTo: a@example.test\r\nSubject: {mark}\r\n\r\n' + ''.join(line + '\r\n' for line in lines) + '.'


def sessions(f, ground):
    m = [marker('bs') for _ in range(8)]
    mail = lambda to='a@example.test': [('MAIL FROM:<billing@example.test>', '250'), (f'RCPT TO:<{to}>', '250'), ('DATA', '354')]
    # Symfony Mailer's SendmailTransport (Nextcloud, Drupal, Laravel): HELO, a ping when it was idle, RSET after an error
    dialogue(f, 'Symfony Mailer', [], [
        ('HELO [127.0.0.1]', '250'), *mail(), (content(m[0], 'one', '..dot'), '250'), ('NOOP', '250'),
        ('MAIL FROM:<billing@example.test>', '250'), ('RCPT TO:<not an address>', '5'), ('RSET', '250'), ('NOOP', '250'),
        *mail(), (content(m[1], 'two'), '250'), ('QUIT', '221')])
    # SwiftMailer: EHLO, parameters of what is offered
    dialogue(f, 'SwiftMailer', [], [('EHLO [127.0.0.1]', r'(250-.*\n)+250 '), *mail(), (content(m[2], 'x'), '250'), ('QUIT', '221')])
    # Alpine (c-client): 8BITMIME where it is offered, DSN where the user wants it
    dialogue(f, 'Alpine', ['-odb', '-oem'], [
        ('EHLO localhost', '250'), ('MAIL FROM:<billing@example.test> BODY=8BITMIME RET=FULL', '250'),
        ('RCPT TO:<a@example.test> NOTIFY=FAILURE,DELAY', '250'), ('DATA', '354'), (content(m[3], 'Gr\u00fc\u00dfe'), '250'), ('QUIT', '221')])
    # nmh
    dialogue(f, 'nmh', ['-odb', '-oem', '-om'], [
        ('EHLO client', '250'), *mail('a@example.test'), (content(m[4], 'x'), '250'), ('RSET', '250'), *mail(), (content(m[5], 'y'), '250'), ('QUIT', '221')])
    dialogue(f, 'a person', [], [
        ('HELP', '214-.*\n214 '), ('VRFY a@example.test', '252'), ('EXPN a@example.test', '503'), ('NOOP whatever', '250'), ('HELO x', '250'), ('DATA', '503'), ('MAIL FROM:<>', '250'),
        ('VRFY a@example.test', '252'), ('EXPN a@example.test', '250 a@example.test'), ('VRFY <no address>', '501'), ('FOO', '500'), ('QUIT', '221')])
    for i in range(6):
        check(f'message {i + 1} of the sessions arrives', ground.arrived('a@example.test', m[i]), f.shown())
    check('dots and octets are what was meant', '\n.dot' in ground.arrived('a@example.test', m[0])[0] and 'Gr' in ground.arrived('a@example.test', m[3])[0],
          ground.arrived('a@example.test', m[0]))


def pipelined(f, ground):
    marks = [marker('pipe') for _ in range(3)]
    text = 'EHLO x\r\n' + ''.join(f'MAIL FROM:<billing@example.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n{content(m, "x")}\r\n' for m in marks) + 'QUIT\r\n'
    r = subprocess.run([program('sendmail'), '-bs'], input=text.encode(), capture_output=True, env=f.env, timeout=60)
    codes = [line[:3] for line in r.stdout.decode().split('\r\n') if line[3:4] == ' ']
    check('-bs: everything pipelined in one write', r.returncode == 0 and codes == ['220', '250'] + ['250', '250', '354', '250'] * 3 + ['221'], r)
    for m in marks:
        check('and it arrives', ground.arrived('a@example.test', m), f.shown())


def dsn(f, ground):
    """-N, -R and -V go all the way: the provider's own report has them."""
    mark = marker('dsn')
    r = f.sendmail('-i', '-N', 'success,failure', '-R', 'hdrs', '-V', mark, '-f', 'billing@example.test', '--', 'a@example.test', body=f'Subject: {mark}\n\nx\n')
    got = ground.arrived('billing@example.test', f'Original-Envelope-Id: {mark}', 40)
    check('-N success, -R and -V: the report of delivery has the envelope id', r.returncode == 0 and got, (r, f.shown()))
    check('it names the recipient', got and 'a@example.test' in got[0], got)
    mark = marker('never')
    r = f.sendmail('-i', '-N', 'never', '-f', 'billing@example.test', '--', 'nouser@example.test', body=f'Subject: {mark}\n\nx\n')
    check('-N never: nothing comes back', r.returncode == 0 and f.empty() and not [m for m in ground.messages('billing@example.test') if mark in m])


def peak(pid):
    with open(f'/proc/{pid}/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmHWM'))


def constant_memory(f, ground):
    """64 MB: neither sendmail nor the queue grows with it."""
    queue = next(p for p in f.pids() if b'frank-queue' in open(f'/proc/{p}/cmdline', 'rb').read())
    asan = b'__asan_init' in open(program('sendmail'), 'rb').read()
    before, mark = peak(queue), marker('big')
    p = subprocess.Popen([program('sendmail'), '-i', '-f', 'dead@example.test', 'a@example.test'], stdin=subprocess.PIPE, env=f.env)
    p.stdin.write(f'From: dead@example.test\nSubject: {mark}\n\n'.encode())
    block = b'0123456789abcde\n' * 65536
    p.stdin.write(block)
    first = peak(p.pid)
    for i in range(64):
        p.stdin.write(block)
    shim = peak(p.pid)
    p.stdin.close()
    rc, after = p.wait(120), peak(queue)
    check(f'64 MB pass: sendmail takes {shim} KiB, the queue {after - before} KiB more', rc == 0 and shim < (65536 if asan else 1024) and shim - first < (4096 if asan else 512) and
          after - before < (65536 if asan else 8192), (rc, first, shim, before, after))
    row = next((m for m in f.queue() if m.get('subject') == mark), {})
    check('and all of it is there', row.get('size', 0) > 64 << 20, row)
    f.frank('queue', 'delete', str(row.get('id', row.get('queue_id'))))


def no_named_file(f):
    """Options that name a file in other mail systems open none here (the way into PHPMailer in 2016): looked at with strace."""
    if not shutil.which('strace'):
        return check.skip('no file that a caller names is opened', 'no strace')
    named = f.path('named')
    with open(named, 'w') as out:
        out.write('secret-of-a-file')
    args = ['-X', named, '-X' + named, '-C', named, '-C' + named, '-D', named, '-oQ' + named, '-oA' + named, '-OQueueDirectory=' + f.dir, '-O', 'AliasFile=' + named,
            '-OLogFile=' + named, '-oA', named, '-oX', named, '-oP', named, '-be', ]
    trace = f.path('trace')
    for a in (args[:-1], ['-oQ/tmp/', '-X' + f.path('made.php')], ['-f', 'x@example.test -X' + f.path('made.php')], ['-C' + named, '-bp'], ['-C' + named, '-bs'],
              ['-X', named, '-bi'], ['-oA' + named, '-bv', 'a@example.test']):
        subprocess.run(['strace', '-f', '-e', 'trace=%file,execve', '-o', trace, program('sendmail'), *a, *([] if '-bv' in a else ['a@example.test'])], input=b'Subject: x\n\nx\n',
                       capture_output=True, env=dict(f.env, ASAN_OPTIONS='detect_leaks=0'), timeout=60)
        lines = [line for line in open(trace) if 'execve(' not in line and (named in line or 'made.php' in line or 'QueueDirectory' in line)]
        check(f'no file is touched for {" ".join(x.replace(f.dir, "DIR") for x in a)}', not lines and os.path.getsize(trace) > 0, lines)
    check('and none was made', not os.path.exists(f.path('made.php')) and open(named).read() == 'secret-of-a-file')
    for m in f.queue():
        f.frank('queue', 'delete', str(m.get('id', m.get('queue_id'))))


# How monitors read mailq, in their own expressions.
# check_mailq of the Monitoring Plugins (2.3) and Nagios Plugins (2.4), -M postfix: the last line.
CHECK_MAILQ = lambda text: (lambda last: int(re.search(r'Kbytes in (\d+)', last).group(1)) if re.search(r'Kbytes in (\d+)', last) else
                            0 if re.search(r'Mail queue is empty', last) else None)(text.splitlines()[-1])
# Zabbix templates for Postfix: `mailq | grep -v "Mail queue is empty" | grep -c '^[0-9A-Z]'`, and `postqueue -p | egrep -c "^[0-9A-F]{10}[*]?"`.
ZABBIX = lambda text: sum(1 for line in text.splitlines() if 'Mail queue is empty' not in line and re.match(r'[0-9A-Z]', line))
ZABBIX_LONG = lambda text: sum(1 for line in text.splitlines() if re.match(r'[0-9A-F]{10}[*]?', line))
# Checkmk's postfix_mailq agent section: "-- N Kbytes in M Requests."
CHECKMK = lambda text: (lambda m: (int(m.group(1)), int(m.group(2))) if m else (0, 0))(re.match(r'-- (\d+) Kbytes in (\d+) Requests?\.$', text.splitlines()[-1]))
# Postfix's own qshape-like parsers and pfqueue: a record of id, flag, size, date, sender, then (reason) and recipients.
RECORD = re.compile(r'^([0-9A-F]+)([*!]?) +(\d+) (\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d) +(\S+)$')


def mailq(f):
    text = subprocess.run([program('mailq')], capture_output=True, text=True, env=f.env).stdout
    check('mailq: an empty queue as monitors read it', text == 'Mail queue is empty\n' and CHECK_MAILQ(text) == 0 and ZABBIX(text) == 0 and CHECKMK(text) == (0, 0), text)
    for i in range(3):
        f.sendmail('-i', '-f', 'dead@example.test', 'one@example.test', 'two@example.test', body=f'From: dead@example.test\nSubject: {i}\n\n' + 'x' * 1000 + '\n')
    wait_for(lambda: 'refused' in subprocess.run([program('mailq')], capture_output=True, text=True, env=f.env).stdout, 20, 0.3)
    text = subprocess.run([program('mailq')], capture_output=True, text=True, env=f.env).stdout
    lines = text.splitlines()
    check('mailq: monitors count three', CHECK_MAILQ(text) == 3 and ZABBIX(text) == 3 and ZABBIX_LONG(text) == 3 and CHECKMK(text)[1] == 3, text)
    check('mailq: the sum is in Kbytes', CHECKMK(text)[0] in range(3, 12), text)
    check('mailq: the header line', lines[0].startswith('----Queue ID-----') or re.match(r'-+Queue ID-+ +--Size-- +-+Arrival Time-+ +-+Sender/Recipient-+$', lines[0]), lines[0])
    records = [RECORD.match(line) for line in lines if RECORD.match(line)]
    check('mailq: id, size, time and sender of each', len(records) == 3 and all(r.group(5) == 'dead@example.test' and 900 < int(r.group(3)) < 3000 for r in records), text)
    check('mailq: the reason in parentheses, then the recipients', re.search(r'\n *\(.*refused.*\)\n +one@example\.test\n +two@example\.test\n\n', text), text)
    ids = {m.get('id', m.get('queue_id')) for m in f.queue()}
    check('mailq: the ids are those of frank queue', {r.group(1) for r in records} == ids, (ids, text))
    plugin(f)
    if os.getuid() == 0:
        user = pwd.getpwnam('games')
        copy = f.path('mailq')
        shutil.copy(program('sendmail'), copy)
        os.chmod(copy, 0o755)
        drop = lambda: (os.setgroups([]), os.setgid(user.pw_gid), os.setuid(user.pw_uid))
        other = subprocess.run(['mailq'], executable=copy, capture_output=True, text=True, env=f.env, preexec_fn=drop, cwd='/').stdout
        check('mailq: nobody sees what others have sent', other == 'Mail queue is empty\n', other)
        subprocess.run(['sendmail', '-i', '-f', 'dead@example.test', 'mine@example.test'], executable=copy, input=b'From: dead@example.test\n\nx\n', env=f.env, preexec_fn=drop, cwd='/')
        other = subprocess.run(['mailq'], executable=copy, capture_output=True, text=True, env=f.env, preexec_fn=drop, cwd='/').stdout
        check('mailq: but everybody his own', CHECK_MAILQ(other) == 1 and 'mine@example.test' in other and 'one@example.test' not in other, other)


def plugin(f):
    """check_mailq itself, told that this is Postfix's format, as mailq(1) has it."""
    folder = f.path('plugins')
    if not os.path.exists('/usr/lib/nagios/plugins/check_mailq'):
        check.skip('check_mailq', 'the monitoring plugins are not installed')
        return
    shutil.copytree('/usr/lib/nagios/plugins', folder, symlinks=True, ignore=lambda _, names: [n for n in names if n not in ('check_mailq', 'utils.pm')])
    utils = open(folder + '/utils.pm').read()
    with open(folder + '/utils.pm', 'w') as u:
        u.write(re.sub(r'(?m)^\$PATH_TO_MAILQ\s*=.*$', f'$PATH_TO_MAILQ = "{program("mailq")}";', utils))
    for warn, critical, words, status in ((10, 20, 'is below threshold', 0), (2, 20, 'WARNING', 1), (2, 3, 'CRITICAL', 2)):
        r = subprocess.run(['perl', folder + '/check_mailq', '-M', 'postfix', '-w', str(warn), '-c', str(critical)], capture_output=True, text=True, env=f.env)
        check(f'check_mailq -M postfix counts three ({warn}, {critical})', r.returncode == status and words in r.stdout and 'unsent=3;' in r.stdout, r)


def many(f):
    """A message to 11,000 recipients is one message, by -t as by arguments; over the limit it is refused for good, and the limit is named."""
    addresses = [f'user{i:05}@example.test' for i in range(50001)]
    for name, args, header, n in (('-t', ['-t'], 'Bcc: ' + ',\n '.join(addresses[:11000]) + '\n', 11000), ('arguments', addresses[:11000], '', 11000)):
        mark = marker('many')
        r = f.sendmail('-i', '-f', 'dead@example.test', *args, body=f'From: dead@example.test\nSubject: {mark}\n{header}\nx\n')
        row = next((m for m in f.queue() if m.get('subject') == mark), {})
        check(f'11,000 recipients by {name}', r.returncode == 0 and len(row.get('recipients', [])) == n, (r.returncode, r.stderr, len(row.get('recipients', []))))
        f.frank('queue', 'delete', str(row.get('id', row.get('queue_id'))))
    mark = marker('many')
    r = f.sendmail('-i', '-f', 'dead@example.test', *addresses, body=f'From: dead@example.test\nSubject: {mark}\n\nx\n')
    check('50,001 recipients never fit', r.returncode == 65 and b'50000' in r.stderr and not [m for m in f.queue() if m.get('subject') == mark], (r.returncode, r.stderr))


def values(f):
    """No program repeats what may be the value of an option that it does not know, or of a word that it does not expect."""
    for name, args in (('frankd', ['--password=SECRET']), ('frankd', ['-zSECRET']), ('frankd', ['SECRET']), ('frank', ['--password=SECRET', 'status']),
                       ('frank', ['-zSECRET']), ('frank', ['secret', 'SECRET']), ('frank', ['secret', 'set', 'a', 'SECRET']), ('frank-sandbox', ['--password=SECRET']),
                       ('frank-sandbox', ['SECRET'])):
        r = subprocess.run([program(name), *args], capture_output=True, text=True, env=f.env, stdin=subprocess.DEVNULL, timeout=60)
        check(f'{name} {" ".join(args)}: refused without the value', r.returncode == 64 and r.stderr and 'SECRET' not in r.stdout + r.stderr, r)


def restart(f):
    """A session in which the daemon stops, or dies, ends with 421: the program knows that it has to send again."""
    s = Session(f)
    s.reply()
    s.say('HELO x')
    f.stop()
    got = s.reply()
    rc, _ = s.close()
    check('-bs: a daemon that stops says 421', got.startswith('421 '), (got, rc))
    check('-bs: and starts again', f.start(), f.log()[-500:])
    for name, said in (('between messages', 'NOOP'), ('within a message', 'MAIL FROM:<billing@example.test>\r\nRCPT TO:<a@example.test>\r\nDATA')):
        s = Session(f)
        s.reply()
        for line in ['HELO x', *said.split('\r\n')]:
            s.say(line)
        f.kill()
        got = s.reply()
        rc, _ = s.close()
        check(f'-bs: a daemon that dies {name} is a 421 too', got.startswith('421 4.3.2') and rc == 75, (got, rc))
        check('-bs: and starts again', f.start(), f.log()[-500:])


def taken_in_once():
    """What was left in the drop directory is taken in exactly once and in order, though the daemon dies again and again meanwhile."""
    f = Frank('dropped', {'a': {'provider': 'generic', 'mailbox': 'a@example.test', 'grant': 'none', 'submit': '127.0.0.1:1', 'tls': 'none'}},
              {'all': dict(users=['*'], accounts=['a'], senders=['*'], mode='capture')})
    if not check('drop: frankd starts', f.start(), f.log()[-500:]):
        return
    f.stop()
    text = b''.join(b'%020d\n' % i for i in range(5000))  # one that takes some reading
    n, failed = 60, 0
    env = dict(f.env, FRANK_SUBMIT_SOCKET=f.path('run/none.sock'))
    calls = [subprocess.Popen([program('sendmail'), '-i', '-f', 'a@example.test', 'x@example.test'], stdin=subprocess.PIPE, env=env) for _ in range(n)]
    for i, p in enumerate(calls):
        p.stdin.write(b'Subject: %d\n\n' % i + (text if i % 4 == 0 else b'x\n'))
        p.stdin.close()
    failed = sum(p.wait(60) != 0 for p in calls)
    folder = f.path('state/drop')
    check('drop: all are left there, and nothing else is', failed == 0 and len(os.listdir(folder)) == n and all(x.endswith('.drop') for x in os.listdir(folder)), os.listdir(folder))
    kills = 0
    while len([x for x in os.listdir(folder) if x.endswith('.drop')]) > 0 and kills < 40:
        f.start(wait=False)
        left = len(os.listdir(folder))
        wait_for(lambda: len(os.listdir(folder)) < left or f.p.poll() is not None, 20, 0.001)
        time.sleep(0.002 * (kills % 5))
        f.kill()
        kills += 1
    f.start()
    wait_for(lambda: not [x for x in os.listdir(folder) if x.endswith('.drop')], 30, 0.1)
    got = [m.get('subject') for m in f.queue()]
    check(f'drop: after {kills} kills every message is there, once', sorted(got) == sorted(str(i) for i in range(n)) and kills > 1, (len(got), len(set(got)), os.listdir(folder)))
    f.stop()
