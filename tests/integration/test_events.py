# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Events of every message: webhooks get each at least once, and by its id exactly once, whatever is killed meanwhile; filters, formats, replay,
test, and what is kept is bounded. The receiver is a process of its own, which checks every signature and can be killed."""
import hashlib, hmac, random, stat

from harness import *
import harness

MAILBOX = 'billing@example.test'
RECEIVER = r'''
import hashlib, hmac, http.server, json, os, sys, time
port, key, path, answers = int(sys.argv[1]), open(sys.argv[2]).read().strip().encode(), sys.argv[3], sys.argv[3] + '.answer'
log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        signature = dict(p.split('=', 1) for p in self.headers.get('X-Frank-Signature', 't=0,v1=').split(','))
        good = hmac.compare_digest(hmac.new(key, signature['t'].encode() + b'.' + body, hashlib.sha256).hexdigest(), signature['v1'])
        status = int(open(answers).read()) if os.path.exists(answers) else 204
        text = body.decode()
        kind = self.headers['Content-Type']
        events = [json.loads(x) for x in text.splitlines()] if 'ndjson' in kind else json.loads(text)
        events = events if isinstance(events, list) else [events]
        os.write(log, (json.dumps([status, good, abs(time.time() - int(signature['t'])) < 300, kind, events]) + '\n').encode())
        os.fsync(log)  # what is answered is kept
        self.send_response(status)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def log_message(self, *a):
        pass

http.server.ThreadingHTTPServer.allow_reuse_address = True
server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
server.handle_error = lambda *a: None  # frankd is killed, too
print('ready', flush=True)
server.serve_forever()
'''


class Receiver:
    """One webhook's server."""

    def __init__(self, folder, name, key_file):
        self.name, self.port, self.key_file, self.path = name, free_port(), key_file, os.path.join(folder, name + '.log')
        self.script = os.path.join(folder, 'receiver.py')
        with open(self.script, 'w') as s:
            s.write(RECEIVER)
        self.start()

    def start(self):
        self.p = subprocess.Popen([sys.executable, self.script, str(self.port), self.key_file, self.path], stdout=subprocess.PIPE, text=True)
        return self.p.stdout.readline().strip() == 'ready'

    def kill(self):
        self.p.kill()
        self.p.wait(10)

    def answer(self, status):
        if status is None:
            os.unlink(self.path + '.answer')
        else:
            with open(self.path + '.new', 'w') as a:
                a.write(str(status))
            os.rename(self.path + '.new', self.path + '.answer')

    def requests(self):
        lines = open(self.path).read().split('\n') if os.path.exists(self.path) else ['']
        return [json.loads(line) for line in lines[:-1]]  # the last may be half a line

    def taken(self):
        """Every event of a request that was answered well, in the order of arrival, repetitions too."""
        return [e for status, _, _, _, events in self.requests() if status < 300 for e in events]

    def events(self, *kinds):
        """Each once, by its id."""
        by_id = {}
        for e in self.taken():
            if e.get('kind') in kinds or not kinds:
                by_id.setdefault(e['id'], e)
        return list(by_id.values())

    def block(self, **keys):
        return block('webhook', self.name, {'url': f'http://127.0.0.1:{self.port}/{self.name}', 'secret': 'file:' + self.key_file, **keys})


def configure(f, *blocks):
    f.write_conf()
    with open(f.conf_file, 'a') as c:
        c.write(''.join(blocks))


def key(name):
    import secrets as chance
    path, value = os.path.join(harness.harness_dir(), name), chance.token_urlsafe(24)
    secrets.add(value)
    with open(path, 'w') as k:
        k.write(value + '\n')
    os.chmod(path, 0o600)
    return path


def relay(port, **more):
    return {'provider': 'generic', 'mailbox': MAILBOX, 'grant': 'none', 'submit': f'127.0.0.1:{port}', 'tls': 'none', 'sessions': 4, **more}


def run(ground, options):
    folder = os.path.join(harness.harness_dir(), 'receivers')
    os.makedirs(folder, exist_ok=True)
    key_file, receivers = key('events.key'), []
    receiver = lambda name: receivers.append(Receiver(folder, name, key_file)) or receivers[-1]
    server = Fault('smtp', '--tls', 'none')
    try:
        kinds(server, receiver)
        bounded(server, receiver)
        killed(server, receiver, options)
    finally:
        for r in receivers:
            r.kill()
        server.stop()


def kinds(server, receiver):
    every, failures, ndjson, array, shop = (receiver(n) for n in ('every', 'failures', 'lines', 'array', 'shop'))
    f = Frank('events', {'a': relay(server.port), 'b': relay(server.port)},
              {'all': dict(users=['*'], accounts=['a'], senders=[MAILBOX, 'r550-me@example.test'], recipients=['*@example.test', '*@example.net'], **{'from': 'keep'}),
               'shop': dict(socket=True, accounts=['b'], senders=['*'], mode='capture', **{'socket-mode': '0666'})})
    hooks = [every.block(events=['all'], addresses=True), failures.block(events=['bounced', 'failed', 'deferred', 'rejected'], accounts=['a']),
             ndjson.block(events=['messages'], format='ndjson'), array.block(events=['delivered', 'conditions'], format='array'),
             shop.block(events=['messages'], services=['shop'])]
    command, ran = f.path('command'), f.path('ran')
    os.mkdir(ran)
    os.chmod(ran, 0o777)
    with open(command, 'w') as c:
        c.write(f'#!/bin/sh\ncat > {ran}/$FRANK_EVENT_ID\n')
    os.chmod(command, 0o755)
    notify = f'notify {{\n after = "0s"\n command = {{"{command}"}}\n events = {{"captured", "released"}}\n}}\n'
    configure(f, notify, *hooks)
    r = subprocess.run([program('frankd'), '-c', f.conf_file, '--check'], capture_output=True, text=True, env=f.env)
    check('the configuration is good', r.returncode == 0, r.stderr)
    for wrong, words in (('events = {"delivred"}', 'did you mean "delivered"'), ('accounts = {"c"}', 'there is no account "c"'), ('services = {"x"}', 'there is no service "x"'), ('format = "xml"', 'ndjson')):
        bad = f.path('bad.conf')
        with open(bad, 'w') as b:
            b.write(open(f.conf_file).read() + f'webhook "bad" {{\n url = "https://example.test/"\n {wrong}\n}}\n')
        r = subprocess.run([program('frankd'), '-c', bad, '--check'], capture_output=True, text=True, env=f.env)
        check(f'a webhook with {wrong} is an error', r.returncode != 0 and words in r.stderr, r.stderr)
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    of = lambda r, kind: [e for e in r.events(kind)]

    # one of each kind
    good = marker('good')
    f.send(MAILBOX, ['one@example.test', 'two@example.net'], good)
    check('accepted and delivered', wait_for(lambda: of(every, 'accepted') and of(every, 'delivered'), 20), (every.requests(), f.log()[-800:]))
    accepted, delivered = (of(every, k)[0] for k in ('accepted', 'delivered'))
    check('with id, time, host, queue id, account and service', all(isinstance(e['id'], str) and abs(e['time'] - time.time()) < 120 and e['host'] == 'client.example.test' and e['queue_id'] and
                                                                     e['account'] == 'a' and e['service'] == 'all' for e in (accepted, delivered)), (accepted, delivered))
    check('sender, recipients and Message-ID', accepted['sender'] == MAILBOX and accepted['recipients'] == ['one@example.test', 'two@example.net'] and accepted['recipient_count'] == 2 and
          accepted.get('message_id'), accepted)
    check('the reply and the attempt', delivered.get('code') == 250 and delivered.get('attempt') == 1 and delivered['reply'].startswith('250'), delivered)
    check('ids sort by time, as text', accepted['id'] < delivered['id'] and accepted['queue_id'] == delivered['queue_id'], (accepted, delivered))
    check('others get no addresses', wait_for(lambda: of(ndjson, 'delivered'), 20) and of(ndjson, 'accepted')[0]['sender'] == '*@example.test' and
          of(ndjson, 'accepted')[0]['recipients'] == ['*@example.test', '*@example.net'], ndjson.requests())
    check('and the same id', {e['id'] for e in of(ndjson, 'accepted')} == {accepted['id']}, ndjson.requests())
    f.send(MAILBOX, 'r550-x@example.test', marker('bounced'))
    check('bounced', wait_for(lambda: of(every, 'bounced'), 20), (every.requests(), f.log()[-800:]))
    bounced = (of(every, 'bounced') or [{}])[0]
    check('with code, verdict and next step', bounced.get('code') == 550 and bounced.get('verdict') and bounced.get('text') and bounced.get('recipients') == ['r550-x@example.test'], bounced)
    check('without addresses where none are asked for', wait_for(lambda: of(failures, 'bounced'), 20) and 'r550-x' not in json.dumps(failures.events()), failures.requests())
    f.send('r550-me@example.test', 'r550-you@example.test', marker('failed'))
    check('failed: the report cannot be delivered either', wait_for(lambda: of(every, 'failed'), 20) and of(every, 'failed')[0].get('recipients') == ['r550-me@example.test'],
          (every.requests(), f.log()[-800:]))
    check('its report is accepted, like other mail', [e for e in of(every, 'accepted') if e['recipients'] == ['r550-me@example.test']], of(every, 'accepted'))
    f.send(MAILBOX, 'r451-x@example.test', marker('deferred'))
    check('deferred', wait_for(lambda: of(every, 'deferred'), 20) and of(every, 'deferred')[0].get('code') == 451, (every.requests(), f.log()[-800:]))
    r = f.sendmail('-i', '-f', MAILBOX, '--', 'x@example.org', body='Subject: x\n\nx\n')
    check('rejected', r.returncode != 0 and wait_for(lambda: of(every, 'rejected'), 20), (r, every.requests()))
    rejected = (of(every, 'rejected') or [{}])[0]
    check('with the code, service and recipient', rejected.get('code') == 550 and rejected.get('service') == 'all' and rejected.get('recipients') == ['x@example.org'] and
          'queue_id' not in rejected, rejected)
    env = {**f.env, 'FRANK_SUBMIT_SOCKET': f.path('run/services/shop/submit.sock')}
    subprocess.run([program('sendmail'), '-i', '-f', 'shop@example.test', '--', 'kept@example.test'], input=b'Subject: kept\n\nx\n', env=env, timeout=60)
    check('captured', wait_for(lambda: of(every, 'captured'), 20) and wait_for(lambda: of(shop, 'captured'), 20), (every.requests(), f.log()[-800:]))
    captured = (of(every, 'captured') or [{}])[0]
    r = f.frank('queue', 'release', captured.get('queue_id', '0'))
    check('released, then delivered', wait_for(lambda: of(shop, 'released') and of(shop, 'delivered'), 20), (r, shop.requests(), f.log()[-800:]))
    check('the command gets the kinds of its list, with addresses', wait_for(lambda: len(os.listdir(ran)) == 2, 20) and
          [json.load(open(os.path.join(ran, x))) for x in sorted(os.listdir(ran))] == of(every, 'captured') + of(every, 'released'), os.listdir(ran))
    server.mode('drop_before_answer')
    f.send(MAILBOX, 'doubt@example.test', marker('doubt'))
    check('in doubt', wait_for(lambda: of(every, 'in-doubt'), 20) and of(every, 'in-doubt')[0].get('verdict') == 'in-doubt', (every.requests(), f.log()[-800:]))
    server.mode('')

    # filters
    check('a filter by kind', {e['kind'] for e in failures.events()} == {'bounced', 'deferred', 'failed'}, [e['kind'] for e in failures.events()])
    check('by account: what has none is passed over', 'rejected' not in {e['kind'] for e in failures.events()}, failures.events())
    check('by service', {e.get('service') for e in shop.events()} == {'shop'}, shop.events())
    check('the formats come as they are asked for', {r[3] for r in ndjson.requests()} == {'application/x-ndjson'} and {r[3] for r in array.requests()} == {'application/json'}, ndjson.requests())
    check('a list of kinds and a word', wait_for(lambda: {e['kind'] for e in array.events()} == {'delivered', 'mail-failed'}, 10), array.events())
    rows = lambda *args: [json.loads(line) for line in f.frank('events', '--json', *args).stdout.splitlines()]
    check('frank events lists them', {e['id'] for e in every.events()} <= {e['id'] for e in rows()}, rows())
    check('--kind', {e['kind'] for e in rows('--kind', 'bounced,deferred')} == {'bounced', 'deferred'}, rows('--kind', 'bounced,deferred'))
    check('--kind messages', rows('--kind', 'messages') and not {e['kind'] for e in rows('--kind', 'conditions')} & {'accepted', 'delivered'}, rows('--kind', 'conditions'))
    check('--service', {e.get('service') for e in rows('--service', 'shop')} == {'shop'}, rows('--service', 'shop'))
    check('--account', {e.get('account') for e in rows('--account', 'b')} == {'b'}, rows('--account', 'b'))
    check('--since an id', rows('--since', bounced['id'])[0] == bounced, rows('--since', bounced['id'])[:1])
    check('--since an age', len(rows('--since', '1h')) >= len(every.events()), len(rows('--since', '1h')))
    check('--since a wrong word', f.frank('events', '--since', 'yesterday').returncode == 64)
    with open(f.path('followed'), 'w') as out:
        follow = subprocess.Popen([program('frank'), 'events', '--follow', '--json', '--kind', 'bounced', '--since', '1h'], stdout=out, env=f.env)
    f.send(MAILBOX, 'r550-followed@example.test', marker('followed'))
    followed = lambda: [json.loads(x) for x in open(f.path('followed')).read().splitlines()]
    check('--follow with a filter', wait_for(lambda: len(followed()) == 3, 20) and {e['kind'] for e in followed()} == {'bounced'}, followed())
    follow.terminate()
    follow.wait(10)
    text = f.frank('events').stdout
    check('for people', 'bounced' in text and 'Reply:' in text and 'one@example.test' in text, text)
    people(f, every, failures, ndjson, [notify, *hooks], receiver, rows)
    for r in (every, failures, ndjson, array, shop):
        check(f'{r.name}: every request is signed, a moment ago', all(q[1] and q[2] for q in r.requests()), [q for q in r.requests() if not (q[1] and q[2])][:2])
    f.stop()


def people(f, every, failures, ndjson, hooks, receiver, rows):
    """Replay, test, and a webhook that is added."""
    before = {e['id'] for e in ndjson.events()}
    count = len(ndjson.taken())
    r = f.frank('events', 'replay', '--since', '1h', '--webhook', 'lines')
    check('frank events replay says so, and sends them again', r.returncode == 0 and 'goes out again' in r.stdout and wait_for(lambda: len(ndjson.taken()) >= count + len(before), 20), (r, len(ndjson.taken()), count, len(before)))
    time.sleep(0.5)
    check('with the same ids, and no others', {e['id'] for e in ndjson.events()} == before and len(ndjson.taken()) == count + len(before), (len(ndjson.taken()), count, len(before)))
    check('to that webhook alone', len(every.taken()) == len(every.events()), len(every.taken()))
    check('replay needs a time', f.frank('events', 'replay').returncode == 64)
    check('and a webhook that there is', f.frank('events', 'replay', '--since', '1h', '--webhook', 'none').returncode == 67)

    r = f.frank('events', 'test', 'every')
    check('frank events test says that it works', r.returncode == 0 and 'HTTP status 204' in r.stdout and 'works' in r.stdout, r)
    check('the receiver got it, signed', wait_for(lambda: [q for q in every.requests() if q[4][0]['kind'] == 'test' and q[1]], 5), every.requests()[-1:])
    every.answer(403)
    r = f.json('events', 'test', 'every')
    check('or why not, and what to do', r.get('ok') is False and r.get('status') == 403 and 'secret' in r.get('next', ''), r)
    every.answer(None)
    failures.kill()
    r = f.frank('events', 'test', 'failures')
    check('also where nobody answers', r.returncode == 69 and 'no answer' in r.stdout and 'Next:' in r.stdout, r)
    failures.start()
    check('a test is no event', 'test' not in {e['kind'] for e in rows()}, rows())
    check('of no webhook', f.frank('events', 'test', 'none').returncode == 67)

    late = receiver('late')
    configure(f, *hooks, late.block(events=['all']))
    f.frank('reload')
    mark = marker('late')
    f.send(MAILBOX, 'late@example.test', mark)
    check('a webhook that is added gets what happens then', wait_for(lambda: late.events('delivered'), 20), (late.requests(), f.log()[-500:]))
    check('and nothing from before', len(late.events('accepted')) == 1, late.events())
    r = f.frank('events', 'replay', '--since', '1h', '--webhook', 'late')
    check('unless it is asked for', wait_for(lambda: {e['id'] for e in late.events()} >= before, 20), (r, len(late.events()), len(before)))
    # what the server refuses by itself keeps nothing behind it waiting
    every.answer(422)
    f.send(MAILBOX, 'bad@example.test', marker('bad'))
    wait_for(lambda: [q for q in every.requests() if q[0] == 422], 10)
    every.answer(None)
    after = marker('after')
    f.send(MAILBOX, 'after@example.test', after)
    check('an event that a server refuses keeps none waiting', wait_for(lambda: [e for e in every.events('accepted') if e['recipients'] == ['after@example.test']], 4), every.requests()[-3:])
    check('and is tried again', wait_for(lambda: [e for e in every.events('accepted') if e['recipients'] == ['bad@example.test']], 30), every.requests()[-3:])


def bounded(server, receiver):
    """A dead receiver: what is kept is bounded, and that the oldest go is an event."""
    dead, alive_one = receiver('dead'), receiver('alive')
    dead.kill()
    f = Frank('kept', {'a': relay(server.port)})
    configure(f, 'notify {\n events-max = 100\n}\n', dead.block(events=['messages']), alive_one.block(events=['events-dropped']))
    check('frankd starts', f.start(), f.log()[-500:])
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(f.path('run/submit.sock'))
        lines = s.makefile('rb')
        lines.readline()

        def ask(text):
            s.sendall(text.encode())
            while True:
                line = lines.readline()
                if line[3:4] != b'-':
                    return line
        ask('EHLO x\r\n')
        for i in range(900):  # two events each, and 1,000 are left over the limit before some are removed
            ask(f'MAIL FROM:<{MAILBOX}>\r\n'), ask('RCPT TO:<x@example.test>\r\n'), ask('DATA\r\n')
            if not ask(f'From: {MAILBOX}\r\nSubject: {i}\r\n\r\nx\r\n.\r\n').startswith(b'250'):
                break
    f.empty(60)
    kept = lambda: len(f.frank('events', '--since', '1h', '--kind', 'messages', '--json').stdout.splitlines())
    check('no more are kept than events-max and some', wait_for(lambda: kept() <= 1100, 30), kept())
    check('that events are lost is an event, once', wait_for(lambda: alive_one.events('events-dropped'), 30) and len(alive_one.events()) == 1, alive_one.events())
    dropped = (alive_one.events('events-dropped') or [{}])[0]
    check('which says whose, and what to do', 'webhook dead' in dropped.get('text', '') and 'frank events test' in dropped.get('next', ''), dropped)
    newest = f.frank('events', '--kind', 'messages', '--json').stdout.splitlines()
    dead.start()
    f.frank('events', 'replay', '--since', '1s', '--webhook', 'dead')  # so that it is tried now
    check('when it runs again it gets what is kept', wait_for(lambda: newest and {json.loads(x)['id'] for x in newest} <= {e['id'] for e in dead.events()}, 60), len(dead.events()))
    f.stop()


def killed(server, receiver, options):
    """kill -9 of frankd and of the receivers while mail comes in."""
    messages, kills = (1000, 100) if options.full else (160, 12)
    single, lines = receiver('single'), receiver('bulk')
    f = Frank('killed', {'a': relay(server.port)})
    configure(f, single.block(events=['messages'], addresses=True), lines.block(events=['messages'], format='ndjson'))
    if not check('frankd starts', f.start(), f.log()[-500:]):
        return
    todo, accepted, lock, over = list(range(messages)), set(), threading.Lock(), threading.Event()

    def caller():
        while not over.is_set():
            with lock:
                if not todo:
                    return
                i = todo.pop()
            mid = f'<events-{i}-{time.monotonic_ns():x}@crash>'
            try:
                status = f.sendmail('-i', '-f', MAILBOX, 'x@example.test', body=f'From: {MAILBOX}\nTo: x@example.test\nMessage-ID: {mid}\n\nx\n', timeout=120).returncode
            except subprocess.TimeoutExpired:
                status = -1
            with lock:
                if status == 0:
                    accepted.add(mid)
                elif status == 75:
                    todo.append(i)
            time.sleep(random.uniform(0, 0.3))

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(4)]
    for t in threads:
        t.start()
    done = 0
    while done < kills:
        time.sleep(random.uniform(0.1, 0.7))
        victim = random.choice((f, f, single, lines))
        victim.kill()
        done += 1
        if not check('it starts after a kill', victim.start(), f.log()[-500:]):
            break
    for t in threads:
        t.join(120)
    over.set()
    # what was being sent at a kill is tried again in a while
    check('the queue empties', wait_for(lambda: not f.queue(), 180, 0.5), f.queue()[:3])
    with_kind = lambda r, kind: [e['message_id'] for e in r.events(kind)]
    for r in (single, lines):
        ok = wait_for(lambda: set(with_kind(r, 'accepted')) >= accepted and set(with_kind(r, 'delivered')) >= accepted, 60, 0.5)
        a, d = with_kind(r, 'accepted'), with_kind(r, 'delivered')
        lost = [(m) for m in accepted if m not in a or m not in d]
        check(f'{r.name}: no event is lost', ok, (len(accepted), len(set(a)), len(set(d)), lost[:3], f.log()[-500:]))
        check(f'{r.name}: by its id each comes once', len(a) == len(set(a)) and len(d) == len(set(d)), (len(a), len(set(a)), len(d), len(set(d))))
        check(f'{r.name}: none is invented', set(a) == accepted and set(d) == accepted, (set(a) ^ accepted, set(d) ^ accepted))
        check(f'{r.name}: no other kinds than in-doubt', {e['kind'] for e in r.events()} <= {'accepted', 'delivered', 'in-doubt'}, {e['kind'] for e in r.events()})
        check(f'{r.name}: every request is signed', all(q[1] for q in r.requests()), [q for q in r.requests() if not q[1]][:1])
        print(f'     events: {r.name}: {len(r.events())} events in {len(r.requests())} requests, {len(r.taken()) - len(r.events())} repetitions', flush=True)
    check('kills were made while mail came in', done == kills, done)
    both = {e['id'] for e in single.events()} == {e['id'] for e in lines.events()}
    check('both receivers have the same ids', both)
    f.stop()
