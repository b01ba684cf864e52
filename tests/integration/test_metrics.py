# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""`frank metrics`: promtool and a real Prometheus read it, what it says is true, and everything in contrib/monitoring is in it."""
import grp

from harness import *
from test_listener import certificate

MAILBOX, OTHER, GONE = 'billing@example.test', 'other@example.test', 'alerts@example.test'
MONITORING = os.path.join(TOP, 'contrib', 'monitoring')


def run(ground, options):
    refuser = Fault('smtp', '--tls', 'none')
    relay = {'provider': 'generic', 'mailbox': OTHER, 'grant': 'none', 'submit': f'127.0.0.1:{refuser.port}', 'tls': 'none'}
    f = Frank('metrics', {'billing': oauth_account(ground), 'gone': oauth_account(ground, mailbox_=GONE), 'other': relay},
              {'all': dict(users=['*'], accounts=['billing', 'gone', 'other'], senders=[MAILBOX, GONE, OTHER], **{'from': 'refuse'}),
               'kept': dict(socket=True, accounts=['other'], senders=[OTHER], mode='capture', **{'socket-mode': '0666'})},
              listeners={'tls': dict(address=[f'127.0.0.1:{free_port()}'], tls='implicit', certificate=certificate(tempfile.mkdtemp(dir=harness_dir()), 'tls', 20))})
    with open(f.conf_file, 'a') as c:
        c.write(block('notify', None, {'record': ['delivered', 'bounced']}))
    try:
        if check('frankd starts', f.start(), f.log()[-800:]):
            from_the_start(f)
            truth(ground, f, refuser)
            files(f)
            monitoring(f)
            prometheus(f)
            refused(f)
            health()
    finally:
        f.stop()
        refuser.stop()


class Samples(dict):
    """{(name, sorted labels): value} of a text; raises where one series comes twice."""

    def __init__(self, text):
        super().__init__()
        for line in text.splitlines():
            m = re.fullmatch(r'([a-zA-Z_]\w*)(?:\{(.*)\})? (\S+)', line)
            if line.startswith('#'):
                continue
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ''))
            key = (m[1], tuple(sorted(labels.items())))
            if key in self:
                raise ValueError(f'twice: {line}')
            self[key] = float(m[3])

    def of(self, name, **labels):
        return self.get((name, tuple(sorted(labels.items()))))


def text_of(f, *args):
    # what was there at the start is counted in a moment
    r = wait_for(lambda: (lambda r: r if r.returncode != 75 else None)(f.frank('metrics', *args)), 10)
    return r.stdout


def samples(f):
    return Samples(text_of(f))


def promtool(*args, **more):
    r = subprocess.run(['promtool', *args], capture_output=True, text=True, timeout=60, **more)
    return r.returncode == 0, r.stdout + r.stderr


def from_the_start(f):
    text, old = text_of(f), text_of(f, '--format', 'prometheus')
    good, said = promtool('check', 'metrics', input=old)
    check('promtool check metrics has nothing to say', good and not said.strip(), said)
    check('OpenMetrics ends with # EOF', text.endswith('\n# EOF\n') and text.count('# EOF') == 1, text[-100:])
    families = re.findall(r'^# TYPE (\S+)', text, re.M)
    check('a family comes once', len(families) == len(set(families)) > 20, families)
    mixed = [line for line, family in ((l, re.findall(r'^# TYPE (\S+)', text[:text.index(l)], re.M)[-1]) for l in text.splitlines() if l[0] != '#')
             if not line.startswith(family)]
    check('each sample is in its family', not mixed, mixed)
    s = Samples(text)
    check('every series is there before anything happened', s.of('frank_deferred_total', account='other', cause='throttled') == 0
          and s.of('frank_accepted_total', service='kept') == 0 and s.of('frank_token_refreshes_total', account='billing', result='refused') == 0
          and s.of('frank_delivery_seconds_bucket', account='other', le='+Inf') == 0, text)
    # the keeper has spoken of it
    s = wait_for(lambda: (lambda s: s if s.of('frank_account_state', account='billing', frank_account_state='active') == 0 else None)(samples(f)), 10) or s
    check('an account that nobody signed in for', s.of('frank_account_state', account='billing', frank_account_state='needs-authorization') == 1
          and s.of('frank_account_state', account='billing', frank_account_state='active') == 0, text)
    check('no token: NaN', str(s.of('frank_token_expires_seconds', account='billing')) == 'nan', text)
    check('it began just now', 0 <= time.time() - s.of('process_start_time_seconds') < 120, s.of('process_start_time_seconds'))
    order = [k for k in s]
    check('a listener\'s certificate', wait_for(lambda: abs((samples(f).of('frank_listener_certificate_expires_seconds', listener='tls') or 0) - time.time() - 20 * 86400) < 7200, 15, 0.3),
          text_of(f))
    check('the order stays', order == [k for k in samples(f)])


def truth(ground, f, refuser):
    before = samples(f)
    status, out = f.authorize(ground, 'billing', MAILBOX)
    check('authorized', status == 0, out)
    marks = [marker('metrics') for _ in range(5)]
    codes = [f.send(MAILBOX, f'metrics{i}@example.test', m) for i, m in enumerate(marks)]
    arrived = [m for i, m in enumerate(marks) if ground.arrived(f'metrics{i}@example.test', m)]
    check('five messages arrive', codes == [0] * 5 and len(arrived) == 5, (codes, arrived, f.log()[-800:]))
    refused = [f.sendmail('-i', '-f', 'nobody@else.test', 'x@example.test', body='From: nobody@else.test\nSubject: x\n\nx\n').returncode for _ in range(3)]
    check('three are refused', all(refused), refused)
    # one message: two recipients get it, the third is refused for good, and the report goes back through the same account
    f.send(OTHER, ['one@example.test', 'two@example.test', 'r550-x@example.test'], marker('bounce'))
    env = dict(f.env, FRANK_SUBMIT_SOCKET=f.path('run/services/kept/submit.sock'))
    kept = subprocess.run([program('sendmail'), '-i', '-f', OTHER, 'x@example.test'], input=f'From: {OTHER}\nSubject: x\n\nx\n'.encode(), env=env, timeout=60)
    check('one is captured', kept.returncode == 0, kept)
    check('the queue is empty but for that', wait_for(lambda: len(f.queue()) == 1, 20), f.shown())
    s = samples(f)
    check('accepted, by service', (s.of('frank_accepted_total', service='all'), s.of('frank_accepted_total', service='kept')) == (6, 1), dict(s))
    check('refused, by service', s.of('frank_refused_total', service='all') == 3, dict(s))
    check('delivered, by account', s.of('frank_delivered_total', account='billing') == 5, dict(s))
    check('delivered: the report as well', s.of('frank_delivered_total', account='other') == 3, dict(s))
    check('bounced', s.of('frank_bounced_total', account='other') == 1 and s.of('frank_bounced_total', account='billing') == 0, dict(s))
    check('deferred: none', sum(v for k, v in s.items() if k[0] == 'frank_deferred_total') == 0, dict(s))
    kinds = [json.loads(line)['kind'] for line in f.frank('events', '--json').stdout.splitlines()]
    check('events, by kind', kinds.count('delivered') >= 6 and kinds.count('bounced') == 1 and all(s.of('frank_events_total', kind=k) == kinds.count(k)
          for k in ('delivered', 'bounced', 'accepted', 'disk-full')), (kinds, dict(s)))
    count = s.of('frank_delivery_seconds_count', account='billing')
    check('as many times as deliveries', count == 5 == s.of('frank_delivery_seconds_bucket', account='billing', le='+Inf')
          and 0 < s.of('frank_delivery_seconds_sum', account='billing') < 5 * 60, dict(s))
    check('queue, by state', [s.of('frank_queue_messages', account='other', state=x) for x in ('queued', 'sending', 'held', 'captured')] == [0, 0, 0, 1], dict(s))
    check('what is captured is no old mail', s.of('frank_queue_oldest_seconds') == 0, dict(s))
    check('it takes space', s.of('frank_spool_bytes', service='kept') > 0 and s.of('frank_spool_bytes', service='all') == 0, dict(s))
    free = os.statvfs(f.path('state'))
    check('free space', abs(s.of('frank_spool_free_bytes') - free.f_bavail * free.f_frsize) < 2**31, dict(s))
    check('sessions', s.of('frank_sessions_opened_total', account='billing') >= 1 and s.of('frank_sessions_failed_total', account='billing') == 0, dict(s))
    check('the account is active now', s.of('frank_account_state', account='billing', frank_account_state='active') == 1, dict(s))
    left = s.of('frank_token_expires_seconds', account='billing') - time.time()
    check('the token has a life', 0 < left <= 24 * 3600, left)
    # a token that is wanted anew, and a server that is not there
    secrets.add(f.frank('token', 'billing', '--rejected').stdout.strip())
    check('a refresh is counted', samples(f).of('frank_token_refreshes_total', account='billing', result='success')
          == before.of('frank_token_refreshes_total', account='billing', result='success') + 1, text_of(f))
    status, out = f.authorize(ground, 'gone', GONE)
    check('authorized, and revoked', status == 0, out)
    ground.remember()
    ground.revoke(GONE)
    f.send(GONE, 'one@example.test', marker('revoked'))
    check('a grant that was revoked is a request that is refused', wait_for(lambda: (lambda s: s.of('frank_token_refreshes_total', account='gone', result='refused') >= 1
          and s.of('frank_account_state', account='gone', frank_account_state='needs-authorization') == 1
          and s.of('frank_queue_messages', account='gone', state='queued') == 1)(samples(f)), 20, 0.3), text_of(f))
    refuser.stop()
    f.send(OTHER, 'one@example.test', marker('later'))
    check('a server that is gone: the message waits, and its age counts', wait_for(lambda: (lambda s: s.of('frank_queue_messages', account='other', state='queued') == 1
          and s.of('frank_deferred_total', account='other', cause='unreachable') >= 1 and s.of('frank_queue_oldest_seconds') >= 1
          and s.of('frank_account_state', account='other', frank_account_state='unreachable') == 1)(samples(f)), 20, 0.3), text_of(f) + f.shown())
    check('a session that could not be opened', samples(f).of('frank_sessions_failed_total', account='other') >= 1, text_of(f))
    text = text_of(f)
    check('neither address nor id nor recipient is in it', '@' not in text and not any(str(m.get('queue_id')) in text for m in f.queue()), text)


def files(f):
    path = f.path('frank.prom')
    r = f.frank('metrics', '--textfile', path)
    text = open(path).read() if r.returncode == 0 else ''
    good, said = promtool('check', 'metrics', input=text)
    check('--textfile writes what node_exporter reads', good and text and os.stat(path).st_mode & 0o777 == 0o644, (r, said))
    check('and leaves nothing else', [n for n in os.listdir(f.dir) if n.startswith('frank.prom')] == ['frank.prom'], os.listdir(f.dir))
    r = f.frank('metrics', '--textfile', f.path('no/frank.prom'))
    check('a folder that is not there', r.returncode == 73 and 'no/frank.prom' in r.stderr, r)
    r = f.frank('metrics', '--format', 'xml')
    check('a format that is none', r.returncode == 64 and 'openmetrics or prometheus' in r.stderr, r)


def monitoring(f):
    """Every metric that the rules and the dashboard name is there, with the labels that they use."""
    s = samples(f)
    names, values = {k[0] for k in s}, {(k[0], label): set() for k in s for label, _ in k[1]}
    for (name, labels) in s:
        for label, value in labels:
            values[(name, label)].add(value)
    rules = os.path.join(MONITORING, 'frank-rules.yml')
    good, said = promtool('check', 'rules', rules)
    check('promtool check rules', good and 'SUCCESS' in said, said)
    cases = os.path.join(tempfile.mkdtemp(prefix='rules-', dir=harness_dir()), 'rules.yml')
    with open(cases, 'w') as c:
        c.write(open(os.path.join(HERE, 'metrics-rules.yml')).read().replace('[RULES]', json.dumps([rules])))
    good, said = promtool('test', 'rules', cases)
    check('promtool test rules: alerts fire when they should, and only then', good and 'SUCCESS' in said, said)
    board = json.load(open(os.path.join(MONITORING, 'frank-dashboard.json')))
    text = open(rules).read() + '\n'.join(t['expr'] for p in board['panels'] for t in p['targets']) + '\n'.join(str(v['query']) for v in board['templating']['list'])
    used = set(re.findall(r'\b(?:frank|process)_[a-z_]+\b(?!["=])', text)) - {'frank_account_state"'}
    check('every metric that they name exists', used and used <= names, used - names)
    wrong = [(name, label, v) for name, body in re.findall(r'\b(frank_[a-z_]+)\{([^}]*)\}', text) for label, v in re.findall(r'(\w+)(?:=|=~|!=)"([^"]*)"', body)
             if '$' not in v and label not in ('job', 'instance') for v in v.split('|') if v not in values.get((name, label), ())]
    check('so does every value of a label', not wrong, wrong)
    missing = {re.sub(r'_(bucket|sum|count)$', '', n) for n in names if n.startswith('frank_')} - {re.sub(r'_bucket$', '', u) for u in used}
    check('nothing is counted that the dashboard does not show', missing <= {'frank_role_start_seconds'}, missing)
    page = open(os.path.join(TOP, 'man', 'frank.1')).read()
    said = set(re.findall(r'^\.It Li (\w+)', page[page.index('.Sh METRICS'):], re.M))
    told = {re.sub(r'_(bucket|sum|count)$', '', n) for n in names}
    check('frank(1) has them all, and no other', said == told, (said ^ told))
    ids = [p['id'] for p in board['panels']]
    check('panels have ids of their own', len(ids) == len(set(ids)), ids)


class Exporter:
    """frank metrics --listen."""

    def __init__(self, f, where):
        self.p = subprocess.Popen([program('frank'), 'metrics', '--listen', where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=f.env)
        self.url = self.p.stdout.readline().strip()

    def stop(self):
        if self.p.poll() is None:
            self.p.terminate()
        return self.p.communicate(timeout=20)


def ask(url, path, **headers):
    """(status, media type, text) of one GET."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(urllib.request.Request(url.removesuffix('/metrics') + path, headers=headers), timeout=30) as r:
            return r.status, r.headers.get('Content-Type'), r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.headers.get('Content-Type'), e.read().decode()


def served(f):
    x = Exporter(f, '127.0.0.1:0')
    if not check('--listen says where', re.fullmatch(r'http://127\.0\.0\.1:\d+/metrics', x.url), x.url or x.stop()):
        return x
    plain = ask(x.url, '/metrics')
    good, said = promtool('check', 'metrics', input=plain[2])
    check('GET /metrics: Prometheus\' format', plain[:2] == (200, 'text/plain; version=0.0.4; charset=utf-8') and good, (plain[:2], said))
    newer = ask(x.url, '/metrics', Accept='application/openmetrics-text;version=1.0.0,text/plain;q=0.5')
    check('OpenMetrics for who takes it', newer[:2] == (200, 'application/openmetrics-text; version=1.0.0; charset=utf-8') and newer[2].endswith('# EOF\n'), newer)
    check('/livez and /readyz', (ask(x.url, '/livez')[0], ask(x.url, '/readyz')[0], ask(x.url, '/')[0]) == (200, 200, 404))
    check('a page of another name gets nothing', ask(x.url, '/metrics', Host='evil.example')[0] == 421, ask(x.url, '/metrics', Host='evil.example'))
    path = f.path('metrics.sock')
    y = Exporter(f, path)
    r = subprocess.run(['curl', '-sS', '--unix-socket', path, 'http://frank/metrics'], capture_output=True, text=True, timeout=30)
    check('at a Unix socket', y.url == path and 'frank_accepted_total' in r.stdout, (y.url, r))
    y.stop()
    check('which goes with it', y.p.returncode == 0 and not os.path.exists(path), y.p.returncode)
    for where in ('0.0.0.0:0', '192.0.2.1:80', 'localhost', '127.0.0.1'):
        r = f.frank('metrics', '--listen', where, timeout=20)
        check(f'--listen {where} is refused', r.returncode == 64 and where in r.stderr, r)
    return x


def prometheus(f):
    exporter = served(f)
    folder, port = tempfile.mkdtemp(prefix='prometheus-', dir=harness_dir()), free_port()
    config = os.path.join(folder, 'prometheus.yml')
    with open(config, 'w') as c:
        c.write(f'global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ["{MONITORING}/frank-rules.yml"]\n'
                f'scrape_configs:\n  - job_name: frank\n    static_configs: [{{targets: ["{urllib.parse.urlsplit(exporter.url).netloc}"]}}]\n')
    p = subprocess.Popen(['prometheus', f'--config.file={config}', f'--storage.tsdb.path={folder}/data', f'--web.listen-address=127.0.0.1:{port}'],
                         stdout=open(os.path.join(folder, 'log'), 'w'), stderr=subprocess.STDOUT, cwd=folder, env=clean_env())

    def query(expression):
        status, text = http(f'http://127.0.0.1:{port}/api/v1/query?' + urllib.parse.urlencode(dict(query=expression)))
        return [(r['metric'], r['value'][1]) for r in json.loads(text)['data']['result']] if status == 200 else []

    try:
        target = f'http://127.0.0.1:{port}/api/v1/targets'
        up = wait_for(lambda: query('up{job="frank"}') and query('up{job="frank"}')[0][1] == '1', 40, 0.5)
        check('Prometheus scrapes it', up, http(target)[1][:1500])
        s = samples(f)
        for name, labels in (('frank_delivered_total', dict(account='billing')), ('frank_accepted_total', dict(service='all')), ('frank_bounced_total', dict(account='other')),
                             ('frank_delivery_seconds_count', dict(account='billing')), ('frank_queue_messages', dict(account='other', state='captured'))):
            selector = name + '{' + ','.join(f'{k}="{v}"' for k, v in labels.items()) + '}'
            got = query(selector)
            check(f'its answer to {selector} is ours', len(got) == 1 and float(got[0][1]) == s.of(name, **labels), (got, s.of(name, **labels)))
        got = query('frank_build_info')
        check('the version', got and got[0][0].get('version') and got[0][1] == '1', got)
        status, text = http(f'http://127.0.0.1:{port}/api/v1/metadata?metric=frank_delivery_seconds')
        check('types and help arrive', '"histogram"' in text, text)
        pending = wait_for(lambda: [a for a in json.loads(http(f'http://127.0.0.1:{port}/api/v1/alerts')[1])['data']['alerts']
                                    if a['labels']['alertname'] == 'FrankAccountNeedsPerson'], 20, 0.5)
        check('the alert for the account whose grant was revoked', pending and pending[0]['labels']['account'] == 'gone', pending)
        alerts = {a['labels']['alertname'] for a in json.loads(http(f'http://127.0.0.1:{port}/api/v1/alerts')[1])['data']['alerts']}
        check('an end that is not known raises none', 'FrankConsentExpires' not in alerts and 'FrankCertificateExpires' not in alerts
              and query('frank_consent_expires_seconds{account="billing"}')[0][1] == 'NaN', alerts)
    finally:
        p.terminate()
        p.wait(20)
    f.stop()
    check('frankd is down: 503 for metrics and /readyz, 200 for /livez', [ask(exporter.url, x)[0] for x in ('/metrics', '/readyz', '/livez')] == [503, 503, 200])
    f.start()
    check('and again when it is there', wait_for(lambda: ask(exporter.url, '/readyz')[0] == 200, 15, 0.3))
    out, err = exporter.stop()
    check('it ends when it is told to, and its log says what was wrong', exporter.p.returncode == 0 and 'not running' in err, (exporter.p.returncode, err))


def refused(f):
    """While frankd is down, or does not answer, there is no text: a part of it is an error."""
    f.stop()
    r = f.frank('metrics')
    check('frankd is down: nothing is printed', r.returncode == 69 and r.stdout == '' and 'not running' in r.stderr, r)


def health():
    """frank status --exit-code: 0 well, 1 something is not, 2 no answer, 3 cannot be told; in bounded time."""
    relay = {'provider': 'generic', 'mailbox': OTHER, 'grant': 'none', 'submit': '127.0.0.1:9', 'tls': 'none'}
    f = Frank('health', {'other': relay}, {'all': dict(users=['root'], accounts=['other'], senders=[OTHER])}, top={'monitor-group': 'games'})
    ask = lambda *args: f.frank('status', '--exit-code', *args)
    r = ask()
    check('health: not running: 2', r.returncode == 2 and 'not running' in r.stderr, r)
    f.start()
    r = ask()
    check('health: all well: 0', r.returncode == 0 and 'other' in r.stdout, r)
    f.frank('account', 'hold', 'other')
    r = ask('--json')
    check('health: an account that does not send: 1', r.returncode == 1 and json.loads(r.stdout)['accounts'][0]['state'] == 'held', r)
    f.frank('account', 'release', 'other')
    check('health: well again: 0', ask().returncode == 0)
    queue = [p for p in f.pids() if 'frank-queue' in open(f'/proc/{p}/comm').read()]
    for p in queue:
        os.kill(p, signal.SIGSTOP)
    t = time.monotonic()
    r = ask()
    check('health: one that hangs: 2, within its bound', r.returncode == 2 and time.monotonic() - t < 25, (r, time.monotonic() - t))
    r = f.frank('metrics')
    check('metrics of one that hangs: an error, and no text', r.returncode == 75 and r.stdout == '', r)
    for p in queue:
        os.kill(p, signal.SIGCONT)
    check('health: and it goes on', wait_for(lambda: ask().returncode == 0, 10, 0.3))
    if os.geteuid() == 0:
        copy = f.path('frank')
        shutil.copy(program('frank'), copy)
        other = lambda groups, *args: subprocess.run([copy, *args], capture_output=True, text=True, env=f.env, timeout=60, user=64101, group=64101, extra_groups=groups)
        r = other([], 'metrics')
        check('metrics are for administrators', r.returncode == 77 and r.stdout == '' and 'administrator' in r.stderr, r)
        games = [grp.getgrnam('games').gr_gid]
        r = other(games, 'metrics')
        check('and for members of monitor-group', r.returncode == 0 and Samples(r.stdout).keys() == samples(f).keys() and 'frank_token_expires_seconds{account="other"}' in r.stdout, r)
        f.send(OTHER, 'x@example.test', marker('seen'))
        seen = [other(games, *args) for args in (['queue'], ['status'], ['events'], ['reload'], ['service', 'list'], ['check', 'other'], ['key', 'list'], ['token', 'other'],
                                                 ['account', 'hold', 'other'], ['queue', 'delete', '--all'])]
        text = ''.join(r.stdout for r in seen)
        check('who see and do nothing else', '@' not in text and not re.search(r'\bother\b', text) and len(f.queue()) == 1 and f.account('other').get('state') != 'held'
              and [r.returncode for r in seen][2] == 77, [(r.args[1:], r.returncode, r.stdout, r.stderr) for r in seen])
    else:
        check.needs_root('metrics are for administrators')
    f.stop()
