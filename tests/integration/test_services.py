# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Services: who may send as whom. By user, group and own socket, over the real daemon, as several users: needs root."""
from harness import *

ONE, TWO, THREE, STRANGER, NOBODY, GROUP = 64101, 64102, 64103, 64109, 65534, 64200


def services():
    return {
        'one': dict(users=[str(ONE)], accounts=['a'], senders=['one@example.test', '*@one.example.test']),
        'two': dict(users=[str(TWO)], accounts=['a'], senders=['two@example.test'], recipients=['*@example.test'], **{'from': 'refuse', 'max-size': '20K', 'recipients-max': 2}),
        'three': dict(groups=[str(GROUP)], accounts=['a'], senders=['three@example.test'], mode='capture'),
        'box': dict(socket=True, accounts=['a'], senders=['box@example.test'], **{'socket-mode': '0666'}),
        'club': dict(socket=True, accounts=['a'], senders=['club@example.test'], **{'socket-mode': '0660', 'socket-group': str(GROUP)}),
        'keep': dict(users=['64106'], accounts=['a'], senders=['keep@example.test'], **{'from': 'keep'}),
        'both': dict(users=['64107'], accounts=['a', 'b'], mode='capture', senders=['*@example.test']),
        'slow': dict(users=['64104'], accounts=['a'], rate=['2/min', '100/day'], senders=['slow@example.test']),
        'daily': dict(users=['64105'], accounts=['a'], rate=['3/day'], senders=['daily@example.test'], mode='capture'),
    }


class World:
    def __init__(self):
        self.kept = tempfile.mkdtemp(prefix='kept-', dir=harness_dir())
        self.sink = Fault('smtp', '--tls', 'none', '--keep', self.kept)
        relay = {'provider': 'generic', 'mailbox': 'billing@example.test', 'grant': 'none', 'submit': f'127.0.0.1:{self.sink.port}', 'tls': 'none'}
        self.f = Frank('services', {'a': relay, 'b': dict(relay, mailbox='b@example.test')}, services())
        # where every user can run it, whatever the folder of the build
        self.sendmail, self.frank = self.f.path('sendmail'), self.f.path('frank')
        shutil.copy(program('sendmail'), self.sendmail)
        shutil.copy(program('frank'), self.frank)

    def send(self, uid, *args, groups=(), socket_=None, sender='From: Some Body <who@else.test>\n', mark='x', body='hello\n'):
        """sendmail as that user. Returns the finished process."""
        env = dict(self.f.env)
        if socket_:
            env.update(FRANK_SUBMIT_SOCKET=socket_)
        env.pop('FRANK_DROP_DIR')
        return subprocess.run([self.sendmail, *args], input=f'{sender}Subject: {mark}\n\n{body}'.encode(), capture_output=True, env=env, timeout=60,
                              user=uid, group=uid, extra_groups=list(groups))

    def command(self, uid, *args):
        return subprocess.run([self.frank, *args], capture_output=True, text=True, env=self.f.env, timeout=60, user=uid, group=uid, extra_groups=[])

    def got(self, mark):
        """(envelope, text) of what reached the relay."""
        def look():
            for m in self.sink.messages():
                text = open(f'{self.kept}/{m["n"]}.eml', encoding='latin-1').read()
                if f'Subject: {mark}\r\n' in text or f'Subject: {mark}\n' in text:
                    return m, text
        return wait_for(look, 20, 0.1) or ({}, '')

    def socket(self, service):
        return self.f.path(f'run/services/{service}/submit.sock')


def run(ground, options):
    if os.getuid() != 0:
        return as_root('services')
    w = World()
    try:
        if check('frankd starts', w.f.start(), w.f.log()[-800:]):
            apart(w)
            refusals(w)
            sockets(w)
            container(w)
            limits(w)
            people(w)
            reload(w)
    finally:
        w.f.stop()
        w.sink.stop()


def apart(w):
    mark = marker('one')
    r = w.send(ONE, 'r@far.test', mark=mark)
    m, text = w.got(mark)
    check('by user: it sends, and any other From becomes its own', r.returncode == 0 and 'one@example.test' in m.get('mail', ''), (r, m))
    check('the display name is kept; the old From is in Reply-To and X-Original-From',
          re.search(r'^From: "?Some Body"? <one@example\.test>\r?$', text, re.M) and re.search(r'^Reply-To: "?Some Body"? <who@else\.test>', text, re.M)
          and re.search(r'^X-Original-From: "?Some Body"? <who@else\.test>', text, re.M), text)
    mark = marker('pattern')
    w.send(ONE, '-f', 'any@one.example.test', 'r@far.test', sender='From: Any <any@one.example.test>\n', mark=mark)
    m, text = w.got(mark)
    check('a sender of *@domain stays as it is', 'any@one.example.test' in m.get('mail', '') and re.search(r'^From: "?Any"? <any@one\.example\.test>', text, re.M), (m, text))
    mark = marker('theirs')
    w.send(ONE, '-f', 'two@example.test', 'r@far.test', sender='From: two@example.test\n', mark=mark)
    m, text = w.got(mark)
    check("another service's sender is not to be had", 'one@example.test' in m.get('mail', '') and 'From: two@example.test' not in text.replace('X-Original-From', ''), (m, text))
    mark = marker('group')
    r = w.send(THREE, 'r@far.test', groups=[GROUP], mark=mark)
    rows = wait_for(lambda: [q for q in w.f.queue() if q['service'] == 'three'], 5)
    check('by group; and what is captured stays here', r.returncode == 0 and rows and rows[0]['state'] == 'captured' and rows[0]['sender'] == 'three@example.test', (r, rows))
    mark = marker('keep')
    w.send(64106, '-f', 'env@else.test', 'r@far.test', mark=mark)
    m, text = w.got(mark)
    check('from = keep: whatever the caller wrote goes out', 'env@else.test' in m.get('mail', '') and 'From: Some Body <who@else.test>' in text, (m, text))
    for sender, account in (('b@example.test', 'b'), ('billing@example.test', 'a'), ('other@example.test', 'a')):
        mark = marker('account')
        w.send(64107, '-f', sender, 'r@far.test', sender=f'From: {sender}\n', mark=mark)
        row = next((q for q in w.f.queue() if q.get('subject') == mark), {})
        check(f'{sender} goes by account {account}', (row.get('account'), row.get('sender')) == (account, sender), row)
    check('captured mail reaches nobody', all(mark not in open(p, encoding='latin-1').read() for p in glob.glob(w.kept + '/*')))


def refused(w, name, r, status, words, logged):
    check(f'{name}: exit status {status}, and why', r.returncode == status and re.search(words, r.stderr.decode(), re.I), r)
    check(f'{name}: an audit line', wait_for(lambda: re.search(logged, w.f.log()), 5), w.f.log()[-800:])


def known_at_mail(w):
    """What is known at MAIL is said at MAIL: EHLO names the limit of the caller's service, a sender that it may not claim is refused before the
    message travels."""
    r = subprocess.run([w.sendmail, '-bs'], input=b'EHLO x\r\nMAIL FROM:<one@example.test>\r\nMAIL FROM:<two@example.test> SIZE=20481\r\n'
                       b'MAIL FROM:<two@example.test> SIZE=20480\r\nQUIT\r\n', capture_output=True, env=w.f.env, timeout=60, user=TWO, group=TWO, extra_groups=[])
    out = r.stdout.decode()
    check('EHLO names the limit of the service', '\n250-SIZE 20480\r' in out or '\n250 SIZE 20480\r' in out, out)
    replies = [line for line in out.split('\r\n') if line[3:4] == ' ' and not line.startswith(('220', '250 SIZE'))]
    check('a sender that may not be claimed is refused at MAIL', len(replies) == 4 and replies[0].startswith('550 5.7.1') and 'one@example.test' in replies[0], out)
    check('a size that is announced and too large as well', replies[1].startswith('552 5.3.4') and replies[2].startswith('250') and replies[3].startswith('221'), out)


def refusals(w):
    no = dict(mark='must-not-arrive')
    refused(w, 'no service', w.send(STRANGER, 'r@example.test', **no), 77, 'no service', r'A message is refused\..*uid=64109')
    refused(w, 'nobody (uid 65534)', w.send(NOBODY, 'r@example.test', **no), 77, 'no service', r'A message is refused\..*uid=65534')
    refused(w, 'another From', w.send(TWO, 'r@example.test', **no), 77, 'who@else.test', r'A message is refused\..*From address.*service=two')
    own = 'From: two@example.test\n'
    refused(w, 'another envelope', w.send(TWO, '-f', 'one@example.test', 'r@example.test', sender=own, **no), 77, 'envelope sender', r'refused\..*envelope sender.*service=two')
    refused(w, 'another recipient', w.send(TWO, '-f', 'two@example.test', 'r@far.test', sender=own, **no), 77, 'recipient', r'refused\..*recipient.*service=two.*sender=r@far.test')
    refused(w, 'too many recipients', w.send(TWO, '-f', 'two@example.test', 'a@example.test', 'b@example.test', 'c@example.test', sender=own, **no), 77, 'more recipients',
            r'refused\..*More recipients.*service=two')
    refused(w, 'too large', w.send(TWO, '-f', 'two@example.test', 'a@example.test', sender=own, body='x' * 70 + '\n' + ('y' * 70 + '\n') * 1000, **no), 65, 'larger.*20480', r'refused\..*larger.*service=two')
    refused(w, 'a little too large', w.send(TWO, '-f', 'two@example.test', 'a@example.test', sender=own, body=('y' * 70 + '\n') * 300, **no), 65, 'larger.*20480', r'refused\..*larger.*service=two')
    known_at_mail(w)
    mark = marker('two')
    r = w.send(TWO, '-f', 'two@example.test', 'r@example.test', sender=own, mark=mark)
    check('what it may it may', r.returncode == 0 and 'two@example.test' in w.got(mark)[0].get('mail', ''), r)
    check('nothing of what was refused arrived', not [p for p in glob.glob(w.kept + '/*') if 'must-not-arrive' in open(p, encoding='latin-1').read()])


def sockets(w):
    mode = lambda p: os.stat(p).st_mode & 0o777
    check('sockets and folders have their modes and groups',
          (mode(w.socket('box')), mode(os.path.dirname(w.socket('box'))), mode(w.socket('club')), mode(os.path.dirname(w.socket('club'))), os.stat(w.socket('club')).st_gid)
          == (0o666, 0o755, 0o660, 0o750, GROUP))
    for name, uid in (('any user', STRANGER), ('nobody', NOBODY), ('a user of another service', ONE)):
        mark = marker('box')
        r = w.send(uid, 'r@far.test', socket_=w.socket('box'), mark=mark)
        m, text = w.got(mark)
        check(f'through its own socket {name} is that service', r.returncode == 0 and 'box@example.test' in m.get('mail', ''), (r, m))
    r = w.send(STRANGER, 'r@far.test', socket_=w.socket('club'))
    check('who is not in the group does not get in', r.returncode == 77 and b'may not be used' in r.stderr, r)
    r = w.send(STRANGER, 'r@far.test', socket_=w.socket('club'), groups=[GROUP])
    check('who is does', r.returncode == 0, r)


def container(w):
    """What a container has: the folder of the socket, mounted read-only, and a user that nobody knows; also after frankd began anew."""
    inside = w.f.path('inside')
    os.mkdir(inside)
    held = subprocess.Popen(['unshare', '--mount', 'sh', '-c', f'mount --bind "$1" "$2" && mount -o remount,bind,ro "$2" && echo mounted && exec cat', 'sh', os.path.dirname(w.socket('box')), inside],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if held.stdout.readline() != 'mounted\n':
        check.skip('a container', held.communicate()[1])
        return
    for when in ('', ', after a restart of frankd'):
        if when:
            w.f.stop()
            check('it starts again', w.f.start(), w.f.log()[-500:])
        mark = marker('container')
        r = subprocess.run(['nsenter', '-t', str(held.pid), '--mount', 'setpriv', '--reuid=123456', '--regid=123456', '--clear-groups', '--no-new-privs', w.sendmail, 'r@far.test'],
                           input=f'Subject: {mark}\n\nx\n'.encode(), capture_output=True, env={**w.f.env, 'FRANK_SUBMIT_SOCKET': inside + '/submit.sock'}, timeout=60)
        check('a container with the folder mounted sends' + when, r.returncode == 0 and 'box@example.test' in w.got(mark)[0].get('mail', ''), (r, w.f.log()[-400:]))
    held.stdin.close()
    held.wait(10)


def limits(w):
    first = [w.send(64104, 'r@far.test').returncode for _ in range(2)]
    r = w.send(64104, 'r@far.test')
    check('rate a minute: the third is for later', first == [0, 0] and r.returncode == 75 and b'rate' in r.stderr, (first, r))
    check('and an audit line says so', re.search(r'refused\..*rate.*service=slow', w.f.log()), w.f.log()[-500:])
    first = [w.send(64105, 'r@far.test').returncode for _ in range(3)]
    before = w.send(64105, 'r@far.test').returncode
    w.f.stop()
    check('it starts again', w.f.start(), w.f.log()[-500:])
    after = w.send(64105, 'r@far.test')
    check("rate a day: a restart does not begin the day anew", first == [0, 0, 0] and before == 75 and after.returncode == 75, (first, before, after))
    check('others are not held up', w.send(ONE, 'r@far.test').returncode == 0)


def people(w):
    rows = {s['service']: s for s in w.f.json('service', 'list')['services']}
    check('service list says what is configured', list(rows) == list(services()) and rows['two']['from'] == 'refuse' and rows['two']['max_size'] == 20480
          and rows['two']['recipients_max'] == 2 and rows['two']['recipients'] == ['*@example.test'] and rows['club']['socket'] == 'club'
          and rows['slow']['rate_minute'] == 2 and rows['slow']['rate_day'] == 100 and rows['one']['users'] == [str(ONE)] and rows['three']['mode'] == 'capture', rows)
    text = w.f.frank('service', 'list').stdout
    check('and for people', all(x in text for x in ('another is refused', '*@example.test', '2/min; 100/day', 'through its own socket', '20.5k a message')), text)

    def explain(*args):
        r = w.f.frank('service', 'explain', *args, '--json')
        return r.returncode, json.loads(r.stdout)

    status, e = explain(str(TWO), 'two@example.test', 'r@example.test')
    check('explain: accepted, and rule by rule', status == 0 and e['decision'] == 'accept' and e['account'] == 'a' and e['sender'] == 'two@example.test'
          and [r['state'] for r in e['rules']] == ['passes', 'matches'] + ['not-reached'] * 7 and 'one of its users' in e['rules'][1]['text'], e)
    status, e = explain(str(ONE), 'who@else.test')
    check('explain: a rewritten sender', status == 0 and (e['from'], e['sender']) == ('one@example.test', 'one@example.test') and 'X-Original-From' in e['text'], e)
    status, e = explain(str(TWO), 'who@else.test')
    check('explain: a refused sender', status == 77 and e['decision'] == 'refuse' and 'who@else.test' in e['text'], e)
    status, e = explain(str(TWO), 'two@example.test', 'r@far.test')
    check('explain: a refused recipient', status == 77 and 'r@far.test' in e['text'], e)
    status, e = explain(str(STRANGER), 'one@example.test')
    check('explain: no service', status == 77 and all(r['state'] == 'passes' for r in e['rules']) and 'own socket alone' in e['rules'][3]['text'], e)
    status, e = explain(str(STRANGER), 'x@example.test', '--socket', 'box')
    check('explain: through a socket', status == 0 and e['service'] == 'box', e)
    r = w.f.frank('service', 'explain', 'nobody', 'x@example.test')
    check('explain: nobody, for people', r.returncode == 77 and 'Refused' in r.stdout and '65534 is nobody' in r.stdout, r)
    r = w.command(ONE, 'service', 'explain', str(ONE), 'one@example.test')
    check('everybody may ask about himself', r.returncode == 0 and 'Accepted' in r.stdout, r)
    r = w.command(ONE, 'service', 'explain', str(ONE), 'one@example.test', '--json')
    check('and learns of no other service', r.returncode == 0 and [x['service'] for x in json.loads(r.stdout)['rules']] == ['one'] and not re.search('two|three|box|club', r.stdout), r)
    r = w.command(ONE, 'service', 'explain', str(ONE), 'x@example.test', '--socket', 'box')
    check('nor of a socket', r.returncode == 77 and 'box@' not in r.stdout + r.stderr, r)
    r = w.command(STRANGER, 'service', 'explain', str(STRANGER), 'x@example.test', '--json')
    check('who has none learns of none', r.returncode == 77 and json.loads(r.stdout)['rules'] == [], r)
    r = w.command(STRANGER, 'status')
    check('and `frank status` says what to do about it', r.returncode == 0 and 'none that you may see' in r.stdout and 'Next: `frank service explain' in r.stdout, r)
    r = w.command(ONE, 'service', 'explain', str(TWO), 'two@example.test')
    check('and about nobody else', r.returncode == 77 and 'administrators' in r.stderr, r)


def reload(w):
    del w.f.services['box']
    w.f.services['late'] = dict(socket=True, accounts=['a'], senders=['late@example.test'], **{'socket-mode': '0666'})
    w.f.write_conf()
    r = w.f.frank('reload')
    check('reload: a socket goes, another comes', r.returncode == 0 and wait_for(lambda: os.path.exists(w.socket('late')) and not os.path.exists(os.path.dirname(w.socket('box'))), 10), r)
    mark = marker('late')
    r = w.send(STRANGER, 'r@far.test', socket_=w.socket('late'), mark=mark)
    check('and it is served', r.returncode == 0 and 'late@example.test' in w.got(mark)[0].get('mail', ''), (r, w.f.log()[-500:]))
