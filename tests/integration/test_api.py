# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Mail by HTTP APIs: Graph and Gmail, as the documented servers answer, and as they fail."""
from harness import *
from mailapi import MailAPI

TLS = lambda name: os.path.join(os.environ['GROUND'], 'tls', name)


def run(ground, options):
    api = MailAPI(ground.token_names, TLS('server.pem'), TLS('server.key'))
    account = lambda transport, **k: oauth_account(ground, transport=transport, **{
        'graph-endpoint': f'https://localhost:{api.port}/v1.0', 'gmail-endpoint': f'https://localhost:{api.port}', 'submit': None, 'tls': None, 'auth': None} | k)
    f = Frank('api', {'graph': account('graph'), 'gmail': account('gmail', mailbox_='shared@example.test', **{'auth-user': 'billing@example.test',
                                                                                                               'verify-identity': False})},
              services={'all': dict(users=['*'], accounts=['graph', 'gmail'], senders=['*'], **{'from': 'keep'}, token=True)})
    try:
        if not check('frankd starts', f.start(), f.log()[-800:]):
            return
        for a in ('graph', 'gmail'):
            status, out = f.authorize(ground, a, 'billing@example.test')
            check(f'{a}: authorized', status == 0, out)
        accepted(api, f)
        envelopes(api, f)
        refused(ground, api, f)
        faults(api, f)
        sizes(api, f)
        looked_at(f)
        check('no token is in what is kept of the attempts', not secrets.found_in(f.path('state/spool/spool.db').encode()) and
              not secrets.found_in(open(f.path('state/spool/spool.db'), 'rb').read()), '')
    finally:
        f.stop()
        api.stop()


def send(f, sender, to, subject, headers='', body='hello\n'):
    to = [to] if isinstance(to, str) else to
    r = f.sendmail('-i', '-f', sender, '--', *to, body=f'From: {sender}\n{headers or "To: " + ", ".join(to) + chr(10)}Subject: {subject}\n\n{body}')
    return r.returncode


def queued(f, subject):
    return next((m for m in f.queue() if m.get('subject') == subject), {})


def shown(f, subject):
    return f.json('queue', 'show', queued(f, subject).get('id', ''))


def cause(f, subject, seconds=20):
    """The cause of the first recipient of a message that waits."""
    def look():
        m = queued(f, subject)
        return next((r['cause'] for r in m.get('recipients', []) if r.get('cause')), '')
    return wait_for(look, seconds, 0.2)


def accepted(api, f):
    m = marker('graph')
    check('graph: sendmail takes it', send(f, 'billing@example.test', 'a@example.net', m, body='Gr\u00fc\u00dfe ?>\n.\n') == 0)
    got = wait_for(lambda: api.got(m), 20, 0.1)
    check('graph: it goes out by sendMail', got and api.requests[-1]['path'] == '/v1.0/me/sendMail' and got[0]['to'] == ['a@example.net'], api.requests)
    check('graph: the content is what was handed in', got and 'Gr\u00fc\u00dfe ?>\r\n.\r\n'.encode() in got[0]['raw'], got)
    check('graph: the request names itself for the provider', re.fullmatch(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', api.requests[-1]['headers'].get('client-request-id', '')), api.requests)
    m = marker('gmail')
    check('gmail: sendmail takes it', send(f, 'shared@example.test', 'a@example.net', m) == 0)
    got = wait_for(lambda: api.got(m), 20, 0.1)
    check('gmail: it goes out by messages.send', got and api.requests[-1]['path'].startswith('/upload/gmail/v1/users/me/messages/send'), api.requests)
    check('both leave the queue', f.empty(), f.queue())
    marks = [marker('many') for _ in range(30)]
    api.most = 0
    for m in marks:
        send(f, 'billing@example.test', 'a@example.net', m)
    check('30 messages arrive, once each', wait_for(lambda: all(len(api.got(m)) == 1 for m in marks), 60, 0.2), [m for m in marks if len(api.got(m)) != 1])
    check('never more than four requests at once', 1 <= api.most <= 4, api.most)
    post = [p for p in f.pids() if b'frank-post' in open(f'/proc/{p}/cmdline', 'rb').read()]
    status = open(f'/proc/{post[0]}/status').read() if post else ''
    check('the post role runs confined', re.search(r'Seccomp:\s*2', status) and re.search(r'NoNewPrivs:\s*1', status), status)
    check('frank-send was not needed', not any(b'frank-send' in open(f'/proc/{p}/cmdline', 'rb').read() for p in f.pids()), f.pids())


def envelopes(api, f):
    m = marker('bcc')
    send(f, 'billing@example.test', ['a@example.net', 'hidden@example.net'], m, headers='To: a@example.net\n')
    got = wait_for(lambda: api.got(m), 20, 0.1)
    check('a recipient in no header field goes as Bcc', got and got[0]['to'] == ['a@example.net', 'hidden@example.net'], got)
    m = marker('stranger')
    before = len(api.requests)
    send(f, 'billing@example.test', 'a@example.net', m, headers='To: a@example.net, stranger@example.org\n')
    bounce = wait_for(lambda: [d for d in api.delivered if m.encode() in d['raw'] and b'multipart/report' in d['raw']], 30, 0.2)
    check('a message whose header section names others is returned, and was not sent to them',
          bounce and bounce[0]['to'] == ['billing@example.test'] and not any('stranger@example.org' in d['to'] for d in api.delivered), api.delivered[-2:])
    check('the bounce says why', bounce and b'stranger@example.org' in bounce[0]['raw'] and b'x-frank; api-envelope' in bounce[0]['raw'], bounce)
    check('nothing is left of it', f.empty(), f.queue())


def refused(ground, api, f):
    m, before = marker('renewed'), len(api.requests)
    ground.remember()
    api.modes = ['401']
    refreshes = len([r for r in ground.log() if r.get('grant_type') == 'refresh_token'])
    send(f, 'billing@example.test', 'a@example.net', m)
    check('a refused token is replaced once, and the message goes out', wait_for(lambda: api.got(m), 30, 0.2), f.shown())
    tokens = [r['headers'].get('Authorization') for r in api.requests[before:]]
    check('by a newer token', len(tokens) == 2 and tokens[0] != tokens[1], len(tokens))
    check('with one refresh', len([r for r in ground.log() if r.get('grant_type') == 'refresh_token']) == refreshes + 1, '')
    m = marker('denied')
    api.modes = ['403 ErrorSendAsDenied']
    send(f, 'billing@example.test', 'a@example.net', m)
    bounce = wait_for(lambda: [d for d in api.delivered if m.encode() in d['raw'] and b'multipart/report' in d['raw']], 30, 0.2)
    check('Send As denied: the message is returned with the provider\'s words', bounce and b'ErrorSendAsDenied' in bounce[0]['raw'] and b'x-http; 403' in bounce[0]['raw'], bounce)
    m = marker('throttled')
    api.modes = ['429 3']
    t = time.monotonic()
    send(f, 'billing@example.test', 'a@example.net', m)
    check('429: the account is throttled', wait_for(lambda: f.account('graph').get('state') == 'throttled', 15, 0.1), f.account('graph'))
    check('429: it goes out later, not before Retry-After', wait_for(lambda: api.got(m), 60, 0.2) and api.requests[-1]['at'] - api.requests[-2]['at'] >= 3, api.requests[-2:])
    m = marker('forbidden')
    api.modes = ['403 ErrorAccessDenied'] * 2
    send(f, 'billing@example.test', 'a@example.net', m)
    check('403 of the account: its mail is held, and bounced to nobody', cause(f, m) == 'api-permission-missing' and f.account('graph').get('state') == 'refused', f.shown())
    api.modes = []
    f.frank('account', 'retry', 'graph')
    check('403: when it is mended it goes out', wait_for(lambda: api.got(m), 30, 0.2), f.shown())


def faults(api, f):
    m = marker('busy')
    api.modes = ['503']
    send(f, 'billing@example.test', 'a@example.net', m)
    check('503: it waits for the provider', cause(f, m) == 'provider-trouble', f.shown())
    s = shown(f, m)
    text = '\n'.join(a.get('transcript', '') for a in s.get('attempts', []))
    check('503: the transcript has the request without the token, and the answer', 'C: POST /v1.0/me/sendMail' in text and re.search(r'<token, \d+ octets>', text) and 'S: 503' in text
          and 'UnknownError' in text, text)
    check('503: the attempt has its endpoint and TLS', any('127.0.0.1' in a.get('endpoint', '') and 'TLSv1' in a.get('tls', '') and a.get('mechanism') == 'Bearer' for a in s.get('attempts', [])), s)
    check('503: the attempt has its verdict', any(a.get('cause') == 'provider-trouble' and a.get('next') and a.get('fixer') == 'provider' for a in s.get('attempts', [])), s)
    out = f.frank('transcript', queued(f, m).get('id', '')).stdout
    check('503: frank transcript prints the verdict with what was said', 'meaning' in out and 'next step' in out and 'C: POST' in out, out)
    f.frank('queue', 'retry', queued(f, m).get('id', ''))
    check('503: tried again, it goes out', wait_for(lambda: api.got(m), 30, 0.2), f.shown())
    m, n = marker('dropped'), len(api.requests)
    api.modes = ['drop']
    send(f, 'billing@example.test', 'a@example.net', m)
    check('no answer to a whole message: in doubt', cause(f, m) == 'outcome-unknown', f.shown())
    check('and not sent again on the spot', len(api.requests) == n + 1, api.requests[n:])
    f.frank('queue', 'retry', queued(f, m).get('id', ''))
    check('dropped: tried again, it goes out', wait_for(lambda: api.got(m), 30, 0.2), f.shown())
    m = marker('cut')
    api.modes = ['cut']
    send(f, 'billing@example.test', 'a@example.net', m, body='x' * 70 + '\n' + ('y' * 70 + '\n') * 30000)
    check('cut in the middle: not in doubt, for it cannot have been taken', cause(f, m) == 'connection-lost', f.shown())
    f.frank('account', 'retry', 'graph')
    f.frank('queue', 'retry', queued(f, m).get('id', ''))
    check('cut: tried again, it goes out', wait_for(lambda: api.got(m), 30, 0.2), f.shown())
    m = marker('portal')
    api.modes = ['html']
    send(f, 'billing@example.test', 'a@example.net', m)
    check('a captive portal is no provider', cause(f, m) == 'proxy-in-the-way', f.shown())
    f.frank('queue', 'retry', queued(f, m).get('id', ''))
    check('portal: tried again, it goes out', wait_for(lambda: api.got(m), 30, 0.2), f.shown())
    m = marker('hang')
    api.modes = ['hang']
    send(f, 'billing@example.test', 'a@example.net', m)
    wait_for(lambda: api.requests[-1]['mode'] == 'hang', 10, 0.1)
    other = marker('beside')
    send(f, 'shared@example.test', 'a@example.net', other)
    check('an API that hangs delays no other account', wait_for(lambda: api.got(other), 20, 0.2), f.shown())
    check('stopping does not wait for it', (f.stop() or 99) < 9, '')
    check('it starts again', f.start(), f.log()[-500:])
    f.frank('queue', 'retry', '--all')
    check('hang: what was on its way is tried again and goes out', wait_for(lambda: api.got(m), 60, 0.3), f.shown())


def sizes(api, f):
    m = marker('large')
    body = ('z' * 76 + '\n') * 14000  # about 1 MB
    send(f, 'billing@example.test', 'a@example.net', m, body=body)
    got = wait_for(lambda: api.got(m), 60, 0.2)
    check('1 MB by Graph, whole', got and got[0]['raw'].endswith(b'z' * 76 + b'\r\n') and got[0]['size'] > 1000000, got and got[0]['size'])
    m = marker('toolarge')
    n = len(api.requests)
    send(f, 'billing@example.test', 'a@example.net', m, body=body * 4)
    bounce = wait_for(lambda: [d for d in api.delivered if m.encode() in d['raw'] and b'multipart/report' in d['raw']], 60, 0.2)
    check('more than Graph takes is returned without being sent', bounce and b'too-big' in bounce[0]['raw'] and not api.got(m), [r['size'] for r in api.requests[n:]])
    m = marker('gmail-large')
    send(f, 'shared@example.test', 'a@example.net', m, body=body * 5)
    got = wait_for(lambda: api.got(m), 90, 0.3)
    check('5 MB by Gmail, whole', got and got[0]['size'] > 5000000, got and got[0]['size'])


def looked_at(f):
    r = f.frank('check', 'graph', '--json')
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    check('frank check: up to the token', r.returncode == 0 and any(s['name'] == 'credential' and s['state'] == 'ok' for s in o.get('steps', [])) and
          any(s['name'] == 'certificate' for s in o.get('steps', [])), r)
