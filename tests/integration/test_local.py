# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Local recipients: the aliases file, the postmaster, names without a domain; newaliases and sendmail -bv; who is refused at the door."""
from harness import *

NO_ALIAS = 67


def run(ground, options):
    f = Frank('local', {'a': password_account(ground), 'b': password_account(ground, mailbox_='support@example.test')},
              {'narrow': dict(users=['games'], accounts=['a'], recipients=['a@example.test', 'narrow@example.test'], mode='capture'),
               'all': dict(users=['*'], accounts=['a'], senders=['billing@example.test'])},
              top={'mail-name': 'host.internal', 'hostname': 'host.internal'})
    f.aliases = f.path('aliases')
    f.top['aliases'] = f.aliases
    write(f, 'postmaster: root\nroot: Ops, "|/bin/cat"\n')
    f.write_conf()
    check_only(f)
    write(f, 'Root: ops, ops2@example.test\nops: a@example.test, ops2@example.test\npostmaster: root\nloop: pool\npool: loop\n'
          'pipe: "|/bin/cat", a@example.test\nbackup: narrow@example.test\nnested: one\none: two\ntwo: three\nthree: a@example.test\n')
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    for account in ('a', 'b'):
        f.frank('secret', 'set', account, input=ground.password + '\n')
    check('what cannot work is in the log, with its line', 'aliases:4' in f.log() and 'leads to itself' in f.log() and 'aliases:6' in f.log(), f.log()[-1500:])
    expansions(f, ground)
    refusals(f)
    verify(f)
    explain(f)
    policy(f)
    newaliases(f)
    postmaster(f)
    mail_domain(f)
    bounce(f, ground)
    f.stop()


def write(f, text):
    with open(f.aliases, 'w') as out:
        out.write(text)


def check_only(f):
    r = subprocess.run([program('frankd'), '-c', f.conf_file, '--check'], capture_output=True, text=True, env=f.env)
    check('--check is content, and says what will be refused', r.returncode == 0 and f'{f.aliases}:2: warning: alias "root" leads to a program' in r.stderr, r)
    write(f, 'x: y@example.test\n')
    r = subprocess.run([program('frankd'), '-c', f.conf_file, '--check'], capture_output=True, text=True, env=f.env)
    check('--check says where root has no mailbox', r.returncode == 0 and f'{f.conf_file}: warning: mail for root is refused' in r.stderr and 'set postmaster' in r.stderr, r)
    os.rename(f.aliases, f.aliases + '.away')
    r = subprocess.run([program('frankd'), '-c', f.conf_file, '--check'], capture_output=True, text=True, env=f.env)
    check('a file that is named and not there is an error', r.returncode == 78 and 'aliases file' in r.stderr and f.aliases in r.stderr, r)
    os.rename(f.aliases + '.away', f.aliases)


def expansions(f, ground):
    mark = marker('alias')
    for to in ('root', 'ROOT', 'root@localhost', 'root@host.internal', 'Root@LOCALHOST', 'postmaster'):
        r = f.sendmail('-i', '-f', 'billing@example.test', '--', to, body=f'Subject: {mark}-{to}\nFrom: billing@example.test\n\nx\n')
        check(f'{to} is taken', r.returncode == 0, r)
        check(f'{to} goes to both, once each', len(ground.arrived('a@example.test', f'{mark}-{to}')) == 1 and
              len(ground.arrived('ops2@example.test', f'{mark}-{to}')) == 1, f.shown())
    r = f.sendmail('-i', '-f', 'billing@example.test', '--', 'root', 'ops', 'nested', 'a@example.test', body=f'Subject: {mark}-once\n\nx\n')
    check('recipients that meet after expansion get one message', r.returncode == 0 and ground.arrived('ops2@example.test', f'{mark}-once') and
          len(ground.arrived('a@example.test', f'{mark}-once')) == 1, (r, ground.arrived('a@example.test', f'{mark}-once')))
    r = f.sendmail('-t', body=f'To: root, Nested <nested@localhost>\nSubject: {mark}-t\n\nx\n')
    check('-t with local names', r.returncode == 0 and len(ground.arrived('a@example.test', f'{mark}-t')) == 1, r)


def refusals(f):
    for to, why in (('www-data', 'write "www-data: you@example.com"'), ('nobody@localhost', 'newaliases'), ('loop', 'leads to itself'),
                    ('pipe', 'leads to a program'), ('who@host.internal', 'no mailbox on this host')):
        r = f.sendmail('-i', '--', to)
        check(f'{to} is refused at the door, with the next step', r.returncode in (NO_ALIAS, 69) and why in r.stderr.decode() and r.stderr.startswith(b'sendmail: ' + to.encode()), r)
    r = f.sendmail('-i', '--', 'www-data')
    check('an unknown local user is 67', r.returncode == NO_ALIAS, r)
    r = f.sendmail('-i', '--', 'a@example.test', 'www-data')
    check('one that is refused keeps the whole message out', r.returncode == NO_ALIAS and f.empty(5), (r, f.queue()))


def explain(f):
    """What service explain says of a recipient is what RCPT would be answered: aliases count."""
    r = f.frank('service', 'explain', 'games', 'a@example.test', 'backup', '--json')
    check('explain follows an alias to who is allowed', r.returncode == 0 and 'narrow@example.test is among the recipients (backup leads there)' in r.stdout, r)
    r = f.frank('service', 'explain', 'games', 'a@example.test', 'root', '--json')
    check('explain follows an alias to who is not', r.returncode == 77 and 'ops2@example.test' in r.stdout, r)
    r = f.frank('service', 'explain', 'games', 'a@example.test', 'www-data', '--json')
    check('explain knows a local name without a mailbox', r.returncode == 77 and 'www-data' in r.stdout and '550 5.1.1' in r.stdout, r)


def verify(f):
    r = f.sendmail('-bv', 'root', 'a@example.test')
    check('-bv shows where mail goes', r.returncode == 0 and r.stdout.decode().splitlines() == [
        'root... aliased to a@example.test', 'a@example.test... deliverable: mailer frank', 'root... aliased to ops2@example.test',
        'ops2@example.test... deliverable: mailer frank', 'a@example.test... deliverable: mailer frank'], r)
    r = f.sendmail('-bv', 'www-data')
    check('-bv of an unknown user says so', r.returncode == NO_ALIAS and 'no mailbox on this host' in r.stdout.decode(), r)


def as_user(f, name, *args, body='Subject: x\n\nx\n', argv0='sendmail'):
    """sendmail as another user; from a copy, since the build folder may be closed to him."""
    user = pwd.getpwnam(name)
    copy = f.path('sendmail')
    if not os.path.exists(copy):
        shutil.copy(program('sendmail'), copy)
        os.chmod(copy, 0o755)
    env = dict(f.env)

    def become():
        os.setgroups([user.pw_gid])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    return subprocess.run([argv0, *args], executable=copy, input=body.encode(), capture_output=True, env=env, preexec_fn=become, cwd='/', timeout=60)


def policy(f):
    if os.getuid() != 0:
        return check.needs_root('recipients that are allowed, after expansion')
    r = as_user(f, 'games', '-i', 'backup')
    check('the allow-list is held against what an alias leads to', r.returncode == 0, r)
    r = as_user(f, 'games', '-i', 'root')
    check('and refuses where one of these is not on it', r.returncode == 77 and b'may not send to this recipient' in r.stderr, r)
    r = as_user(f, 'games', argv0='newaliases')
    check('newaliases is not for everybody', r.returncode == 77, r)
    m = [m for m in f.queue() if m.get('service') == 'narrow']
    for row in m:
        f.frank('queue', 'delete', str(row.get('queue_id', row.get('id'))))


def newaliases(f):
    write(f, 'root: a@example.test\nnew: ops2@example.test\nwrong\nx: /var/mail/x\n')
    r = subprocess.run(['newaliases'], executable=program('sendmail'), capture_output=True, text=True, env=f.env, timeout=30)
    check('newaliases takes the file anew and says what is wrong in it', r.returncode == 0 and f'{f.aliases}:3: warning: this is no alias' in r.stdout and
          f'{f.aliases}:4: warning: alias "x" leads to a file' in r.stdout and r.stdout.endswith('3 aliases in force\n') and not r.stderr, r)
    r = f.sendmail('-bv', 'new')
    check('the new alias is in force', r.stdout == b'new... aliased to ops2@example.test\nops2@example.test... deliverable: mailer frank\n', r)
    os.unlink(f.aliases)
    r = f.sendmail('-bi')
    check('a file that cannot be read leaves the old aliases in force', r.returncode == 78 and f.sendmail('-bv', 'new').returncode == 0, r)
    write(f, 'root: ops2@example.test\nb: loop@host.internal\n')
    r = f.frank('reload')
    check('a reload takes them too', r.returncode == 0 and f.sendmail('-bv', 'root').stdout.startswith(b'root... aliased to ops2@') and
          f.sendmail('-bv', 'new').returncode == NO_ALIAS, r)


def postmaster(f):
    """root and postmaster just work where the configuration names a postmaster and the aliases say nothing."""
    write(f, '# nothing\n')
    f.top['postmaster'] = 'pm@example.test'
    f.write_conf()
    f.frank('reload')
    for name in ('root', 'postmaster', 'MAILER-DAEMON@localhost'):
        r = f.sendmail('-bv', name)
        check(f'{name} is the postmaster', r.stdout == f'{name}... aliased to pm@example.test\npm@example.test... deliverable: mailer frank\n'.encode(), r)
    check('others are not', f.sendmail('-bv', 'backup').returncode == NO_ALIAS)


def mail_domain(f):
    """Where names without a domain belong to a mail domain, they are sent there; a host named like its mail domain keeps nobody's mail back."""
    f.top.update({'mail-name': 'example.test', 'hostname': 'example.test'})
    f.write_conf()
    f.frank('reload')
    r = f.sendmail('-bv', 'backup', 'who@example.test')
    check('a name without a domain gets the mail domain', r.stdout == b'backup... aliased to backup@example.test\nbackup@example.test... deliverable: mailer frank\n'
          b'who@example.test... deliverable: mailer frank\n', r)
    f.top.update({'mail-name': 'host.internal', 'hostname': 'host.internal'})


def bounce(f, ground):
    """A bounce to a local sender goes where his alias leads, and names the recipient as the caller did."""
    write(f, 'cron: watcher@example.test\ngone: nouser@example.test\n')
    f.services['all'].update(accounts=['a'], **{'from': 'rewrite'})
    f.write_conf()
    f.frank('reload')
    mark = marker('bounced')
    r = f.sendmail('-i', '-f', 'cron', '--', 'gone', body=f'Subject: {mark}\n\nx\n')
    arrived = ground.arrived('watcher@example.test', mark, 30)
    check('the bounce of a message from cron reaches whom the alias names', r.returncode == 0 and arrived, (r, f.shown()))
    check('it names the alias as the original recipient', arrived and re.search(r'Original-Recipient: rfc822; ?gone@host\.internal', arrived[0]), arrived)
