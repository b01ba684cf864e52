# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""`frank token` for other programs, as frank(1) tells it: msmtp, mutt and isync with a token; git send-email through sendmail."""
from harness import *

MAILBOX = 'billing@example.test'


def run(ground, options):
    for name in ('msmtp', 'mutt', 'mbsync', 'git'):
        if shutil.which(name) is None:
            check(f'{name} is installed', False)
            return
    f = Frank('clients', {'billing': oauth_account(ground)})
    check('frankd starts', f.start(), f.log()[-800:])
    rc, out = f.authorize(ground, 'billing', MAILBOX)
    check('authorized', rc == 0, out)
    home = f.path('home')
    os.mkdir(home)
    env = dict(f.env, HOME=home, PATH=os.path.dirname(program('frank')) + ':' + os.environ['PATH'], MAIL=home + '/mbox')
    msmtp(ground, f, env)
    mutt(ground, f, env)
    isync(ground, f, env)
    git(ground, f, env)
    f.stop()


def write(path, text, mode=0o600):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), 'w') as out:
        out.write(text)
    return path


def call(env, *args, input='', cwd=None):
    return subprocess.run(args, input=input, capture_output=True, text=True, env=env, timeout=90, cwd=cwd)


def msmtp(ground, f, env):
    conf = write(f.path('home/msmtprc'), f'''account billing
host 127.0.0.1
port {ground.starttls}
tls on
tls_starttls on
tls_trust_file {ground.ca}
auth xoauth2
user {MAILBOX}
from {MAILBOX}
passwordeval frank token billing
''')
    m = marker('msmtp')
    send = lambda: call(env, 'msmtp', '-C', conf, '-a', 'billing', 'msmtp@example.test', input=f'From: {MAILBOX}\nTo: msmtp@example.test\nSubject: {m}\n\n{m}\n')
    r = send()
    check('msmtp: a message with a token from frank', r.returncode == 0 and ground.arrived('msmtp@example.test', m), r.stderr)
    # the provider does away with the token, which frank cannot know: the program says so, and one refresh is forced
    token = f.frank('token', 'billing').stdout.strip()
    secrets.add(token)
    http(os.environ['GROUND_ADMIN'] + '/revoke?kind=AccessToken&account=' + urllib.parse.quote(MAILBOX), b'')
    m = marker('msmtp-rejected')
    r = send()
    check('msmtp: a token that was revoked is refused by the server', r.returncode != 0, r.stderr)
    t0 = time.time() * 1000
    r = f.frank('token', 'billing', '--rejected')
    secrets.add(r.stdout.strip())
    check('frank token --rejected: another token', r.returncode == 0 and r.stdout.strip() != token, r.stderr)
    again = f.frank('token', 'billing', '--rejected')
    secrets.add(again.stdout.strip())
    asked = [e for e in ground.log() if e.get('grant_type') == 'refresh_token' and e['t'] >= t0]
    check('frank token --rejected: one refresh, also when it is said again at once', len(asked) == 1, asked)
    r = send()
    check('msmtp: works again', r.returncode == 0 and ground.arrived('msmtp@example.test', m), r.stderr)


def mutt(ground, f, env):
    write(f.path('home/.muttrc'), f'''set realname = "Billing"
set from = "{MAILBOX}"
set envelope_from = yes
set smtp_url = "smtp://{MAILBOX}@127.0.0.1:{ground.starttls}/"
set smtp_authenticators = "xoauth2"
set smtp_oauth_refresh_command = "frank token billing"
set ssl_force_tls = yes
set ssl_starttls = yes
set certificate_file = "{ground.ca}"
set copy = no
''')
    m = marker('mutt')
    r = call(env, 'mutt', '-n', '-F', f.path('home/.muttrc'), '-s', m, 'mutt@example.test', input=f'{m}\n')
    check('mutt: a message with a token from frank', r.returncode == 0 and ground.arrived('mutt@example.test', m), r.stdout + r.stderr)


def isync(ground, f, env):
    box = f.path('home/mail')
    os.mkdir(box)
    m = marker('isync')
    f.send(MAILBOX, MAILBOX, m)
    check('isync: there is something to fetch', ground.arrived(MAILBOX, m), f.shown())
    conf = write(f.path('home/mbsyncrc'), f'''IMAPAccount billing
Host 127.0.0.1
Port {os.environ['GROUND_IMAPS_PORT']}
User {MAILBOX}
PassCmd "frank token billing"
AuthMechs XOAUTH2
SSLType IMAPS
CertificateFile {os.environ['GROUND_TLS_CERT']}

IMAPStore there
Account billing

MaildirStore here
Path {box}/
Inbox {box}/INBOX

Channel billing
Far :there:
Near :here:
Patterns INBOX
Create Near
Sync Pull
''')
    r = call(env, 'mbsync', '-c', conf, 'billing')
    got = [p for p in glob.glob(box + '/INBOX/*/*') if os.path.isfile(p) and m in open(p, errors='replace').read()]
    check('isync: fetches with a token from frank', r.returncode == 0 and got, r.stdout + r.stderr)


def git(ground, f, env):
    """git send-email needs no token: it hands its mail to sendmail, as other programs do."""
    tree = f.path('home/tree')
    m = marker('git')
    for args in (['init', '-q', tree], ['-C', tree, 'config', 'user.name', 'Billing'], ['-C', tree, 'config', 'user.email', MAILBOX],
                 ['-C', tree, 'config', 'sendemail.smtpServer', program('sendmail')], ['-C', tree, 'config', 'sendemail.confirm', 'never'],
                 ['-C', tree, 'commit', '-q', '--allow-empty', '-m', 'first'], ['-C', tree, 'commit', '-q', '--allow-empty', '-m', m]):
        r = call(env, 'git', *args)
    write(f.path('home/0001.patch'), f'From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\nFrom: Billing <{MAILBOX}>\nDate: Sat, 28 Nov 2026 09:00:00 +0000\nSubject: [PATCH] {m}\n\nwhy\n---\n'
                                     ' file | 1 +\n 1 file changed, 1 insertion(+)\n\ndiff --git a/file b/file\nnew file mode 100644\n--- /dev/null\n+++ b/file\n@@ -0,0 +1 @@\n+x\n-- \n2\n')
    r = call(env, 'git', '-C', tree, 'send-email', '--to', 'git@example.test', '--from', MAILBOX, f.path('home/0001.patch'))
    check('git send-email: through sendmail', r.returncode == 0 and ground.arrived('git@example.test', m), r.stdout + r.stderr)
