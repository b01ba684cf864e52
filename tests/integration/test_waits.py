# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Every wait is bounded: behind each socket stands a daemon that is dead, silent, slow, or stops in the midst of it, as under a service
manager that keeps the sockets while frankd cannot start. Each command has to come to an end, and no message may be lost.

All calls run at the same time, since each of them waits. What is asserted is that they end, not when.
"""
from harness import *

ENDS = 400  # seconds: far above every bound
GREETED = b'220 double ESMTP\r\n'


class Stand:
    """A socket with one kind of daemon behind it."""

    def __init__(self, path, kind, packets=False):
        self.kind, self.path, self.held = kind, path, []
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if packets else socket.SOCK_STREAM)
        self.s.bind(path)
        os.chmod(path, 0o666)
        self.s.listen(0 if kind == 'full' else 128)
        if kind == 'full':
            while True:
                c = socket.socket(socket.AF_UNIX, self.s.type)
                c.setblocking(False)
                try:
                    c.connect(path)
                except BlockingIOError:
                    break
                self.held.append(c)
        elif kind != 'dead':
            threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            self.held.append(c)
            threading.Thread(target=self.talk, args=(c,), daemon=True).start()

    def talk(self, c):
        try:
            if self.kind == 'slow':
                for octet in GREETED * 1000:
                    c.sendall(bytes([octet]))
                    time.sleep(1)
            elif self.kind == 'reads':
                while c.recv(65536):
                    pass
            elif self.kind == 'greets':
                c.sendall(GREETED)
            elif self.kind == 'obeys':
                self.answer(c, None)
                c.shutdown(socket.SHUT_RDWR)
            elif self.kind.startswith('stops at '):
                self.answer(c, self.kind.split()[-1])
            # 'silent': nothing is read, nothing is said
        except OSError:
            pass

    def answer(self, c, last):
        """Answers up to the command `last`, which gets a reply an octet at a time, for ever."""
        lines = c.makefile('rb')
        c.sendall(GREETED)
        for line in lines:
            verb = line.split()[0].upper().decode()
            if verb == 'BDAT':
                lines.read(int(line.split()[1]))
            if verb == last:
                while True:
                    c.sendall(b'2')
                    time.sleep(1)
            if verb == 'DATA' and self.kind == 'obeys':
                c.sendall(b'354 go on\r\n')
                while lines.readline() not in (b'.\r\n', b''):
                    pass
                verb = '.'
            c.sendall(b'354 go on\r\n' if verb == 'DATA' else b'250 double\r\n')

    def close(self):
        self.s.close()
        for c in self.held:
            c.close()


def run(ground, options):
    top = tempfile.mkdtemp(prefix='frank-waits-', dir=harness_dir())
    os.chmod(top, 0o755)
    calls, stands = [], []

    def call(name, argv, env, good, input=b'Subject: x\n\nhello\n', open_input=False):
        def work():
            p = subprocess.Popen(argv, env=dict(clean_env(), **env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                if open_input:
                    p.stdin.write(input)
                    p.stdin.flush()
                    p.wait(ENDS)
                out, err = p.communicate(None if open_input else input, ENDS)
            except subprocess.TimeoutExpired:
                p.kill()
                out, err = p.communicate()
                check(f'{name} ends', False, (out, err))
                return
            except BrokenPipeError:
                p.wait(ENDS)
                out, err = p.stdout.read(), p.stderr.read()
            check(name, good(p.returncode, out, err), (p.returncode, out, err))
        t = threading.Thread(target=work)
        t.start()
        calls.append(t)

    def stand(kind, packets=False):
        folder = tempfile.mkdtemp(dir=top)
        names = ('control.sock', 'keeper.sock') if packets else ('submit.sock',)
        stands.extend(Stand(os.path.join(folder, n), kind, packets) for n in names)
        return folder

    for kind in ('full', 'dead', 'silent', 'slow', 'reads', 'greets', 'stops at EHLO', 'stops at MAIL', 'stops at RCPT', 'stops at BDAT'):
        submitting(call, stand, kind)
        asking(call, stand, kind)
    for kind in ('full', 'dead', 'silent', 'slow', 'reads', 'greets', 'stops at HELO', 'stops at MAIL', 'stops at DATA'):
        speaking(call, stand, kind)
    pausing(call, stand)
    for kind in ('full', 'dead', 'silent', 'reads'):
        frank(call, stand, kind)
    for t in calls:
        t.join()
    for s in stands:
        s.close()


def submitting(call, stand, kind):
    """The message goes to the drop directory, whole; where there is none the caller is told that it was not stored."""
    sendmail = [program('sendmail'), '-i', 'a@example.test']
    for size, body in (('small', b'Subject: x\n\nhello\n'), ('large', b'Subject: x\n\n' + b'0123456789abcde\n' * 20000)):
        for how, argv in (('', sendmail), (', also of a caller that closed output and error', ['sh', '-c', 'exec "$0" "$@" >&- 2>&-', *sendmail])):
            folder = stand(kind)
            drop = os.path.join(folder, 'drop')
            os.mkdir(drop)

            def left(rc, out, err, drop=drop, body=body):
                files = os.listdir(drop)
                content = open(os.path.join(drop, files[0]), 'rb').read() if files else b''
                return rc == 0 and len(files) == 1 and content.endswith(b'BDAT %d LAST\r\n' % len(body) + body + b'QUIT\r\n') and not err
            call(f'{kind}: a {size} message goes to the drop directory{how}', argv,
                 {'FRANK_SUBMIT_SOCKET': folder + '/submit.sock', 'FRANK_DROP_DIR': drop}, left, body)
    call(f'{kind}: without a drop directory it is 75', [program('sendmail'), '-i', 'a@example.test'], {'FRANK_SUBMIT_SOCKET': stand(kind) + '/submit.sock'},
         lambda rc, out, err: rc == 75 and b'stored' in err)


def asking(call, stand, kind):
    env = lambda: {'FRANK_SUBMIT_SOCKET': stand(kind) + '/submit.sock'}
    call(f'{kind}: mailq ends', [program('mailq')], env(), lambda rc, out, err: kind in ('stops at MAIL', 'stops at RCPT', 'stops at BDAT') or rc == 69 and b'down' in err)
    call(f'{kind}: newaliases ends', [program('sendmail'), '-bi'], env(), lambda rc, out, err: rc == 0)
    call(f'{kind}: -q ends', [program('sendmail'), '-q'], env(), lambda rc, out, err: rc == 0)
    call(f'{kind}: -bv ends, however many addresses', [program('sendmail'), '-bv', *(f'a{i}@example.test' for i in range(50))], env(),
         lambda rc, out, err: kind == 'stops at BDAT' or rc == 75)


def speaking(call, stand, kind):
    """-bs: whoever waits for an answer gets 421, though its end of the session stays open."""
    said = b'HELO x\r\nMAIL FROM:<a@example.test>\r\nRCPT TO:<b@example.test>\r\nDATA\r\n'
    if kind == 'stops at DATA':
        said += b'Subject: x\r\n\r\nx\r\n.\r\n'
    call(f'{kind}: -bs ends', [program('sendmail'), '-bs'], {'FRANK_SUBMIT_SOCKET': stand(kind) + '/submit.sock'},
         lambda rc, out, err: rc == 75 and re.search(rb'(^|\r\n)421 [^\r]*\r\n$', out), said, open_input=True)


def pausing(call, stand):
    """-bs: the daemon's time is no bound for the caller, who may think for longer than that, also in the midst of a message."""
    for name, before, behind in (('before it hangs up', 'HELO x', ''), ('in a message', 'HELO x\\r\\nDATA\\r\\nSubject: x\\r\\n\\r\\na\\n.\\nb', '.\\r\\nQUIT\\r\\n')):
        call(f'-bs: the caller pauses {name}', ['sh', '-c', f"(printf '{before}\\r\\n'; sleep 65; printf '{behind}') | exec \"$0\" -bs", program('sendmail')],
             {'FRANK_SUBMIT_SOCKET': stand('obeys') + '/submit.sock'}, lambda rc, out, err: rc == 0 and b'421' not in out and not err)


def frank(call, stand, kind):
    """The frank command; where its request is read, an answer may take long, and only the quick ones are waited for."""
    verbs = [['status'], ['queue'], ['secret', 'set', 'a']]
    if kind != 'reads':
        verbs += [['queue', 'show', '1'], ['queue', 'retry', '1'], ['token', 'a'], ['reload'], ['events'], ['events', '--follow'], ['service', 'list'],
                  ['service', 'explain', 'root', 'a@example.test'], ['audit'], ['account', 'list'], ['account', 'revoke', 'a'], ['key', 'list'], ['key', 'verify'],
                  ['check', 'a'], ['authorize', 'a', '--paste'], ['authorize', 'a', '--device'], ['test', 'a', 'b@example.test'], ['transcript', '1']]
    for v in verbs:
        call(f'{kind}: frank {" ".join(v)} ends', [program('frank'), *v], {'FRANK_CONTROL_SOCKET': stand(kind, True) + '/control.sock'},
             lambda rc, out, err: rc not in (0, 64) and err)
