# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The inbox of frank-sandbox: Mailpit's clients unchanged, waiting, hostile mail, release, what a restart keeps."""
import base64, smtplib, statistics
from harness import *
from test_sandbox import Sandbox

ADDRESS = 'billing@example.test'
NPM = os.environ.get('GROUND_NPM') or os.path.join(os.environ.get('GROUND', '/tmp/ground'), 'npm')


class Inbox(Sandbox):
    def __init__(self, *args):
        super().__init__('--account', ADDRESS, *args)
        self.api = self.ready['api']
        self.token = self.tool('token', 'code', ADDRESS)[1]['access_token']
        secrets.add(self.token)

    def get(self, path, **query):
        s, t = http(self.api + path + ('?' + urllib.parse.urlencode({k.replace('_', '.'): v for k, v in query.items()}) if query else ''), timeout=60)
        try:
            return s, json.loads(t)
        except ValueError:
            return s, t

    def ask(self, method, path, body=None, **headers):
        r = urllib.request.Request(self.api + path, None if body is None else json.dumps(body).encode(), headers, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(r, timeout=30) as a:
                return a.status, a.read().decode(), a.headers
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode(), e.headers

    def send(self, text, to='jane@example.test'):
        """Python's smtplib with XOAUTH2; the time when the 250 was there."""
        with smtplib.SMTP('localhost', self.ready['submission_port'], timeout=30) as c:
            c.starttls(context=ssl.create_default_context(cafile=self.ready['ca']))
            c.ehlo()
            c.auth('XOAUTH2', lambda challenge=None: f'user={ADDRESS}\x01auth=Bearer {self.token}\x01\x01')
            c.sendmail(ADDRESS, [to] if isinstance(to, str) else to, text)
            return time.monotonic()


def run(ground, options):
    with Inbox() as s:
        clients(s)
        waiting(s)
        hostile(s)
        who_may(s)
    restart()
    release()
    with_login()


def clients(s):
    p = subprocess.run(['node', os.path.join(HERE, 'mailpit-clients.mjs'), NPM, s.api, str(s.ready['submission_port']), s.ready['ca'], ADDRESS], input=s.token, capture_output=True, text=True,
                       timeout=240)
    lines = [json.loads(l) for l in p.stdout.splitlines()]
    for l in lines:
        check(l['name'], l['good'], l['info'])
    check('the clients ran to their end', p.returncode == 0 and len(lines) > 50, p.stderr[-1500:])


def later(s, **query):
    """Starts a wait: a function that gives (status, answer, when it was there)."""
    out = []
    t = threading.Thread(target=lambda: out.append((*s.get('/api/v1/wait', **query), time.monotonic())))
    t.start()
    time.sleep(0.2)

    def end():
        t.join(60)
        return out[0]
    return end


def mark(s):
    return json.loads(s.ask('POST', '/api/v1/mark')[1])['mark']


def waiting(s):
    s.send('Subject: before\n\nhello\n')
    m = mark(s)
    check('wait: at once where it is there already', s.get('/api/v1/wait', subject='before', timeout=20)[0] == 200)
    check('wait: since a mark it is not', s.get('/api/v1/wait', subject='before', since=m, timeout=0.2)[0] == 408)
    delays = []
    for n in range(10):
        end = later(s, subject=f'number {n}', since=m, timeout=30)
        sent = s.send(f'Subject: number {n}\n\nhello\n')
        status, answer, there = end()
        delays.append(there - sent)
        if status != 200:
            check('wait: finds what arrives', False, answer)
    print(f'     wait answers {min(delays) * 1000:.1f} ms after the 250 at best, {statistics.median(delays) * 1000:.1f} ms in the median', flush=True)
    check('wait: answers within 100 ms of the arrival', min(delays) < 0.1, delays)
    status, a, _ = later(s, subject='something else', bcc='jane', since=m, timeout=0.5)()
    check('wait: says what came near', status == 408 and a['arrived'] == 10 and 'none had: subject contains "something else"' in a['reason'] and a['nearest'][0]['Subject'] == 'number 9' and
          a['nearest'][0]['missed'] == ['subject contains "something else"'], a)
    m = mark(s)
    check('wait: nothing has come', s.get('/api/v1/wait', since=m, timeout=0.1)[1]['reason'] == 'none arrived')
    end = later(s, since=m, none=1)
    check('wait: none', end()[:1] == (200,))
    end = later(s, since=m, none=30)
    s.send('Subject: unwanted\n\n')
    status, a, _ = end()
    check('wait: none, and one comes', status == 408 and a['reason'] == '1 arrived that should not have', a)
    m = mark(s)
    end = later(s, since=m, count=3, subject_regex='^(one|two|three)$', timeout=30)
    for word in ('one', 'other', 'two', 'three'):
        s.send(f'Subject: {word}\n\n')
    status, a, _ = end()
    check('wait: a count, by a regular expression, the oldest first', status == 200 and [x['Subject'] for x in a['messages']] == ['one', 'two', 'three'], a)
    check('wait: exactly, and it stays so', s.get('/api/v1/wait', since=m, exactly=4, quiet=0.3, timeout=5)[0] == 200)
    status, a = s.get('/api/v1/wait', since=m, exactly=3, quiet=0.3, timeout=5)
    check('wait: exactly, and there are more', status == 408 and a['reason'] == '4 found, exactly 3 wanted', a)
    s.send('From: Joe <joe@example.test>\nTo: "Team, A" <team@example.test>\nSubject: all of it\nX-Build: 42\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nthe text is this\n'
           '--b\nContent-Type: text/html\n\n<p>the html</p>\n--b\nContent-Disposition: attachment; filename=report.pdf\nContent-Type: application/pdf\n\nx\n--b--\n', ['team@example.test', 'other@example.test'])
    for good, q in ((True, dict(to='team, a', from_equals='joe@example.test', subject_equals='ALL OF IT', text='is this', html='<p>', header='X-Build: 4', attachment='report')), (True, {'from.regex': 'joe@.*test$'}),
                    (True, {'mailbox': 'other@example.test', 'bcc': 'other@'}), (True, {'account.equals': ADDRESS, 'subject': 'all of'}), (True, {'query': 'has:attachment -subject:"by the api"'}), (False, {'to.equals': 'team'}),
                    (False, {'subject': 'all of', 'to.not': 'team'}), (True, {'subject': 'all of', 'to.not.regex': 'jane'}), (False, {'header': 'X-Build: 5'}), (True, {'header': 'X-Build: 4', 'header.2': 'Subject: all'})):
        r = s.get('/api/v1/wait', since=m, timeout=0, **{k.replace('.', '_'): v for k, v in q.items()})
        check(f'wait: {q}', (r[0] == 200) == good, r)
    for q in (dict(nonsense='x'), dict(subject_regex='('), dict(timeout='soon'), dict(since='nothing'), dict(count='0'), dict(header='none')):
        check(f'wait: {q} is refused', s.get('/api/v1/wait', **q)[0] == 400, s.get('/api/v1/wait', **q))
    newest = s.get('/api/v1/messages')[1]['messages'][0]
    status, t = s.get(f"/api/v1/message/{newest['ID']}/session")
    check('the SMTP session of a message', status == 200 and t['auth']['mechanism'] == 'XOAUTH2' and t['auth']['account'] == ADDRESS and t['tls']['version'].startswith('TLS') and any('MAIL FROM' in l['text'].upper() for l in t['lines'])
          and s.token not in json.dumps(t), t)


def hostile(s):
    html = '<html><head><meta http-equiv="refresh" content="0;url=http://127.0.0.1:9/"><base href="http://127.0.0.1:9/"><link rel="dns-prefetch" href="//x.invalid"></head><body onload="a()"><script>a()</script>ok</body></html>'
    s.send('Subject: hostile\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n' + html + '\n--b\nContent-Type: image/svg+xml\nContent-ID: <s>\nContent-Disposition: inline\n\n'
           '<svg xmlns="http://www.w3.org/2000/svg"><script>a()</script></svg>\n--b\nContent-Type: text/html\nContent-Disposition: attachment; filename="../../x\\".html"\n\n<script>a()</script>\n--b--\n')
    m = s.get('/api/v1/message/latest')[1]
    status, text, h = s.ask('GET', f"/view/{m['ID']}.html")
    policy = h['Content-Security-Policy']
    check('a mail is shown under a policy with sandbox', status == 200 and policy.startswith('sandbox; default-src \'none\'; img-src http://localhost:') and 'https:' not in policy and 'allow-scripts' not in policy, policy)
    check('without refresh, base and link', not any(w in text for w in ('refresh', '<base', 'dns-prefetch')) and 'ok' in text, text)
    policy = s.ask('GET', f"/view/{m['ID']}.html?remote=1&embed=1")[2]['Content-Security-Policy']
    check('remote images only where they are asked for', ' https: http:;' in policy and policy.startswith('sandbox allow-popups allow-popups-to-escape-sandbox;'), policy)
    for part in m['Inline'] + m['Attachments']:
        _, _, h = s.ask('GET', f"/api/v1/message/{m['ID']}/part/{part['PartID']}")
        check(f"{part['ContentType']} is saved, not shown", h['Content-Type'] == 'application/octet-stream' and h['Content-Disposition'].startswith('attachment') and h['X-Content-Type-Options'] == 'nosniff' and
              h['Content-Security-Policy'].startswith('sandbox') and '/' not in h['Content-Disposition'], dict(h))


def who_may(s):
    check('another name for this server is refused', s.ask('GET', '/api/v1/messages', Host='evil.example')[0] == 421)
    check('a page of another origin cannot delete', s.ask('DELETE', '/api/v1/messages', Origin='http://evil.example')[0] == 403 and s.get('/api/v1/messages')[1]['total'] > 0)
    check('nor does it get a header that lets it read', 'Access-Control-Allow-Origin' not in s.ask('GET', '/api/v1/messages', Origin='http://evil.example')[2])
    body = {'From': {'Email': 'a@b'}, 'To': [{'Email': 'x y'}]}
    check('a mail that is none is refused with the reason', s.ask('POST', '/api/v1/send', body)[:2] == (400, '{"Error":"invalid To address: x y"}'), s.ask('POST', '/api/v1/send', body))
    body = {'From': {'Email': 'a@b.test'}, 'To': [{'Email': 'x@y.test'}], 'Subject': 'a\nBcc: z@y.test'}
    check('and one with a line end in its subject', s.ask('POST', '/api/v1/send', body)[0] == 400)


def restart():
    """The same folder again, after kill -9, and with an index that is gone or broken."""
    with Inbox('--max-messages', '5') as s:
        for n in range(7):
            s.send(f'Subject: kept {n}\n\nhello\n')
        s.ask('PUT', '/api/v1/messages', {'Read': True})
        before = s.get('/api/v1/messages')[1]
        check('--max-messages: the oldest are gone, also from the Maildirs', before['total'] == 5 and before['messages'][-1]['Subject'] == 'kept 2' and len(s.inbox('jane@example.test')) == 5, before)
        s.p.kill()
        s.p.wait(10)

        def again(*args):
            s.p = subprocess.Popen([program('frank-sandbox'), '--dir', s.dir, *args], env=clean_env(), stdout=subprocess.PIPE, stderr=s.log, text=True)
            s.p.stdout.readline()
            s.api = json.load(open(s.dir + '/ready.json'))['api']
            return s.get('/api/v1/messages')[1]
        ids = lambda a: [m['ID'] for m in a['messages']]
        after = again()
        check('after kill -9 all is there, and read', ids(after) == ids(before) and after['unread'] == 0, after)
        for name, do in (('gone', lambda: [os.unlink(f) for f in glob.glob(s.dir + '/inbox.db*')]), ('broken', lambda: open(s.dir + '/inbox.db', 'r+b').write(b'no database ' * 400))):
            s.p.kill()
            s.p.wait(10)
            do()
            after = again()
            check(f'an index that is {name} is built anew, with the same IDs', ids(after) == ids(before), after)
        status, t = s.get('/api/v1/message/latest/session')
        check('and how each came is still known', status == 200 and t['auth']['account'] == ADDRESS, t)


def release():
    folder = tempfile.mkdtemp(prefix='release-', dir=harness_dir())
    command = folder + '/sendmail'
    with open(command, 'w') as f:
        f.write(f'#!/bin/sh\nprintf "%s\\n" "$@" >{folder}/args\ncat >{folder}/mail\n[ ! -e {folder}/fail ] || {{ echo "no route to anywhere" >&2; exit 75; }}\n')
    os.chmod(command, 0o755)
    with Inbox('--release-command', command, '--release-allow', '*@example.test') as s:
        s.send(f'From: {ADDRESS}\nBcc: secret@example.test\nSubject: to be released\n\nhello\n')
        r = s.ask('POST', '/api/v1/message/latest/release', {'To': ['real@example.test', 'other@example.test']})
        args, mail = open(folder + '/args').read().split('\n'), open(folder + '/mail').read()
        check('release: the command gets it', r[:2] == (200, 'ok') and args[:6] == ['-i', '-f', ADDRESS, '--', 'real@example.test', 'other@example.test'] and 'Subject: to be released\n\nhello\n' in mail, (r, args, mail))
        check('release: without Bcc and what the sandbox added', not any(w in mail for w in ('Bcc', 'secret@', 'Return-Path', 'X-Frank-Sandbox')), mail)
        r = s.ask('POST', '/api/v1/message/latest/release', {'To': ['real@elsewhere.test']})
        check('release: only whom the list allows', r[0] == 400 and 'allowlist' in r[1], r)
        r = s.ask('POST', '/api/v1/message/latest/release', {'To': ['-oQ/tmp@example.test']})
        check('release: no address becomes an option', r[0] == 400, r)
        open(folder + '/fail', 'w').close()
        r = s.ask('POST', '/api/v1/message/latest/release', {'To': ['real@example.test']})
        check('release: what the command says', r[0] == 400 and r[1] == 'not released: the command exited with 75: no route to anywhere', r)


def with_login():
    file = os.path.join(tempfile.mkdtemp(prefix='login-', dir=harness_dir()), 'login')
    password = marker('password-of-the-inbox')
    secrets.add(password)
    with open(file, 'w') as f:
        f.write('tester:' + password + '\n')
    with Inbox('--http-login', file, '--http-host', 'mail.example') as s:
        basic = lambda text: {'Authorization': 'Basic ' + base64.b64encode(text.encode()).decode()}
        check('login: wanted', s.ask('GET', '/api/v1/messages')[0] == 401 and s.ask('GET', '/api/v1/messages', **basic('tester:wrong'))[0] == 401)
        check('login: right', s.ask('GET', '/api/v1/messages', **basic('tester:' + password))[0] == 200)
        check('login: health is everybody\'s', s.ask('GET', '/livez')[0] == 200)
        check('a further name', s.ask('GET', '/livez', Host='mail.example:8025')[0] == 200)
        r = s.ask('POST', '/api/v1/send', {'From': {'Email': 'a@b.test'}, 'To': [{'Email': 'x@y.test'}]}, **basic('tester:' + password))
        r = s.ask('GET', '/api/v1/message/latest', **basic('tester:' + password))
        check('login: whose mail it is', json.loads(r[1])['Username'] == 'tester', r)
