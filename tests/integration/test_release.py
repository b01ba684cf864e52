# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Trial without users: captured mail is read, waited for, released and expires; release tests with their table and JUnit file."""
import grp

from harness import *
from test_notify import Hook
from test_sandbox import Sandbox

CODE = 'Subject: =?utf-8?B?' + 'SWhyZSBSZWNobnVuZyDDvGJlciA0MiDigqw=' + '?=\n'  # "Ihre Rechnung über 42 €"


def run(ground, options):
    f = Frank('release', {'a': password_account(ground)},
              {'games': dict(users=['games'], accounts=['a'], senders=['billing@example.test'], **{'from': 'refuse'}),
               'staging': dict(users=['*'], accounts=['a'], senders=['*'], mode='capture', **{'from': 'keep'}),
               'live': dict(socket=True, **{'socket-mode': '0666'}, accounts=['a'], senders=['billing@example.test'], recipients=['*@example.test'], **{'from': 'refuse'})},
              top={'admin-group': 'games'})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    f.frank('secret', 'set', 'a', input=ground.password + '\n')
    waiting(f)
    conditions(f)
    reading(f)
    release(f, ground)
    tests(f, ground)
    wrong_files(f)
    f.stop()
    sandbox()
    ci()
    webhook()


def webhook():
    """A release test that says a webhook gets the event of what becomes of the message, exactly once by its id."""
    hook, silent = Hook(), Hook()
    f = Frank('release-hook', {}, {'all': dict(users=['*'], mode='capture')})
    with open(f.conf_file, 'a') as out:
        out.write(f'webhook "shop" {{ url = "http://127.0.0.1:{hook.port}/" events = {{"messages"}} }}\nwebhook "ops" {{ url = "http://127.0.0.1:{silent.port}/" }}\n')
    if not check('frankd starts with webhooks', f.start(), f.log()[-800:]):
        return
    hook.answers = [503]
    test = 'test "%s" { from = "a@example.test" to = "b@example.test" expect = captured webhook = %s timeout = %d }\n'
    path = f.path('hook.tests')
    with open(path, 'w') as out:
        out.write(test % ('got', 'shop', 60) + test % ('takes none', 'ops', 2) + test % ('unknown', 'nobody', 5))
    r = f.frank('test', 'release', path, '--json', timeout=120)
    got = {t['name']: t for t in json.loads(r.stdout)['tests']} if r.returncode == 1 else {}
    check('the webhook got it, though its server failed at first', got.get('got', {}).get('result') == 'passed' and 503 in [s for s, _, _ in hook.got], r)
    events = [e for e in hook.events() if e.get('queue_id') == got.get('got', {}).get('id')]
    check('it is the event of the message, once', len(events) == len({e['id'] for e in events}) == 1 and events[0]['kind'] == 'captured', hook.got)
    check('a webhook that takes no such event', 'takes no event of it' in got.get('takes none', {}).get('message', ''), got)
    r = f.frank('queue', 'release', got.get('got', {}).get('id', '0'))
    check('what was captured without an account cannot be released', r.returncode == 78 and 'captured without an account' in r.stderr, r)
    check('a webhook that is not configured', got.get('unknown', {}).get('result') == 'error', got)
    f.stop()
    hook.stop()
    silent.stop()


def ci():
    """The example for CI services, as it stands but for its paths."""
    here = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'contrib/examples')
    f = Frank('release-ci', {}, {})
    shutil.copytree(here + '/ci', f.path('ci'))
    with open(f.path('ci/frank.conf')) as text:
        conf = text.read()
    with open(f.path('ci/frank.conf'), 'w') as out:
        out.write(f'runtime-dir = {quote(f.path("run"))}\nstate-dir = {quote(f.path("state"))}\naliases = none\n' + conf)
    path = os.pathsep.join(sorted({os.path.dirname(program(x)) for x in ('frank', 'frankd')}) + [os.environ['PATH']])
    r = subprocess.run([f.path('ci/run')], env={**f.env, 'PATH': path, 'SENDMAIL': program('sendmail')}, capture_output=True, text=True, timeout=120)
    x = junit(f.path('ci/release.xml'))
    check('the example for CI runs', r.returncode == 0 and '3 passed, 0 failed' in r.stdout, r)
    check('and leaves what CI services read', isinstance(x, list) and x[0]['tests'] == 3 and x[0]['failures'] == 0, x)
    for name in ('github-actions.yml', 'gitlab-ci.yml'):
        r = subprocess.run(['/usr/bin/python3', '-c', 'import sys, yaml; print(len(yaml.safe_load(open(sys.argv[1]))))', f'{here}/ci/{name}'], capture_output=True, text=True)
        check(f'{name} is YAML', r.returncode == 0 and int(r.stdout) >= 1, r)
    r = subprocess.run([program('frankd'), '--check', '-c', here + '/staging.conf'], capture_output=True, text=True, env=f.env)
    check('staging.conf has no error', r.returncode == 0 and 'error' not in r.stderr, r)


def sandbox():
    """The form that CI has: an application's mail goes through frankd to a sandbox, and the tests look there."""
    with Sandbox('--account', 'shop@example.test') as s:
        api = s.ready['api']
        f = Frank('release-sandbox', {'shop': s.account('shop@example.test', auth=['plain'], grant='password', issuer=None, scopes=None, **{'client-id': None})})
        if not check('frankd starts beside a sandbox', f.start(), f.log()[-800:]):
            return
        f.frank('secret', 'set', 'shop', input=s.password('shop@example.test') + '\n')
        m = f.frank('test', 'mark', '--api', api).stdout.strip()
        check('a sandbox gives a mark', re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z', m), m)
        code, got = wait(f, '--api', api, '--since', m, '--timeout', '0')
        check('sandbox: nothing came', code == 1 and got['found'] is False and got['reason'], got)
        p = subprocess.Popen([program('frank'), 'test', 'wait', '--api', f"{s.dir}/ready.json", '--since', m, '--timeout', '60', 'subject==Your order', 'header:X-Order=4711'],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=f.env)
        r = f.sendmail('-i', '-f', 'shop@example.test', '--', 'buyer@example.test', body='From: shop@example.test\nTo: buyer@example.test\nSubject: Your order\nX-Order: 4711\n\nThank you & bye\n')
        out, err = p.communicate(timeout=90)
        check('sandbox: it waits until the message arrives', r.returncode == 0 and p.returncode == 0 and 'Your order' in out and 'buyer@example.test' in out, (r, out, err, f.shown()))
        for c, met in (('to==buyer@example.test', True), ('subject!=order', False), ('text=you & bye', True), ('from~^shop@', True), ('attachment=x', False), ('header:X-Order==4711', True), ('header:X-Order==47', False)):
            code, got = wait(f, '--api', api, '--since', m, '--timeout', '0', c)
            check(f'sandbox: {c} is {met}', code == (0 if met else 1), got)
        code, got = wait(f, '--api', api, '--since', m, '--none', '--for', '1', '--subject', 'invoice')
        check('sandbox: --none', code == 0, got)
        code, got = wait(f, '--api', api, '--since', m, '--count', '1', '--exactly', '--for', '1')
        check('sandbox: --exactly', code == 0, got)
        path = f.path('ci.tests')
        with open(path, 'w') as o:
            o.write('test "it arrives" { from = "shop@example.test" to = "buyer@example.test" subject = "From CI" expect = delivered match = {"subject==From CI", "to==buyer@example.test"} }\n'
                    'test "not like this" { from = "shop@example.test" to = "buyer@example.test" expect = delivered match = "subject=never" timeout = 5 }\n')
        r = f.frank('test', 'release', path, '--api', api, timeout=120)
        check('what is delivered is looked at in the sandbox', r.returncode == 1 and '1 passed, 1 failed' in r.stdout and 'did not arrive at the sandbox as it should be' in r.stdout, r)
        r = f.frank('test', 'release', path, timeout=120)
        check('and cannot be without one', r.returncode == 1 and 'in a sandbox alone: --api' in r.stdout, r)
        for bad in ('https://localhost:1', 'http://localhost', 'http://:1', '/nowhere/ready.json'):
            r = f.frank('test', 'wait', '--api', bad)
            check(f'no API: {bad}', r.returncode == 2 and 'neither' in r.stderr, r)
        f.stop()
    r = f.frank('test', 'mark', '--api', api)
    check('a sandbox that is gone', r.returncode == 69 and 'Connection refused' in r.stderr, r)


def hand_in(f, subject, to='buyer@example.test', body='hello', head='', sender='shop@example.test'):
    r = f.sendmail('-i', '-f', sender, '--', to, body=f'From: Shop <{sender}>\nTo: {to}\nSubject: {subject}\n{head}\n{body}\n')
    if r.returncode:
        print(f'     sendmail: {r.returncode}: {r.stderr.decode(errors="replace").strip()}', flush=True)


def mark(f):
    return f.frank('test', 'mark').stdout.strip()


def wait(f, *args):
    r = f.frank('test', 'wait', *args, '--json')
    try:
        return r.returncode, json.loads(r.stdout)
    except ValueError:
        return r.returncode, dict(error=r.stdout + r.stderr)


def waiting(f):
    m = mark(f)
    check('a mark is a time', re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z', m), m)
    code, got = wait(f, '--since', m, '--timeout', '0')
    check('nothing came: 1, and it says so', code == 1 and got['found'] is False and 'no message was captured since the mark' in got['reason'], got)
    hand_in(f, 'first')
    code, got = wait(f, '--since', m, '--timeout', '0')
    check('what is there already is found at once', code == 0 and got['messages'][0]['subject'] == 'first' and got['messages'][0]['state'] == 'captured', got)
    code, got = wait(f, '--since', got['messages'][0]['id'], '--timeout', '0')
    check('an ID is a mark as well', code == 1, got)
    code, got = wait(f, '--timeout', '0')
    check('without a mark, what came earlier does not count', code == 1 and '--since' in got['reason'], got)
    # The answer comes with the message and not by the next look at a clock: beside it, one that waits for something else.
    began = time.monotonic()
    p = subprocess.Popen([program('frank'), 'test', 'wait', '--since', mark(f), '--timeout', '60', '--subject', 'awaited'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=f.env)
    time.sleep(1.5)
    check('it waits', p.poll() is None)
    hand_in(f, 'another')
    before = time.monotonic()
    hand_in(f, 'awaited')
    out, err = p.communicate(timeout=60)
    answered = time.monotonic() - before
    check('and answers as soon as the message is there', p.returncode == 0 and 'awaited' in out and answered < 10 and answered < (before - began) * 2, (answered, out, err))
    m = mark(f)
    for i in range(3):
        hand_in(f, f'one of three {i}')
    code, got = wait(f, '--since', m, '--subject', 'three', '--count', '3', '--timeout', '20')
    check('--count', code == 0 and len(got['messages']) == 3, got)
    code, got = wait(f, '--since', m, '--subject', 'three', '--count', '4', '--timeout', '1')
    check('--count, and one is missing', code == 1 and '3 of 4' in got['reason'], got)
    code, got = wait(f, '--since', m, '--subject', 'three', '--count', '2', '--exactly')
    check('--exactly, and one is too many', code == 1 and '1 came that should not have' in got['reason'], got)
    code, got = wait(f, '--since', m, '--subject', 'three', '--count', '3', '--exactly', '--for', '1')
    check('--exactly', code == 0, got)
    code, got = wait(f, '--since', m, '--subject', 'nothing like it', '--none', '--for', '1')
    check('--none', code == 0 and got['arrived'] == 3, got)
    code, got = wait(f, '--since', m, '--subject', 'three', '--none', '--for', '30')
    check('--none, and there are', code == 1, got)
    for args in (['--count', 'x'], ['--for', '3'], ['--none', '--count', '2'], ['colour=red'], ['subject~('], ['--since', 'yesterday'], ['--bogus'], ['subject'], ['header=x']):
        r = f.frank('test', 'wait', *args)
        check(f'wrong use is 2: {args}', r.returncode == 2 and r.stderr.strip() and 'frank' in r.stderr, r)


def conditions(f):
    m = mark(f)
    boundary = 'Content-Type: multipart/mixed; boundary="=_b"\nMIME-Version: 1.0\nX-Order: 4711\n'
    parts = ('--=_b\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nGr=FC=DFe, your code is 123=\n456.\n'
             '--=_b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: base64\n\nPGI+aGlkZGVuIGlu\nIEhUTUw8L2I+\n'
             "--=_b\nContent-Type: application/pdf\nContent-Disposition: attachment; filename*=utf-8''Rechnung%20%C3%BC.pdf\n\nx\n--=_b--")
    r = f.sendmail('-i', '-f', 'shop@example.test', '--', 'buyer@example.test', 'secret@example.test',
                   body='From: Shop <shop@example.test>\nTo: Buyer <Buyer@Example.Test>\n' + CODE + boundary + '\n' + parts + '\n')
    check('a message in parts is captured', r.returncode == 0, r)
    met = ['subject=rechnung über', 'subject==Ihre Rechnung über 42 €', 'subject~^ihre .* [0-9]+ €$', 'to=buyer@', 'to==buyer@example.test', 'to==secret@example.test', 'from=Shop',
           'from==SHOP@example.test', 'text=123456', 'text=Grüße', 'text=hidden in html', 'attachment==Rechnung ü.pdf', 'header:X-Order==4711', 'header:x-order=71', 'service==staging',
           'header:X-Other!=x', 'subject!=invoice', 'text!~[0-9]{7}', f'uid=={os.getuid()}']
    unmet = ['subject=rechnung uber', 'subject==rechnung', 'subject~^rechnung', 'to==buyer', 'from=buyer', 'text=1234567', 'attachment=xls', 'header:X-Order==471', 'service=prod', 'subject!=rechnung',
             'header:X-Order!~^47', 'to!=buyer', 'header:X-None=']
    for c in met:
        code, got = wait(f, '--since', m, '--timeout', '0', c)
        check(f'met: {c}', code == 0, got)
    for c in unmet:
        code, got = wait(f, '--since', m, '--timeout', '0', c)
        check(f'not met: {c}', code == 1 and got['nearest'][0]['missed'] == [c], got)
    code, got = wait(f, '--since', m, '--timeout', '0', *met)
    check('all at once', code == 0, got)
    hand_in(f, 'quite another', to='x@example.test')
    r = f.frank('test', 'wait', '--since', m, '--timeout', '0', '--to', 'buyer@example.test', '--subject', 'Invoice')
    check('where none matched, the nearest comes first, with what it misses', r.returncode == 1 and '2 arrived, and none' in r.stderr and
          r.stdout.index('buyer@') < r.stdout.index('x@example.test') and 'missed: subject=Invoice' in r.stdout, r)


def reading(f):
    code, got = wait(f, '--since', '2000-01-01T00:00:00Z', '--timeout', '0', '--subject', 'awaited')
    id = got['messages'][0]['id']
    r = f.frank('queue', 'show', id, '--content')
    check('the content can be read', r.returncode == 0 and 'Subject: awaited' in r.stdout and r.stdout.rstrip().endswith('hello'), r)
    large = 'y' * 70 + '\n'
    m = mark(f)
    hand_in(f, 'large', body=large * 4000 + 'the end')
    code, got = wait(f, '--since', m, 'text=the end', '--timeout', '20')
    r = f.frank('queue', 'show', got['messages'][0]['id'], '--content')
    check('also of a large one, whole', r.returncode == 0 and r.stdout.count('y' * 70) == 4000 and r.stdout.endswith('the end\n'), len(r.stdout))
    r = f.frank('queue', 'show', 'ABC', '--content')
    check('there is none of that ID', r.returncode == 66 and 'no such message' in r.stderr, r)
    if os.getuid() == 0:
        who_reads(f, id)
    f.services['staging']['deliver-to'] = ['*@team.example.test']
    f.write_conf()
    r = f.frank('reload')
    r = f.frank('service', 'list')
    check('service list says who gets mail all the same', 'deliver-to' in r.stdout and '*@team.example.test' in r.stdout, r)
    for to, word in (('x@team.example.test', False), ('x@example.test', True)):
        r = f.frank('service', 'explain', 'root', 'shop@example.test', to)
        check(f'service explain: mail to {to} is captured: {word}', r.returncode == 0 and ('captured, not sent' in r.stdout) == word, r)
    r = f.frank('queue', '--captured')
    check('the captured ones are a list of their own', r.returncode == 0 and 'captured' in r.stdout, r)


def who_reads(f, captured):
    """An administrator sees everybody's mail, and reads what is captured; what people write to each other is theirs, and root's."""
    f.frank('account', 'hold', 'a')
    for name in ('frank', 'sendmail'):  # the build folder may be closed to others
        shutil.copy(program(name), f.path(name))
        os.chmod(f.path(name), 0o755)
    subprocess.run([f.path('sendmail'), '-i', '-f', 'billing@example.test', '--', 'inbox@example.test'], input=b'Subject: a letter\n\nprivate\n', capture_output=True,
                   env={**f.env, 'FRANK_SUBMIT_SOCKET': f.path('run/services/live/submit.sock')}, timeout=60, user='bin', group='bin', extra_groups=[], cwd='/')
    letter = next((m['id'] for m in f.queue() if m.get('subject') == 'a letter'), '')
    as_admin = lambda *a: subprocess.run([f.path('frank'), *a], capture_output=True, text=True, env=dict(f.env, ASAN_OPTIONS='detect_leaks=0'), user='daemon', group='daemon',
                                         extra_groups=[grp.getgrnam('games').gr_gid], timeout=60, cwd='/')
    r = as_admin('queue', 'show', letter)
    check('an administrator sees that there is a letter', r.returncode == 0 and 'a letter' in r.stdout, r)
    r = as_admin('queue', 'show', letter, '--content')
    check('and does not read it', r.returncode == 77 and 'may read it' in r.stderr and 'private' not in r.stdout, r)
    r = as_admin('queue', 'show', captured, '--content')
    check('but what is captured', r.returncode == 0 and 'hello' in r.stdout, r)
    r = f.frank('queue', 'show', letter, '--content')
    check('root reads it, which is logged', r.returncode == 0 and 'private' in r.stdout and 'A person reads a message.' in f.log(), r)
    f.frank('queue', 'delete', letter)
    f.frank('account', 'release', 'a')


JUNIT = '''
import json, sys, junitparser
xml = junitparser.JUnitXml.fromfile(sys.argv[1])
suites = [xml] if isinstance(xml, junitparser.TestSuite) else list(xml)
print(json.dumps([dict(tests=s.tests, failures=s.failures, errors=s.errors, time=s.time,
    cases={c.name: dict(time=c.time, classname=c.classname, result=[type(r).__name__ for r in c.result], message=[r.message for r in c.result], out=c.system_out) for c in s}) for s in suites]))
'''


def junit(path):
    """What a reader of JUnit files makes of it."""
    r = subprocess.run(['/usr/bin/python3', '-c', JUNIT, path], capture_output=True, text=True)
    return json.loads(r.stdout) if r.returncode == 0 else r


def tests(f, ground):
    mark_ = marker('live')
    with open(f.path('welcome.eml'), 'w') as out:
        out.write('From: shop@example.test\nTo: buyer@example.test\nSubject: Welcome\n\nYour code is 4711.\n')
    good = f'''# what must hold before a release
timeout = 40
test "the welcome mail is captured" {{
    from = "shop@example.test"
    to = {{"buyer@example.test", "second@example.test"}}
    content-file = "welcome.eml"
    expect = "captured"
    match = {{"subject==Welcome", "text~code is [0-9]+", "to==second@example.test"}}
}}
test "billing <may> send & \\"quote\\"" {{
    service = "live"
    from = "billing@example.test"
    to = "inbox@example.test"
    subject = "{mark_}"
    body = "Grüße"
    expect = "delivered"
}}
test "nobody else may" {{ service = "live" from = "other@example.test" to = "inbox@example.test" expect = "refused" code = 550 }}
test "not to the world" {{ service = "live" from = "billing@example.test" to = "x@example.org" expect = "refused" code = "5.7.1" }}
test "the server refuses" {{
    service = "live" account = "a" from = "billing@example.test" to = "nouser@example.test"
    expect = "refused" code = "550" verdict = "no-such-recipient"
}}
test "a program sends" {{
    run = {{"sh", "-c", "printf 'To: run@example.test\\\\nSubject: from a program\\\\n\\\\nx\\\\n' | {program('sendmail')} -i -f shop@example.test -t"}}
    expect = "captured"
    match = {{"to==run@example.test", "subject=program"}}
}}
'''
    path = f.path('good.tests')
    with open(path, 'w') as out:
        out.write(good)
    if os.getuid() == 0:
        with open(path, 'a') as out:
            out.write('test "as another user" { user = games from = "shop@example.test" to = "x@example.test" expect = refused code = "550 5.7.1" }\n'
                      'test "and again as root" { from = "shop@example.test" to = "x@example.test" expect = captured match = "uid==0" }\n')
    count = open(path).read().count('\ntest "')
    r = f.frank('test', 'release', path, '--junit', f.path('good.xml'), timeout=300)
    check('all as expected: 0, and a line each', r.returncode == 0 and f'{count} passed, 0 failed' in r.stdout and r.stdout.count('ok ') == count, r)
    check('it was really sent', len(ground.arrived('inbox@example.test', mark_)) == 1, f.shown())
    x = junit(f.path('good.xml'))
    check('a reader of JUnit files reads it', isinstance(x, list) and x[0]['tests'] == count and x[0]['failures'] == 0 and x[0]['errors'] == 0 and 'billing <may> send & "quote"' in x[0]['cases'], x)
    if isinstance(x, list):
        check('with times', abs(x[0]['time'] - sum(c['time'] for c in x[0]['cases'].values())) < 0.01 and all(c['classname'] == 'good.tests' for c in x[0]['cases'].values()), x)
    bad = '''
test "captured, but another text" { from = "shop@example.test" to = "b@example.test" body = "x" expect = "captured" match = {"text=yz", "subject~^captured"} }
test "delivered, but it is not" { from = "shop@example.test" to = "b@example.test" expect = "delivered" }
test "refused, but it is not" { service = "live" from = "billing@example.test" to = "inbox@example.test" expect = "refused" }
test "refused with another code" { service = "live" from = "billing@example.test" to = "x@example.org" expect = "refused" code = "5.1.1" }
test "another verdict" { service = "live" from = "billing@example.test" to = "nouser@example.test" expect = "refused" verdict = "message-too-large" }
test "no such service" { service = "gone" from = "billing@example.test" to = "x@example.test" expect = "captured" }
test "a program fails \x07" { run = {"sh", "-c", "exit 3"} expect = "captured" }
test "a program hangs" { run = {"sleep", "60"} expect = "captured" timeout = 1 }
test "a program sends nothing" { run = "true" expect = "captured" timeout = 1 }
'''
    path = f.path('bad.tests')
    with open(path, 'w') as out:
        out.write(bad)
    r = f.frank('test', 'release', path, '--json', '--junit', f.path('bad.xml'), timeout=300)
    got = {t['name']: t for t in json.loads(r.stdout)['tests']} if r.returncode == 1 else {}
    check('nothing as expected: 1', len(got) == 9 and all(t['result'] != 'passed' for t in got.values()), r)
    for name, text in (('captured, but another text', 'captured, but not as it should be: text=yz'), ('delivered, but it is not', 'expected delivered: it is not: b@example.test is captured'),
                       ('refused, but it is not', 'inbox@example.test is delivered'), ('refused with another code', 'refused, but not with 5.1.1: 550 5.7.1'),
                       ('another verdict', 'the verdict is another one'), ('no such service', 'services/gone/submit.sock'), ('a program hangs', 'did not end in its time'),
                       ('a program sends nothing', '0 captured'), ('a program fails \x07', 'ended with status 3')):
        check(f'it says why: {name}', text in got.get(name, {}).get('message', ''), got.get(name))
    x = junit(f.path('bad.xml'))
    check('failures and errors are told apart', isinstance(x, list) and x[0]['failures'] == 8 and x[0]['errors'] == 1 and
          x[0]['cases']['another verdict']['result'] == ['Failure'] and x[0]['cases']['no such service']['result'] == ['Error'] and 'a program fails \ufffd' in x[0]['cases'], x)


def wrong_files(f):
    for text, line, said in (('', 1, 'there is no test'), ('test "x" {\n  colour = red\n}', 2, 'unknown key "colour"'), ('test "x" {\n  exepct = captured }', 2, 'did you mean "expect"'),
                             ('test "x" {\n to = a@b\n', 1, 'never closed'), ('test "x" { from = a@b to = c@d }', 1, 'expects something'), ('\n\ntest "x" { expect = captured }', 3, 'needs from and to'),
                             ('test "x" { from = "a@b\n" }', 1, 'never closed with "'), ('test "x" {\n from = a@b to = c@d\n expect = maybe }', 3, 'not "maybe"'),
                             ('test "x" { from = a@b to = c@d expect = captured\n match = "nonsense" }', 2, 'is no condition'), ('timeout = 0\n', 1, 'from 1 to'), ('test "x" { from = a@b to = "c@d>\\r\\nQUIT" expect = captured }', 1, 'no <, > or line end'),
                             ('test "x" { from = a@b from = c@d to = e@f expect = captured }', 1, 'set twice'), ('nonsense', 1, 'neither a test block'),
                             ('test "x" { from = a@b to = c@d expect = refused match = "to=c" }', 1, 'match is for')):
        path = f.path('wrong.tests')
        with open(path, 'w') as out:
            out.write(text)
        r = f.frank('test', 'release', path)
        check(f'an error has its line: {said}', r.returncode == 2 and f'{path}:{line}: error: ' in r.stderr and said in r.stderr, (text, r))
    r = f.frank('test', 'release', f.path('nowhere'))
    check('a file that is not there is wrong use', r.returncode == 2 and 'No such file' in r.stderr, r)


def release(f, ground):
    one, two, three = (marker(x) for x in ('rel-one', 'rel-two', 'rel-three'))
    m = mark(f)
    for subject in (one, two, three):
        hand_in(f, subject, to='inbox@example.test', sender='billing@example.test')
    code, got = wait(f, '--since', m, '--count', '3', '--timeout', '20')
    ids = {x['subject']: x['id'] for x in got['messages']}
    r = f.frank('queue', 'release', '--all')
    check('release --all is not about captured mail', r.returncode == 0 and '0 messages' in r.stdout, r)
    r = f.frank('queue', 'release', ids[one], ids[two])
    check('two are released', r.returncode == 0 and '2 messages are released' in r.stdout, r)
    check('and arrive', len(ground.arrived('inbox@example.test', one)) == 1 and len(ground.arrived('inbox@example.test', two)) == 1, f.shown())
    check('the third does not', not ground.arrived('inbox@example.test', three, seconds=0.5))
    r = f.frank('queue', 'delete', ids[three])
    check('it is deleted', r.returncode == 0, r)
