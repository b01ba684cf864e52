# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""What `frank check --explain` says of a reply is what frankd does when a server gives it: a server on loopback that gives each
reply at its stage, an account and a message for each, and then: is the message held, tried again, slowed down or returned, and
is what people read of it the same?
"""
import re, socketserver, threading

from harness import *

# where, the reply's lines, and what is to become of the mail
REPLIES = [
    # the session's
    ('greeting', '554 5.7.1 client host blocked using a blocklist', 'configuration'),
    ('greeting', '554 5.3.2 no', 'configuration'),
    ('greeting', '554 5.7.1 You are not allowed to connect.', 'configuration'),
    ('greeting', '550 spam is not wanted here', 'configuration'),
    ('greeting', '421 4.7.0 Too many connections, try again later', 'throttled'),
    ('ehlo', '550 5.7.1 Access denied, blacklisted', 'configuration'),
    ('ehlo', '501 5.5.4 Invalid domain name', 'configuration'),
    ('ehlo', '550 5.7.1 message too big', 'configuration'),
    # the login's, the account's
    ('auth', '554 5.7.1 This account may not send for now', 'permanent-account'),
    ('auth', '535 5.7.8 Error: authentication failed', 'needs-authorization'),
    ('auth', '535-5.7.8 Username and Password not accepted.\n535 5.7.8 Learn more at https://support.example', 'needs-authorization'),
    ('auth', '550 5.7.1 account suspended for spam', 'permanent-account'),
    ('auth', '550 user unknown', 'needs-authorization'),
    ('auth', '454 4.7.0 Temporary authentication failure', 'transient'),
    ('auth', '504 5.7.4 Unrecognized authentication type', 'configuration'),
    ('auth', '552 5.3.4 message size exceeds limit', 'permanent-account'),
    ('mail', '550 Authentication is required', 'configuration'),
    ('mail', '530 5.7.0 Must issue a STARTTLS command first', 'configuration'),
    ('mail', '454 4.7.5 TLS required by policy', 'configuration'),
    ('mail', '502 5.7.0 Account suspended', 'permanent-account'),
    ('mail', '550 5.7.1 Sending quota exceeded', 'throttled'),
    ('mail', '503 5.5.1 Bad sequence of commands', 'configuration'),
    ('mail', '451 4.3.0 Try again later', 'transient'),
    ('mail', '421 4.4.2 Connection timed out, session too long', 'transient'),
    ('rcpt', '454 4.7.0 Failed to establish appropriate TLS channel: Access Denied', 'configuration'),
    ('rcpt', '550 5.7.1 Relay access denied', 'configuration'),
    ('rcpt', '550 Your account has been suspended', 'permanent-account'),
    ('rcpt', '550 This address has exceeded the max emails per hour (25/25) allowed', 'throttled'),
    ('rcpt', '550 5.7.1 Client host rejected: cannot find your reverse hostname', 'configuration'),
    ('rcpt', '451 4.3.0 <user@example.org>: Temporary lookup failure', 'transient'),
    ('data', '550 5.4.5 Daily user sending limit exceeded', 'throttled'),
    ('eom', '554 5.7.1 Your account is disabled', 'permanent-account'),
    ('eom', '550 5.7.1 This message was rejected: your account has been locked', 'permanent-account'),
    ('eom', '452 4.3.1 Insufficient system resources', 'transient'),
    ('eom', '503 5.5.0 Login first', 'configuration'),
    ('eom', '554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException', 'throttled'),
    # the message's
    ('mail', '553 5.7.1 <a@example.test>: Sender address rejected: not owned by user', 'permanent-message'),
    ('rcpt', '550 5.1.1 <user@example.org>: Recipient address rejected: User unknown', 'permanent-message'),
    ('rcpt', '552 5.2.2 mailbox full', 'permanent-message'),
    ('eom', '554 5.7.1 Message rejected as spam', 'permanent-message'),
    ('eom', '552 5.3.4 Message size exceeds fixed limit', 'permanent-message'),
]
# the account's state by the retry class of --explain
STATES = {'transient': ('active', 'unreachable'), 'permanent-message': ('active',), 'permanent-account': ('refused',),
          'needs-authorization': ('needs-authorization',), 'throttled': ('throttled',), 'configuration': ('configuration',)}
PASSWORD = 'a password of the verdicts'


class Session(socketserver.StreamRequestHandler):
    """Agrees to everything but what it was made for."""

    timeout = 60

    def say(self, stage, good):
        bad = self.server.stage == stage
        self.wfile.write(((self.server.reply if bad else good).replace('\n', '\r\n') + '\r\n').encode())
        return not bad

    def handle(self):
        if not self.say('greeting', '220 server.example ESMTP'):
            return
        for line in iter(self.rfile.readline, b''):
            verb = line.strip().split(b' ')[0].upper()
            if verb == b'EHLO':
                self.say('ehlo', '250-server.example\n250-ENHANCEDSTATUSCODES\n250 AUTH PLAIN')
            elif verb == b'AUTH':
                self.say('auth', '235 2.7.0 Accepted')
            elif verb in (b'MAIL', b'RCPT'):
                self.say(verb.decode().lower(), '250 2.1.0 Ok')
            elif verb == b'DATA':
                if self.say('data', '354 go on'):
                    while self.rfile.readline() not in (b'.\r\n', b''):
                        pass
                    self.say('eom', '250 2.0.0 Ok')
            elif verb == b'QUIT':
                self.wfile.write(b'221 2.0.0 Bye\r\n')
                return
            else:
                self.wfile.write(b'250 2.0.0 Ok\r\n')


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 50

    def __init__(self, stage, reply, retry):
        super().__init__(('127.0.0.1', 0), Session)
        self.stage, self.reply, self.retry = stage, reply, retry
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, address):
        pass  # the client is gone


def explain(f, name, stage, reply, port):
    context = dict(account=name, host='127.0.0.1', port=port, tls='none', grant='password', auth_user=f'{name}@example.test', mail_from=f'{name}@example.test')
    r = f.frank('check', '--explain', reply, '--provider', 'generic', '--stage', stage, '--json', '--context', json.dumps(context))
    return json.loads(r.stdout) if r.returncode == 0 else dict(error=r)


def settled(f, wanted):
    """Every message was tried: it has a reply, or its account has a reason, or it is gone."""
    rows = f.queue()
    accounts = {a['account']: a for a in f.json('status').get('accounts', [])}
    return all(accounts.get(m['account'], {}).get('text') or any(r.get('reply') for r in m['recipients']) for m in rows if m['account'] in wanted)


def run(ground, options):
    secrets.add(PASSWORD)
    servers = {f'v{n}': Server(*row) for n, row in enumerate(REPLIES)}
    f = Frank('verdicts', {name: {'provider': 'generic', 'mailbox': f'{name}@example.test', 'grant': 'password', 'auth': ['plain'], 'tls': 'none',
                                  'allow-plaintext-secret': True, 'submit': f'127.0.0.1:{s.server_address[1]}'} for name, s in servers.items()})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    for name in servers:
        r = f.frank('secret', 'set', name, input=PASSWORD + '\n')
        if r.returncode:
            check(f'{name}: secret set', False, r)
    for name in servers:
        if f.send(f'{name}@example.test', 'user@example.org', name):
            check(f'{name}: sendmail takes the message', False)
    check('every message was tried', wait_for(lambda: settled(f, servers), 120, 1), f.queue())
    held = {m['account']: m for m in f.queue() if m.get('subject') == m['account']}  # not the report of its return
    accounts = {a['account']: a for a in f.json('status').get('accounts', [])}
    counts = {}
    for name, s in servers.items():
        said = explain(f, name, s.stage, s.reply, s.server_address[1])
        judge(name, s, said, held.get(name), accounts.get(name, {}))
        counts[said.get('retry')] = counts.get(said.get('retry'), 0) + 1
    print(f'     {len(servers)} replies by a server, as --explain says: {counts}', flush=True)
    moved(f, servers)
    f.stop()
    for s in servers.values():
        s.shutdown()
        s.server_close()


def judge(name, server, said, message, account):
    what = f'{server.stage}: {server.reply.splitlines()[0]}'
    retry = said.get('retry')
    check(f'{what}: --explain says {server.retry}', retry == server.retry, said)
    bounces = retry == 'permanent-message'
    check(f'{what}: {"the message is returned" if bounces else "the message is kept"}', bounces == (message is None), (said, message, account))
    check(f'{what}: the account is as that says', account.get('state') in STATES.get(retry, ()), (said, account))
    if bounces or message is None:
        return
    row = message['recipients'][0]
    shown = row if row.get('cause') else account
    check(f'{what}: cause, fixer, words and next step are the same', all(shown.get(k) == said.get(k) for k in ('cause', 'fixer', 'text', 'next')), (said, shown))


def moved(f, servers):
    """With another server, and a restart, the mail goes: nothing of the old one is left."""
    good = Server('none', '', '')
    name = next(n for n, row in zip(servers, REPLIES) if row[0] == 'auth')
    f.stop()
    f.accounts[name]['submit'] = f'127.0.0.1:{good.server_address[1]}'
    f.write_conf()
    f.start()
    check('another server: its mail goes at once, whatever the old one said', wait_for(lambda: not any(m.get('subject') == name for m in f.queue()), 30, 0.5), f.queue())
    check('another server: nothing of the old one is told', not f.account(name).get('text') and f.account(name).get('state') == 'active', f.account(name))
    good.shutdown()
    good.server_close()
