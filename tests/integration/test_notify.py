# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""People are told: a command, a webhook, mail through another account, the log, frank events; once, then daily, and of a recovery."""
import hashlib, hmac, json, os, ssl, stat, subprocess, threading, time

from harness import *
from http import server as http_server
import harness

ADDRESS = 'billing@example.test'


class Hook:
    """A webhook on loopback: what came, and what is to be answered."""

    def __init__(self):
        self.got, self.answers, hook = [], [], self

        class Handler(http_server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
                status = hook.answers.pop(0) if hook.answers else 204
                hook.got.append((status, dict(self.headers), body))
                self.send_response(status)
                if status == 503:
                    self.send_header('Retry-After', '1')
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *a):
                pass

        self.server = http_server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.port = self.server.server_address[1]

    def events(self):
        return [json.loads(b) for s, _, b in self.got if s < 300]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def signed(key, headers, body):
    parts = dict(p.split('=', 1) for p in headers.get('X-Frank-Signature', '').split(','))
    return hmac.compare_digest(hmac.new(key.encode(), parts.get('t', '').encode() + b'.' + body, hashlib.sha256).hexdigest(), parts.get('v1', ''))


def teller(folder):
    """A command that appends what it gets to a file; and one at a time shows."""
    path, out = os.path.join(folder, 'tell'), os.path.join(folder, 'told')
    os.mkdir(out)
    os.chmod(out, 0o777)
    with open(path, 'w') as f:
        f.write(f'''#!/bin/sh
mkdir {out}/lock || touch {out}/at-once
printf '%s|%s|%s|%s|%s\\n' "$1" "$FRANK_EVENT" "$FRANK_ACCOUNT" "$(id -u)" "$(cat)" >> {out}/log
env > {out}/environment
[ -e {out}/fail ] && rm {out}/fail && rmdir {out}/lock && exit 75
rmdir {out}/lock
''')
    os.chmod(path, 0o755)
    return path, out


def told(out):
    try:
        return [line.split('|', 4) for line in open(os.path.join(out, 'log')).read().splitlines()]
    except FileNotFoundError:
        return []


def configure(f, text):
    f.write_conf()
    with open(f.conf_file, 'a') as c:
        c.write(text)


def run(ground, options):
    import secrets as chance
    key = chance.token_urlsafe(24)
    secrets.add(key)
    hook = Hook()
    f = Frank('notify', {'a': password_account(ground), 'b': password_account(ground),
                         'c': password_account(ground)})
    f.accounts['c']['client-secret-expires'] = time.strftime('%Y-%m-%d', time.gmtime(time.time() + 5 * 86400))
    key_file = os.path.join(harness.harness_dir(), 'hook.key')  # not where the search for secrets looks
    with open(key_file, 'w') as k:
        k.write(key + '\n')
    os.chmod(key_file, 0o600)
    command, out = teller(f.dir)
    notify = (f'notify {{\n command = {{"{command}", "word; with $(shell) \\"signs\\""}}\n mail-to = {{"admin@example.test"}}\n mail-accounts = {{"a", "b"}}\n'
              ' after = "1s"\n}\n')
    webhook = f'webhook "ops" {{\n url = "http://127.0.0.1:{hook.port}/hook"\n secret = "file:{key_file}"\n}}\n'
    configure(f, notify + webhook)
    r = subprocess.run([program('frankd'), '-c', f.conf_file, '--check'], capture_output=True, text=True, env=f.env)
    check('the configuration is good', r.returncode == 0, r.stderr)
    # b can send, a cannot: nobody stored its password
    check('frankd starts', f.start(), f.log())
    f.frank('secret', 'set', 'b', input=ground.password + '\n')
    f.frank('secret', 'set', 'c', input=ground.password + '\n')

    by = lambda kind: [e for e in hook.events() if e['kind'] == kind and e.get('account') == 'a']
    wait_for(lambda: by('needs-authorization'), 30)
    check('the webhook is told that an account needs somebody', len(by('needs-authorization')) == 1, hook.got)
    event = (by('needs-authorization') or [{}])[0]
    check('with its text, next step and id', 'password' in event.get('text', '') and 'frank secret set a' in event.get('next', '') and event.get('id'), event)
    check('signed', hook.got and all(signed(key, h, b) for _, h, b in hook.got), hook.got[:1])
    check('and no secret in it', not secrets.found_in(b''.join(b for _, _, b in hook.got)))
    wait_for(lambda: [t for t in told(out) if t[1:3] == ['needs-authorization', 'a']], 20)
    rows = [t for t in told(out) if t[1:3] == ['needs-authorization', 'a']]
    check('the command is told once, its arguments untouched by any shell', len(rows) == 1 and rows[0][0] == 'word; with $(shell) "signs"', told(out))
    check('with the event as JSON', rows and json.loads(rows[0][4]).get('id') == event.get('id'), rows)
    check('one at a time', not os.path.exists(out + '/at-once'))
    if os.getuid() == 0:
        check('as an unprivileged user', rows and rows[0][3] != '0', rows)
    check('in an environment of its own', 'GROUND' not in open(out + '/environment').read() and 'HOME=' not in open(out + '/environment').read())
    # c's client secret is told of by mail too, and either may come first
    mail = ground.arrived('admin@example.test', 'a: needs-authorization', 30)
    check('mail comes through another account', mail and 'From: Frank <' + ADDRESS in mail[0] and 'Next step: ' in mail[0], ground.messages('admin@example.test'))
    named = lambda: [line for line in f.log().splitlines() if 'delivered' in line and '(notice)' in line and 'account=b' in line]
    check('which the log names', wait_for(named, 20), f.log()[-500:])
    check('marked as automatic', mail and 'Auto-Submitted: auto-generated' in mail[0], mail)
    check('the log has it, with fields', 'event=needs-authorization' in f.log() and 'account=a' in f.log(), f.log()[-800:])
    r = f.frank('events', '--json')
    rows = [json.loads(line) for line in r.stdout.splitlines()]
    check('frank events lists it', any(e['kind'] == 'needs-authorization' and e.get('account') == 'a' and e['id'] == event.get('id') for e in rows), r.stdout + r.stderr)
    wait_for(lambda: [e for e in hook.events() if e['kind'] == 'client-secret-expires'], 20)
    check('an end that is near is told', [e.get('account') for e in hook.events() if e['kind'] == 'client-secret-expires'] == ['c'], hook.events())
    check('and shown by frank status', 'ends in' in f.account('c').get('warning', ''), f.account('c'))

    # a webhook that is added meanwhile hears what stands, and what was there hears nothing twice
    late, before = Hook(), len(hook.got)
    configure(f, notify + webhook + f'webhook "late" {{\n url = "http://127.0.0.1:{late.port}/hook"\n}}\n')
    f.frank('reload')
    standing = {('needs-authorization', 'a'), ('client-secret-expires', 'c')}
    heard = lambda: {(e['kind'], e.get('account')) for e in late.events()}
    check('a webhook that is added is told what still stands', wait_for(lambda: heard() == standing, 20), (late.got, f.log()[-500:]))
    check('with the ids that the others got', {e['id'] for e in late.events()} <= {e['id'] for e in hook.events()}, (late.got, hook.got))
    f.frank('reload')
    time.sleep(2)
    check('once, and the others not again', len(late.got) == 2 and len(hook.got) == before, (late.got, hook.got[before:]))
    configure(f, notify + webhook)
    f.frank('reload')
    late.stop()

    # a restart repeats nothing
    hook_before, told_before = len(hook.got), len(told(out))
    for how in (f.stop, f.kill):
        how()
        check('frankd starts again', f.start(), f.log()[-500:])
        time.sleep(3)
    check('after restarts nothing is told again', len(hook.got) == hook_before and len(told(out)) == told_before, (hook.got[hook_before:], told(out)[told_before:]))

    # a webhook that fails is tried again, also over a restart
    with open(f.path('followed'), 'w') as follow:
        p = subprocess.Popen([program('frank'), 'events', '--follow', '--json'], stdout=follow, text=True, env=f.env)
    hook.answers = [503, 500]
    open(out + '/fail', 'w').close()
    f.frank('secret', 'set', 'a', input=ground.password + '\n')
    wait_for(lambda: by('recovered') or len(hook.got) > hook_before, 20)
    check('a recovery is told', wait_for(lambda: len(hook.got) > hook_before, 20), hook.got[hook_before:])
    check('frank events --follow prints it as it comes', wait_for(lambda: '"recovered"' in open(f.path('followed')).read(), 20), open(f.path('followed')).read())
    f.stop()
    p.terminate()
    p.wait(10)
    check('frankd starts again', f.start(), f.log()[-500:])
    wait_for(lambda: by('recovered'), 75, 0.2)
    check('a webhook that failed gets the event later, over a restart', len(by('recovered')) == 1, hook.got[hook_before:])
    ids = [json.loads(b)['id'] for _, _, b in hook.got[hook_before:]]
    check('with the same id each time', len(ids) >= 2 and len(set(ids)) == 1, ids)
    wait_for(lambda: len([t for t in told(out) if t[1] == 'recovered']) >= 2, 75, 0.2)
    check('so does a command that asked for it by 75', len([t for t in told(out) if t[1] == 'recovered']) == 2, told(out)[told_before:])
    check('the webhook secret is not in the log', key not in f.log())

    # a certificate that clients of a listener see
    f.stop()
    f.accounts = {'b': f.accounts['b']}
    tls = lambda name: {k: os.path.join(os.environ['GROUND'], 'tls', f'{name}.{e}') for k, e in (('certificate', 'pem'), ('key', 'key'))}
    f.listeners = {'office': dict(address=f'127.0.0.1:{free_port()}', tls='implicit', auth='optional', **{k: 'file:' + v for k, v in tls('bad-expired').items()})}
    configure(f, 'notify {\n after = "0s"\n}\n')
    seen = lambda kind: [e for e in map(json.loads, f.frank('events', '--json').stdout.splitlines()) if e['kind'] == kind and 'office' in e['text'] or
                         e['kind'] == kind == 'recovered' and 'certificate-expires' in e['text']]
    check('frankd starts with a listener', f.start(), f.log()[-500:])
    check('the end of a listener\'s certificate is told', wait_for(lambda: seen('certificate-expires'), 20), f.frank('events').stdout + f.log()[-800:])
    f.listeners['office'].update({k: 'file:' + v for k, v in tls('server').items()})
    configure(f, 'notify {\n after = "0s"\n}\n')
    f.frank('reload')
    check('and that it was replaced', wait_for(lambda: seen('recovered'), 20), f.frank('events').stdout + f.log()[-800:])
    f.listeners = {}

    # the account through which mail goes fails: nothing is sent through it, and nothing loops
    f.stop()
    f.accounts = {'b': f.accounts['b']}
    configure(f, f'notify {{\n mail-to = {{"admin@example.test"}}\n mail-accounts = {{"b"}}\n after = "0s"\n}}\n')
    f.start()
    f.frank('secret', 'set', 'b', input='a wrong password indeed\n')
    f.send(ADDRESS, 'loop@example.test', marker('loop'))
    wait_for(lambda: 'event=needs-authorization' in f.log().split('sockets in')[-1] or 'event=refused' in f.log().split('sockets in')[-1], 30)
    time.sleep(2)
    q = f.queue()
    check('no mail about the failing account waits for it', len(q) == 1 and q[0].get('service') != '(notice)', q)
    check('the log says so', 'none of mail-accounts works' in f.log(), f.log()[-800:])
    f.stop()
    hook.stop()
