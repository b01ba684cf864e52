# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Real programs, installed, with Frank in the place of /usr/sbin/sendmail: each sends as it always does, and the message arrives right.

Right means: in the mailbox of every recipient once, with the envelope sender that the program asked for, its header fields, no Bcc,
and a body without a lost, added or changed line. The counterpart is the ground's Postfix and Dovecot.
"""
from arrivals import BODY, FROM, PLAIN, Post
from box import Box
from harness import *

HERE = os.path.dirname(os.path.realpath(__file__))
PACKAGES = '''
    php-cli php-mbstring libphp-phpmailer php-symfony-mailer php-email-validator php-mail php-pear
    libmime-lite-perl libemail-sender-perl libmailtools-perl libmime-tools-perl ruby-mail node-nodemailer python3
    bsd-mailx s-nail mailutils mutt git git-email mime-construct procmail vacation swaks curl ca-certificates
    libnet-ssleay-perl libio-socket-inet6-perl libio-socket-ssl-perl libauthen-sasl-perl libmail-sendmail-perl
    cron anacron at sudo unattended-upgrades logcheck logwatch mdadm smartmontools'''.split()
if subprocess.run(['apt-cache', 'show', 'php-swiftmailer'], capture_output=True).returncode == 0:
    PACKAGES.append('php-swiftmailer')  # up to Debian 12


def run(ground, options):
    if os.getuid() != 0:
        return as_root('programs')
    try:
        box = Box()
    except RuntimeError as e:
        return check.skip('programs in a private root', f'mount namespaces are not allowed here: {e}')
    try:
        replacing(box)
        trouble = box.install([box.make_package(program('sendmail')), *PACKAGES], os.path.join(harness_dir(), 'box-apt.log'))
        if check('the packages install beside Frank, with no other mail server', not trouble, trouble):
            programs(ground, box)
    finally:
        box.end()


NAMES = ('/usr/sbin/sendmail', '/usr/lib/sendmail', '/usr/bin/mailq', '/usr/bin/newaliases')


def replacing(box):
    """contrib/replace-sendmail sets aside what is there, here Postfix's files as a rule, and brings back the same."""
    def seen():
        return box.run('sh', '-c', 'for name; do ls -ld --time-style=full-iso "$name"; cat "$name" | sha256sum; done 2>&1', 'sh', *NAMES).stdout

    before = seen()
    box.copy(os.path.join(TOP, 'contrib/replace-sendmail'), '/opt/replace-sendmail')
    box.copy(program('sendmail'), '/usr/libexec/frank/sendmail')
    box.run('sh', '-c', 'cd /usr/libexec/frank && ln -s sendmail mailq && ln -s sendmail newaliases')
    r = box.run('/opt/replace-sendmail', user=33)
    check('replace-sendmail wants root', r.returncode == 77 and b'sudo' in r.stderr and seen() == before, r)
    r = box.run('/opt/replace-sendmail', '--libexec', '/nowhere')
    check('replace-sendmail wants what it links to', r.returncode == 66 and seen() == before, r)
    for time_ in ('once', 'twice'):
        r = box.run('/opt/replace-sendmail')
        links = [box.run('readlink', '-f', name).stdout.decode().strip() for name in NAMES]
        check(f'replace-sendmail, called {time_}: every name is ours', r.returncode == 0 and set(links) == {'/usr/libexec/frank/sendmail'}, (r, links))
    for time_ in ('once', 'twice'):
        r = box.run('/opt/replace-sendmail', '--undo')
        check(f'replace-sendmail --undo, called {time_}: as it was', r.returncode == 0 and seen() == before, (r, seen(), before))
    box.run('mv', '/usr/libexec/frank', '/opt/of-frank')
    r = box.run('/opt/replace-sendmail', '--libexec', '/opt/of-frank')
    check('replace-sendmail --libexec links elsewhere', r.returncode == 0 and box.run('readlink', '-f', NAMES[0]).stdout.strip() == b'/opt/of-frank/sendmail', r)
    r = box.run('/opt/replace-sendmail', '--undo')
    check('replace-sendmail --undo needs no --libexec', r.returncode == 0 and seen() == before, (r, seen(), before))
    box.run('rm', '-r', '/opt/of-frank')


def programs(ground, box):
    account = {'provider': 'generic', 'mailbox': FROM, 'grant': 'none', 'submit': f'localhost:{os.environ["GROUND_MX_PORT"]}', 'tls': 'none'}
    rules = {'accounts': ['out'], 'senders': ['*'], 'from': 'keep'}
    ports = {name: free_port() for name in ('plain', 'start', 'tls')}
    tls = {k: os.path.join(os.path.dirname(ground.ca), 'server.' + end) for k, end in (('certificate', 'pem'), ('key', 'key'))}
    f = Frank('programs', {'out': account}, {'apps': dict(password=True, **rules), 'strict': dict(users=['games'], accounts=['out'], senders=[FROM]), 'all': dict(users=['*'], **rules)},
              listeners={'plain': dict(address=loopback(ports["plain"])),
                         'start': dict(address=[f'127.0.0.1:{ports["start"]}'], auth='required', **tls),
                         'tls': dict(address=[f'127.0.0.1:{ports["tls"]}'], tls='implicit', auth='required', **tls)})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    for source, path in (('run', '/run/frank'), ('state/drop', '/var/lib/frank/drop')):
        box.bind(f.path(source), path)
    box.write('/etc/frank/frank.conf', '')  # without one sendmail would say that there is no account yet
    box.write('/opt/programs/body', BODY)
    for name in os.listdir(os.path.join(HERE, 'programs')):
        box.copy(os.path.join(HERE, 'programs', name), '/opt/programs/' + name)
    post = Post(ground)
    daemons = scheduled(box, post)
    for part in (libraries, mail_readers, git, filters, system, rewritten, smtp):
        part(box, post)
    listener(ground, box, post, f, ports)
    check('cron, anacron and at have run their jobs', wait_for(lambda: all(d.poll() is not None for d in daemons[1:]), 30))
    post.verify()
    without_daemon(box, post, f)
    check('nothing waits or was dropped', f.empty(20) and not os.listdir(f.path('state/drop')), f.shown())
    f.stop()


def sends(box, name, *argv, **how):
    """Runs a program that must succeed without a word on standard error."""
    r = box.run(*argv, **how)
    check(f'{name}: succeeds', r.returncode == 0 and not re.search(rb'^(sendmail|mailq):', r.stderr, re.M), f'{r.returncode}: {(r.stdout + r.stderr).decode(errors="replace")}')
    return r


# ---- libraries of programming languages ---------------------------------------------------------------
def libraries(box, post):
    for name, *argv in (('php-mail', 'php', 'mail.php'), ('phpmailer', 'php', 'phpmailer.php'), ('symfony', 'php', 'symfony.php'),
                        *([('swift', 'php', 'swift.php')] if 'php-swiftmailer' in PACKAGES else []), ('pear', 'php', 'pear.php'), ('perl', 'perl', 'mailers.pl'), ('ruby', 'ruby', 'mail.rb'), ('node', 'node', 'nodemailer.cjs'),
                        ('python', 'python3', 'recipes.py')):
        sends(box, name, argv[0], '/opt/programs/' + argv[1], name, FROM, '/opt/programs/body', user=33, env={'NODE_PATH': '/usr/share/nodejs'})
    post.expect('PHP mail()', ['php-mail-plain', 'php-mail-bcc'], Subject='^Grüße von mail', From='Shop')
    post.expect('PHP mail() with -f', ['php-mail-fifth', 'php-mail-second'], Subject='^fifth argument$')
    for way in ('sendmail', 'mail'):
        post.expect(f'PHPMailer, {way}', [f'phpmailer-{way}', f'phpmailer-{way}-bcc'], f'bounce-{way}@example.test', Subject=f'^PHPMailer by {way}$', To='Grüße, Kunde')
    post.expect('PHPMailer without a sender', ['phpmailer-nosender', 'phpmailer-nosender-bcc'], From=FROM)
    for name in ('bs', 'again', 'pipe', 'dots'):
        post.expect(f'Symfony Mailer, {name}', [f'symfony-{name}', f'symfony-{name}-bcc'], Subject=f'^Symfony, {name}$', To='Kunde Grün')
    for name in ('bs', 'pipe', 'oi') if 'php-swiftmailer' in PACKAGES else ():
        post.expect(f'SwiftMailer, {name}', [f'swift-{name}', f'swift-{name}-bcc'], 'bounce@example.test', Subject=f'^Swift, {name}$')
    post.expect('PEAR Mail', ['pear-one', 'pear-two'], Subject='^PEAR Mail$')
    post.expect('Perl: MIME::Lite', ['perl-lite', 'perl-lite-bcc'], Subject='^MIME::Lite$')
    post.expect('Perl: Email::Sender', ['perl-sender', 'perl-sender-more'], 'bounce@example.test')
    post.expect('Perl: Mail::Mailer', ['perl-tools', 'perl-tools-two'], body=PLAIN, From='Shop')
    post.expect('Perl: MIME::Entity', 'perl-entity', body=PLAIN)
    post.expect('Perl: a pipe', 'perl-pipe')
    post.expect('Ruby mail', ['ruby-one', 'ruby-two', 'ruby-bcc'], To='Kunde Grün')
    for name in ('unix', 'windows'):
        post.expect(f'Nodemailer, {name} line ends', [f'node-{name}', f'node-{name}-two', f'node-{name}-bcc'], To='Grüße, Kunde')
    post.expect('Python: EmailMessage', ['python-message', 'python-message-bcc'], To='Kunde Grün')
    post.expect('Python: MIMEText', 'python-text')
    post.expect('Python: os.popen', 'python-popen')


# ---- mail readers -------------------------------------------------------------------------------------
def mail_readers(box, post):
    at = '@example.test'
    sends(box, 'bsd-mailx', 'bsd-mailx', '-s', 'bsd-mailx', '-c', 'bsd-cc' + at, '-b', 'bsd-bcc' + at, 'bsd-to' + at, input=BODY, user=33)
    post.expect('bsd-mailx', ['bsd-to', 'bsd-cc', 'bsd-bcc'], 'www-data' + at, Subject='^bsd-mailx$', Cc='bsd-cc')
    sends(box, 'bsd-mailx -r', 'bsd-mailx', '-s', 'Grüße', '-r', FROM, 'bsd-from' + at, input=BODY, user=33)
    post.expect('bsd-mailx -r', 'bsd-from', Subject='^Grüße$')
    sends(box, 's-nail', 's-nail', '-:/', '-s', 'Grüße von s-nail', '-r', f'Shop <{FROM}>', '-c', 'snail-cc' + at, '-b', 'snail-bcc' + at,
          '-S', 'ttycharset=utf-8', 'snail-to' + at, input=BODY, user=33)
    post.expect('s-nail', ['snail-to', 'snail-cc', 'snail-bcc'], Subject='^Grüße von s-nail$', From='Shop')
    sends(box, 's-nail with a file', 's-nail', '-:/', '-s', 'file', '-a', '/usr/sbin/sendmail', '-S', f'from={FROM}', 'snail-file' + at, input='see there\n', user=33)
    post.expect('s-nail with a file', 'snail-file', FROM, 'see there\n', Content_Type='multipart/mixed')
    sends(box, 'mailutils', 'mail.mailutils', '-s', 'mailutils', '-r', FROM, '-a', 'X-Origin: here', '-E', f'set nullbody', 'mailutils-to' + at,
          'mailutils-two' + at, input=PLAIN, user=33)
    post.expect('mailutils', ['mailutils-to', 'mailutils-two'], body=PLAIN, Subject='^mailutils$', X_Origin='here')
    for name, settings in (('from', 'set from=shop@example.test use_envelope_from=yes'), ('address', f'set from=shop@example.test envelope_from_address=bounce{at} use_envelope_from=yes')):
        sends(box, f'mutt, {name}', 'mutt', '-n', '-F', '/dev/null', '-e', settings + ' realname="Shop" copy=no', '-s', 'Grüße von mutt', '-c', f'mutt-{name}-cc' + at,
              '-b', f'mutt-{name}-bcc' + at, '-a', '/usr/sbin/sendmail', '--', f'mutt-{name}' + at, input=BODY, user=33)
        post.expect(f'mutt, {name}', [f'mutt-{name}', f'mutt-{name}-cc', f'mutt-{name}-bcc'], {'from': FROM, 'address': 'bounce' + at}[name], Subject='^Grüße von mutt$')
    sends(box, 'mime-construct', 'mime-construct', '--to', 'construct' + at, '--subject', 'mime-construct', '--header', f'From: {FROM}\n', '--type', 'text/plain; charset=utf-8',
          '--string', BODY, user=33)
    post.expect('mime-construct', 'construct')


def git(box, post):
    box.write('/tmp/patch/make', f'''set -e
        cd /tmp/patch; git init -q repo; cd repo
        git config user.name Shop; git config user.email {FROM}
        printf 'one\\n.\\nFrom two\\n' >file; git add file; git commit -qm first; printf 'one\\n.\\nFrom here on\\n' >file
        git commit -qam 'Grüße, second'; git format-patch -q -1 -o /tmp/patch/out
        ''')
    sends(box, 'git: a patch', 'sh', '/tmp/patch/make')
    patch = glob_in(box, '/tmp/patch/out/*')
    for name, *how in (('default',), ('path', '--smtp-server=/usr/sbin/sendmail'), ('command', '--sendmail-cmd=/usr/sbin/sendmail -i'),
                       ('envelope', '--smtp-server=/usr/lib/sendmail', '--envelope-sender=bounce@example.test')):
        sends(box, f'git send-email, {name}', 'git', 'send-email', '--quiet', '--confirm=never', f'--from=Shop <{FROM}>', '--suppress-cc=all', f'--to=git-{name}@example.test',
              f'--cc=git-{name}-cc@example.test', f'--bcc=git-{name}-bcc@example.test', *how, *patch, cwd='/tmp/patch/repo')
        post.expect(f'git send-email, {name}', [f'git-{name}', f'git-{name}-cc', f'git-{name}-bcc'], {'envelope': 'bounce@example.test'}.get(name, FROM),
                    re.compile(r'^ \.\n-From two\n\+From here on\n', re.M), Subject=r'^\[PATCH\] Grüße, second$')


def glob_in(box, pattern):
    return box.run('sh', '-c', f'ls -d {pattern}').stdout.decode().split()


# ---- programs that pass mail on -----------------------------------------------------------------------
def filters(box, post):
    box.write('/tmp/procmailrc', 'SENDMAIL=/usr/sbin/sendmail\nLOGFILE=/dev/null\n:0\n! procmail-one@example.test procmail-two@example.test\n')
    mail = f'From somebody@example.test Sat Nov 28 09:00:00 2026\nFrom: {FROM}\nTo: somebody@example.test\nSubject: to be passed on\nContent-Type: text/plain; charset=utf-8\n' \
           f'Date: Sat, 28 Nov 2026 09:00:00 +0000\nMessage-ID: <passed@example.test>\n\n{BODY}'
    sends(box, 'procmail', 'procmail', '-m', '/tmp/procmailrc', input=mail.replace('\nFrom here', '\n>From here'), user=33)
    post.expect('procmail', ['procmail-one', 'procmail-two'], FROM, BODY.replace('\nFrom here', '\n>From here'), Message_ID='^<passed@example.test>$')
    box.write('/var/www/.vacation.msg', 'Subject: away\n\n' + PLAIN)
    box.run('chown', '-R', 'www-data:', '/var/www')
    sends(box, 'vacation -I', 'vacation', '-I', user=33, cwd='/var/www')
    sends(box, 'vacation', 'vacation', 'www-data', user=33, cwd='/var/www',
          input='From vacation-to@example.test Sat Nov 28 09:00:00 2026\nFrom: vacation-to@example.test\nTo: www-data@example.test\nSubject: hello\n\nhello\n')
    post.expect('vacation', 'vacation-to', 'www-data@example.test', PLAIN, Subject='^away$')


# ---- what runs on a schedule --------------------------------------------------------------------------
def scheduled(box, post):
    """Daemons that run jobs once; what they print must arrive. Their processes, the first of which goes on."""
    job = '/opt/programs/job'
    box.write(job, "#!/bin/sh\nprintf 'Grüße\\n.\\nFrom cron\\nend\\n'\n", 0o755)
    printed = 'Grüße\n.\nFrom cron\nend\n'
    box.write('/etc/crontab', f'SHELL=/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nCONTENT_TYPE=text/plain; charset=UTF-8\nMAILTO=cron-one@example.test,cron-two@example.test\n'
              f'@reboot www-data {job}\nMAILFROM=cron@example.test\nMAILTO=cron-from@example.test\n@reboot root {job}; exit 3\n'
              f'MAILTO=""\n@reboot root echo never\nMAILTO=cron-silent@example.test\n@reboot root true\n')
    box.run('sh', '-c', 'rm -f /etc/cron.d/*')
    box.write('/tmp/tab', f'MAILTO=cron-user@example.test\n@reboot {job}\n')
    sends(box, 'crontab', 'crontab', '-u', 'www-data', '/tmp/tab')
    box.write('/tmp/anacrontab', f'MAILTO=anacron@example.test\n1 0 job {job} | grep -v "^[.]$"\n')  # anacron calls sendmail without -i
    box.write('/etc/at.allow', 'root\nwww-data\n')
    sends(box, 'at', 'at', 'now', input=job + '\n')
    sends(box, 'batch', 'batch', input=job + '\n', user=33, cwd='/tmp')
    post.expect('cron: two recipients', ['cron-one', 'cron-two'], 'root@example.test', printed, From=r'^root@example.test', Subject=r'^Cron <www-data@client> /opt/programs/job$')
    post.expect('cron: of root', 'cron-from', 'cron@example.test', printed, Subject=r'^Cron <root@client>')
    post.expect("cron: a user's own table", 'cron-user', 'root@example.test', printed, Subject=r'^Cron <www-data@client>')
    post.expect('at', 'root', 'root@example.test', printed, Subject='^Output from your job')
    post.expect('batch', 'www-data', 'www-data@example.test', printed, Subject='^Output from your job')
    post.expect('anacron', 'anacron', 'root@example.test', printed.replace('.\n', ''), Subject='Anacron job', From='Anacron')
    box.run('mkdir', '-p', '/var/spool/anacron-here')
    return [box.begin('cron', '-f'), box.begin('anacron', '-d', '-n', '-f', '-t', '/tmp/anacrontab', '-S', '/var/spool/anacron-here'), box.begin('atd', '-f', '-s', '-l', '100')]


# ---- what a system's own tools report -----------------------------------------------------------------
def system(box, post):
    at = '@example.test'
    box.write('/etc/sudoers.d/mail', f'Defaults !authenticate, mailto="sudo{at}", mail_no_user, mailsub="*** %u on %h ***"\n', 0o440)
    r = box.run('sudo', '-n', '/bin/true', user=33)
    check('sudo refuses', r.returncode == 1, r)
    post.expect('sudo', 'sudo', 'www-data' + at, re.compile(r'www-data : user NOT in sudoers ; .*COMMAND=/bin/true'), Subject=r'^\*\*\* www-data on client', Auto_Submitted='auto-generated')

    sends(box, 'unattended-upgrades', 'python3', '/opt/programs/unattended.py', 'upgrades')
    text = re.compile('Unattended upgrade result: Grüße\n\nPackages that attempted to upgrade:\n one two\n\nPackage installation log:\nfrom dpkg\n\\.\n\n\nUnattended-upgrades log:\nlog\n')
    post.expect('unattended-upgrades by sendmail', 'upgrades-sendmail', 'root' + at, text, Subject='unattended-upgrades result for client.example.test: FAILURE$')
    post.expect('unattended-upgrades by mailx', 'upgrades-mailx', 'root' + at, BODY, Subject='^by mailx$')

    box.write('/var/log/odd.log', 'Nov 28 09:00:00 client something[1]: an odd thing\n')
    sends(box, 'logcheck', 'sh', '-c', 'install -d -o logcheck /run/lock/logcheck && exec setpriv --reuid logcheck --regid logcheck --init-groups '
          'sh -c "cd / && exec logcheck -l /var/log/odd.log -m logcheck@example.test"')
    post.expect('logcheck', 'logcheck', None, re.compile('System Events\n=-=.*something\\[1\\]: an odd thing', re.S), Subject='System Events')
    box.write('/var/log/auth.log', 'Nov 28 09:00:00 client sudo: www-data : command not allowed ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls\n')
    sends(box, 'logwatch', 'logwatch', '--output', 'mail', '--mailto', 'logwatch' + at, '--range', 'all', '--detail', 'high', '--service', 'sudo')
    post.expect('logwatch', 'logwatch', None, re.compile('www-data => root.*command not allowed ; /bin/ls.*Logwatch End', re.S), Subject='^Logwatch for client')
    r = sends(box, 'mdadm', 'mdadm', '--monitor', '--test', '--oneshot', '--mail', 'mdadm' + at, '/dev/md99')
    if b'error opening' not in r.stderr:  # version 4.4 sends nothing about an array that is not there
        post.expect('mdadm', 'mdadm', 'root@client.example.test', re.compile('A TestMessage event had been detected on md device /dev/md99'), From='mdadm monitoring', Subject='^TestMessage event')
    smartd = {'MAILER': 'mail', 'ADDRESS': 'smartd' + at, 'MESSAGE': 'Device: /dev/sda, self-check failed', 'FAILTYPE': 'Health', 'TFIRST': 'now', 'TFIRSTEPOCH': '1795850000',
              'PREVCNT': '0', 'NEXTDAYS': '1', 'DEVICE': '/dev/sda', 'DEVICETYPE': 'sat', 'DEVICESTRING': '/dev/sda', 'DEVICEINFO': 'none'}
    sends(box, 'smartd', '/usr/share/smartmontools/smartd_warning.sh', env={'SMARTD_' + k: v for k, v in smartd.items()})
    post.expect('smartd', 'smartd', 'root' + at, re.compile('Device: /dev/sda, self-check failed'), Subject='^SMART error \\(Health\\) detected')


# ---- a service that may send as one address only, as in the README -------------------------------------
def rewritten(box, post):
    """By a user whose service has one sender: the address is that, the name stays, and the old one is where answers go."""
    sends(box, 'rewrite, PHP', 'php', '/opt/programs/mail.php', 'rewrite-php', 'other@else.test', '/opt/programs/body', user=5)
    old = '^Shop <other@else.test>$'
    post.expect('rewrite: PHP mail()', ['rewrite-php-plain', 'rewrite-php-bcc'], From=f'^Shop <{FROM}>$', Reply_To=old, X_Original_From=old)
    post.expect('rewrite: PHP mail() with -f', ['rewrite-php-fifth', 'rewrite-php-second'], From=f'^{FROM}$', X_Original_From='^other@else.test$')
    sends(box, 'rewrite, bsd-mailx', 'bsd-mailx', '-s', 'x', 'rewrite-mailx@example.test', input=BODY, user=5)
    post.expect('rewrite: bsd-mailx', 'rewrite-mailx', From=f'<?{FROM}>?$', X_Original_From=None)
    sends(box, 'rewrite, a comment as a name', '/usr/sbin/sendmail', '-FCronDaemon', '-i', '-oem', 'rewrite-cron@example.test', input=f'From: games (Cron Daemon)\nTo: x@example.test\nSubject: x\n'
          f'Content-Type: text/plain; charset=utf-8\n\n{BODY}', user=5)
    post.expect('rewrite: a comment as a name', 'rewrite-cron', From=f'^Cron Daemon <{FROM}>$')


def without_daemon(box, post, f):
    """The daemon is away for a moment: programs notice nothing, and their mail goes when it is back, once."""
    f.stop()
    sends(box, 'no daemon, PHP', 'php', '/opt/programs/mail.php', 'away-php', FROM, '/opt/programs/body', user=33)
    sends(box, 'no daemon, bsd-mailx', 'bsd-mailx', '-s', 'x', 'away-mailx@example.test', input=BODY, user=33)
    check('frankd comes back', f.start(), f.log()[-500:])
    post.expect('no daemon: PHP mail()', ['away-php-plain', 'away-php-bcc'])
    post.expect('no daemon: PHP mail() with -f', ['away-php-fifth', 'away-php-second'])
    post.expect('no daemon: bsd-mailx', 'away-mailx', 'www-data@example.test')
    post.verify()


# ---- programs that speak SMTP -------------------------------------------------------------------------
SWAKS = 'Date: %DATE%\nFrom: Shop <shop@example.test>\nTo: %TO_ADDRESS%\nSubject: swaks\nMessage-Id: <%MESSAGEID%>\nContent-Type: text/plain; charset=utf-8\n\n' + BODY


def smtp(box, post):
    """On the socket of sendmail, and through its -bs."""
    box.write('/opt/programs/swaks', SWAKS)
    swaks(box, post, 'socket', '--socket', '/run/frank/submit.sock')
    swaks(box, post, 'pipe', '--pipe', '/usr/sbin/sendmail -bs')


def swaks(box, post, name, *way):
    sends(box, f'swaks, {name}', 'swaks', *way, '--silent', '2', '--from', 'bounce@example.test', '--to', f'swaks-{name}@example.test,swaks-{name}-two@example.test',
          '--data', '@/opt/programs/swaks', user=33)
    post.expect(f'swaks, {name}', [f'swaks-{name}', f'swaks-{name}-two'], 'bounce@example.test', Subject='^swaks$')


def listener(ground, box, post, f, ports):
    """Without a login the owner of the connection counts; the others want one, and TLS by a certificate that the box trusts."""
    r = f.frank('service', 'password', 'apps')
    check('frank service password', r.returncode == 0, r.stderr)
    password = r.stdout.strip()
    secrets.add(password)
    box.copy(ground.ca, '/usr/local/share/ca-certificates/ground.crt')
    box.run('update-ca-certificates')
    env = {'LOGIN': 'apps', 'PASSWORD': password, 'NODE_PATH': '/usr/share/nodejs', 'NODE_EXTRA_CA_CERTS': '/usr/local/share/ca-certificates/ground.crt',
           **{k.upper(): str(v) for k, v in ports.items()}}
    for name, *argv in (('smtp-php', 'php', 'smtp.php'), ('smtp-perl', 'perl', 'smtp.pl'), ('smtp-python', 'python3', 'smtp.py'), ('smtp-node', 'node', 'smtp.cjs'), ('smtp-ruby', 'ruby', 'smtp.rb')):
        sends(box, name, argv[0], '/opt/programs/' + argv[1], name, FROM, '/opt/programs/body', user=33, env=env)
    for way in ports:
        post.expect(f'PHPMailer, SMTP, {way}', [f'smtp-php-mailer-{way}', f'smtp-php-mailer-{way}-bcc'], Subject=f'^PHPMailer at {way.upper()}$')
        post.expect(f'Symfony Mailer, SMTP, {way}', [f'smtp-php-symfony-{way}', f'smtp-php-symfony-{way}-bcc'], Subject=f'^Symfony, {way}$')
        post.expect(f'Python: smtplib, {way}', [f'smtp-python-{way}', f'smtp-python-{way}-bcc'], body=BODY.replace('\nFrom', '\n>From'))  # smtplib does that
        post.expect(f'Nodemailer, SMTP, {way}', [f'smtp-node-{way}', f'smtp-node-{way}-bcc'])
    for way in ('start', 'tls'):
        post.expect(f'Perl: Net::SMTP, {way}', [f'smtp-perl-{way}', f'smtp-perl-{way}-two'])
    post.expect('Perl: Mail::Sendmail', 'smtp-perl-sendmail')
    post.expect('Perl: MIME::Lite by SMTP', 'smtp-perl-lite')
    post.expect('Python: SMTPHandler', 'smtp-python-log', body='something happened\n')
    for way in ('plain', 'start'):
        post.expect(f'Ruby mail, SMTP, {way}', f'smtp-ruby-{way}')

    login = ('--auth-user', 'apps', '--auth-password', password)
    swaks(box, post, 'listener', '--server', f'127.0.0.1:{ports["plain"]}')
    if len(loopback(0)) > 1:
        swaks(box, post, 'listener-v6', '--server', '::1', '--port', str(ports['plain']))
    swaks(box, post, 'listener-starttls', '--server', f'localhost:{ports["start"]}', '--tls', '--tls-verify', '--auth', 'PLAIN', *login)
    swaks(box, post, 'listener-login', '--server', f'localhost:{ports["start"]}', '--tls', '--auth', 'LOGIN', *login)
    swaks(box, post, 'listener-tls', '--server', f'localhost:{ports["tls"]}', '--tlsc', '--tls-verify', '--auth', 'PLAIN', *login)
    r = box.run('swaks', '--server', f'localhost:{ports["start"]}', '--tls', '--auth', 'PLAIN', '--auth-user', 'apps', '--auth-password', 'wrong', '--to', 'x@example.test', user=33)
    check('swaks with a wrong password is refused', r.returncode == 28 and b'535' in r.stdout, r)
    r = box.run('swaks', '--server', f'localhost:{ports["tls"]}', '--tlsc', '--to', 'x@example.test', user=33)
    check('swaks without a login is refused', r.returncode != 0 and re.search(rb'\b530 ', r.stdout), r)

    box.write('/tmp/mail', f'From: Shop <{FROM}>\r\nTo: curl@example.test\r\nSubject: curl\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n' + BODY.replace('\n', '\r\n'))
    sends(box, 'curl', 'curl', '-sS', '--ssl-reqd', '--user', f'apps:{password}', '--mail-from', FROM, '--mail-rcpt', 'curl@example.test', '--upload-file', '/tmp/mail', f'smtp://localhost:{ports["start"]}', user=33)
    post.expect('curl', 'curl', Subject='^curl$')
    sends(box, 'mutt by SMTP', 'mutt', '-n', '-F', '/dev/null', '-e', f'set from={FROM} realname="Shop" copy=no ssl_starttls=yes ssl_force_tls=yes smtp_url="smtps://apps@localhost:{ports["tls"]}/" '
          f'smtp_pass="{password}" ssl_ca_certificates_file=/etc/ssl/certs/ca-certificates.crt', '-s', 'mutt', '--', 'smtp-mutt@example.test', input=BODY, user=33)
    post.expect('mutt by SMTP', 'smtp-mutt', Subject='^mutt$')
    sends(box, 's-nail by SMTP', 's-nail', '-:/', '-s', 's-nail', '-S', 'v15-compat', '-S', f'mta=smtp://apps:{password}@localhost:{ports["start"]}', '-S', 'smtp-use-starttls', '-S', 'smtp-auth=plain',
          '-S', f'from={FROM}', '-S', 'tls-verify=strict', 'smtp-snail@example.test', input=BODY, user=33)
    post.expect('s-nail by SMTP', 'smtp-snail', Subject='^s-nail$')
    sends(box, 'git send-email by SMTP', 'git', 'send-email', '--quiet', '--confirm=never', f'--from=Shop <{FROM}>', '--suppress-cc=all', '--to=smtp-git@example.test', '--smtp-server=localhost',
          f'--smtp-server-port={ports["start"]}', '--smtp-encryption=tls', '--smtp-user=apps', f'--smtp-pass={password}', *glob_in(box, '/tmp/patch/out/*'), cwd='/tmp/patch/repo')
    post.expect('git send-email by SMTP', 'smtp-git', FROM, re.compile(r'^-From two\n\+From here on\n', re.M))
