# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""All of Frank against the fault injector: whatever a server does wrong, no message is lost, none is sent twice but where nobody can know,
and what people are told is right. Each fault meets four messages to two recipients, over two connections, by an account of its own; then the server is mended and the
rest must arrive."""
from harness import *

FROM, TO = 'billing@example.test', ('one@example.test', 'two@example.test')
COUNT = 4

# mode: what must have become of the messages while the fault lasts, and what the queue or the account must say of it.
#   waits: all of them are still there        taken: all were delivered             doubt: the server may have them
#   refused: for good
FAULTS = {
    'drop_after_dot': ('doubt', r'may have (been )?(accepted|arrived)|in doubt|closed'),
    'drop_before_answer': ('doubt', r'may have (been )?(accepted|arrived)|in doubt|closed'),
    'drop_in_data=10': ('waits or doubt', r'closed'),
    'data=drop': ('waits', r'closed'),
    'mail=421': ('waits', r'421'),
    'rcpt=421': ('waits', r'421'),
    'data=421': ('waits', r'421'),
    '421_after_dot': ('waits', r'421'),
    'banner=421_4.7.0_Busy': ('waits', r'421'),
    'banner=554_5.3.2_No_service': ('waits', r'554'),
    'rcpt=450_4.2.1_Greylisted': ('waits', r'450'),
    'maxrcpt=1': ('taken', None),
    'rcpt=550_5.1.1_No_such_user': ('refused', r'550'),
    'dot=554_5.6.0_Bad_content': ('refused', r'554'),
    'dot=451_4.3.0_Later': ('waits', r'451'),
    'huge': ('waits', r'no reply|protocol|without end|not a reply|no SMTP reply'),
    'longline': ('waits', r'without end|no reply|protocol|no SMTP reply'),
    'ehlo=drop': ('waits', r'closed'),
    'starttls_inject': ('waits', r'in clear|STARTTLS'),
    'starttls_drop': ('waits', r'TLS'),
    'starttls_refuse': ('waits', r'454'),
    'trickle=1': ('taken', None),
    'latency=20': ('taken', None),
    'barelf': ('taken', None),
    'nopipelining': ('taken', None),
    'slow_dot=50': ('taken', None),
    'close_after=1': ('taken', None),
    'close_after=2,close_quiet': ('taken', None),
}


def fault(f, server, account, mode, wanted, words):
    server.mode('')
    http(server.control + '/reset', b'')
    server.mode(mode)
    sender, name = f'{account}@example.test', mode
    marks = [marker('wire') for _ in range(COUNT)]
    for m in marks:
        r = f.sendmail('-i', '-f', sender, '--', *TO, body=f'From: {sender}\nTo: {", ".join(TO)}\nSubject: {m}\nMessage-ID: <{m}@wire.test>\n\nHello.\n')
        if r.returncode:
            check(f'{name}: sendmail takes it', False, r.stderr)
    own = lambda: [m for m in f.queue() if m['account'] == account]
    state = lambda: f.account(account)
    if wanted == 'taken':
        check(f'{name}: all go', wait_for(lambda: not own(), 120, 0.2), (own(), state()))
    else:
        wait_for(lambda: any(r.get('reply') for m in own() for r in m['recipients']) or state().get('text') or not own(), 30, 0.2)
        wait_for(lambda: not any(r['state'] == 'sending' for m in own() for r in m['recipients']), 30, 0.2)
    rows = own()
    waiting = {m['subject'] for m in rows}
    doubtful = {m['subject'] for m in rows if any(r['state'] == 'held' for r in m['recipients'])}
    before = copies(server, marks)
    if wanted in ('waits', 'waits or doubt', 'doubt'):
        check(f'{name}: none is lost, none bounced', all(m in waiting or before[m] for m in marks), (rows, before))
    if wanted == 'doubt':
        check(f'{name}: what is in doubt is held', doubtful and doubtful <= waiting, rows)
    if wanted == 'refused':
        check(f'{name}: none waits for this server any more', not any(r['state'] in ('queued', 'deferred', 'sending') and r['recipient'] in TO for m in rows for r in m['recipients']), rows)
    if words:
        shown = json.dumps([rows, state()]) + f.log()[-20000:]
        check(f'{name}: people are told what it is', re.search(words, shown), shown[:1500])
    check(f'{name}: nothing came twice while it lasted', all(n <= 1 for n in before.values()), before)
    server.mode('')
    if wanted in ('refused', 'taken'):
        return
    # mended; what is in doubt is released by a person, who accepts that it may come twice
    f.frank('account', 'release', account)
    f.frank('queue', 'retry', '--all', '--account', account)
    f.frank('queue', 'release', '--all', '--account', account, '--service', 'all')
    check(f'{name}: once it is mended all arrive', wait_for(lambda: all(copies(server, marks).values()) and not own(), 40, 0.2), (copies(server, marks), own(), state()))
    twice = {m: n for m, n in copies(server, marks).items() if n > 1}
    check(f'{name}: twice came only what was in doubt', set(twice) <= doubtful, (twice, doubtful))


def copies(server, marks):
    """How often each message was taken for the recipient who got it most often; 0 while one of the two has none."""
    got = {m: {to: 0 for to in TO} for m in marks}
    for m in server.messages():
        mark = (m.get('id') or '').strip('<>').split('@')[0]
        for to in m['rcpts']:
            to = re.search(r'<([^>]*)>', to)[1]
            if mark in got and to in got[mark]:
                got[mark][to] += 1
    return {m: max(n.values()) if all(n.values()) or max(n.values()) > 1 else 0 for m, n in got.items()}


def run(ground, options):
    server = Fault('smtp', '--tls', 'starttls', '--mode', '')
    ground.faults.append(server)
    accounts = {f'f{i:02}': mode for i, mode in enumerate(FAULTS)}
    f = Frank('wire', {a: password_account(ground, 'PLAIN', mailbox_=f'{a}@example.test', submit=f'localhost:{server.port}', sessions=2, **{'auth-user': FROM}) for a in accounts},
              spool={'in-doubt': 'hold'})
    if not check('frankd starts', f.start(), f.log()[-500:]):
        return
    for a, mode in accounts.items():
        f.frank('secret', 'set', a, input=ground.password + '\n')
        fault(f, server, a, mode, *FAULTS[mode])
    check('nothing went in clear behind STARTTLS', server.stats()['plaintext_after_starttls'] == 0, server.stats())
    f.stop()
    server.stop()
