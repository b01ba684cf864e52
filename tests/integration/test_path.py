# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""One message, all the way: each mechanism, over STARTTLS and over TLS from the first octet, on Postfix + Dovecot."""
from harness import *

TOKEN_MECHANISMS, PASSWORD_MECHANISMS = ('XOAUTH2', 'OAUTHBEARER'), ('PLAIN', 'LOGIN')


def run(ground, options):
    accounts = {}
    for tls in ('starttls', 'implicit'):
        for m in TOKEN_MECHANISMS:
            accounts[f'{m.lower()}-{tls}'] = oauth_account(ground, m, tls)
        for m in PASSWORD_MECHANISMS:
            accounts[f'{m.lower()}-{tls}'] = password_account(ground, m, tls)
    for name, account in accounts.items():
        f = Frank(name, {name: account})
        if not check(f'{name}: frankd starts', f.start(), f.log()[-800:]):
            continue
        if account['grant'] == 'password':
            r = f.frank('secret', 'set', name, input=ground.password + '\n')
            check(f'{name}: the password is taken from standard input', r.returncode == 0, r.stdout + r.stderr)
        else:
            status, out = f.authorize(ground, name, account['mailbox'])
            check(f'{name}: authorized', status == 0, out)
        mark = marker(name)
        check(f'{name}: sendmail exits 0', f.send(account['mailbox'], 'path@example.test', mark) == 0)
        got = ground.arrived('path@example.test', mark)
        check(f'{name}: arrived once', len(got) == 1, f.shown() + f.log()[-800:])
        if got:
            check(f'{name}: with TLS and the account signed in', 'ESMTPSA' in got[0] and 'TLS' in got[0] and 'Authenticated sender: billing@example.test' in got[0], got[0])
            check(f'{name}: Date and Message-ID were added', re.search(r'^Date: ', got[0], re.M) and re.search(r'^Message-ID: <[^>]+>', got[0], re.M | re.I), got[0])
        shown = f.frank('status').stdout
        check(f'{name}: status shows the account', name in shown and 'active' in shown, shown)
        check(f'{name}: the queue is empty', f.empty(5), f.queue())
        seconds = f.stop()
        check(f'{name}: SIGTERM ends all within 5 s', seconds is not None and seconds < 5, seconds)
    several(ground)


def several(ground):
    """Results are per recipient: one good, one that does not exist, one that is to be tried later."""
    f = Frank('several', {'a': password_account(ground)})
    check('several: frankd starts', f.start(), f.log()[-800:])
    f.frank('secret', 'set', 'a', input=ground.password + '\n')
    mark = marker('several')
    check('several: sendmail exits 0', f.send('billing@example.test', ['good@example.test', 'nouser@example.test', 'greylist@example.test'], mark) == 0)
    check('several: the good recipient has it', len(ground.arrived('good@example.test', mark)) == 1, f.shown())
    text = wait_for(lambda: (lambda s: s if 'Greylisted' in s else '')(f.shown()), 10, 0.2)
    check('several: the deferred recipient waits with the server\'s words', 'greylist@example.test' in text and 'Greylisted' in text, text)
    bounce = ground.arrived('billing@example.test', 'nouser@example.test')
    check('several: a bounce for the one that does not exist', bounce and 'multipart/report' in bounce[-1] and 'No such user here' in bounce[-1], f.shown())
    # the text of the lines alone tells what became of each recipient: people grep the id
    ident = re.search(r'^([0-9A-F]{8,16}) ', f.frank('queue').stdout, re.M)
    lines = [l for l in f.log().splitlines() if ident and ident.group(1) in l]
    for rcpt, why in (('good@example.test', 'delivered'), ('nouser@example.test', 'No such user here'), ('greylist@example.test', 'Greylisted')):
        check(f'several: the log has the id, the account and the reason of {rcpt} in one line', any(f'recipient={rcpt}' in l and 'account=a' in l and why in l for l in lines), lines or f.frank('queue').stdout)
    check('several: the bounce does not speak of the others as failed', bounce and 'Final-Recipient: rfc822; good@' not in bounce[-1] and 'greylist@' not in bounce[-1].split('message/rfc822')[0], bounce)
    f.stop()


