# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""frank test deliver: a message to a seed mailbox, found there by IMAP (Dovecot) in the inbox and in the junk folder, with a token and with a password."""
import re, socket, subprocess, threading, time

from harness import *

SEED = 'alerts@example.test'


class Mover(threading.Thread):
    """Puts what arrives into the junk folder, as a filter of the provider would."""

    def __init__(self, ground):
        super().__init__(daemon=True)
        self.box = os.path.join(ground.mail, SEED, 'Maildir')
        self.done = threading.Event()
        for d in ('cur', 'new', 'tmp'):
            os.makedirs(os.path.join(self.box, '.Junk', d), exist_ok=True)
        owner = os.stat(os.path.join(ground.mail, SEED))
        for top, _, _ in os.walk(os.path.join(self.box, '.Junk')):
            os.chown(top, owner.st_uid, owner.st_gid)
        self.start()

    def run(self):
        while not self.done.wait(0.005):
            for name in os.listdir(os.path.join(self.box, 'new')):
                try:
                    os.rename(os.path.join(self.box, 'new', name), os.path.join(self.box, '.Junk', 'new', name))
                except OSError:
                    pass

    def stop(self):
        self.done.set()
        self.join()


class Milters:
    """A provider that signs (DKIM), and one that judges: opendkim twice, before the same Postfix, with the key in a file in place of DNS."""

    def __init__(self, ground, f):
        self.config = os.path.join(os.environ['GROUND'], 'postfix', 'etc')
        key, keys = f.path('dkim.pem'), f.path('dkim.keys')
        subprocess.run(['openssl', 'genrsa', '-out', key, '2048'], check=True, capture_output=True)
        public = subprocess.run(['openssl', 'rsa', '-in', key, '-pubout'], check=True, capture_output=True, text=True).stdout
        with open(keys, 'w') as file:
            file.write('sel._domainkey.example.test v=DKIM1; k=rsa; p=' + ''.join(public.splitlines()[1:-1]) + '\n')
        ports = [free_port(), free_port()]
        settings = [f'Mode s\nDomain example.test\nSubDomains yes\nKeyFile {key}\nRequireSafeKeys no\nSelector sel\nInternalHosts 0.0.0.0/0\n',
                    f'Mode v\nAuthservID mail.example.test\nAlwaysAddARHeader yes\nTestPublicKeys {keys}\nInternalHosts 192.0.2.1\n']
        self.processes = []
        for i, (port, text) in enumerate(zip(ports, settings)):
            path = f.path(f'opendkim-{i}')
            with open(path, 'w') as file:
                file.write(text + f'Socket inet:{port}@127.0.0.1\nBackground no\nPidFile {path}.pid\n')
            self.processes.append(subprocess.Popen(['opendkim', '-f', '-x', path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        self.up = all(wait_for(lambda p=p: is_listening(p), 10) for p in ports)
        self.milters(', '.join(f'inet:127.0.0.1:{p}' for p in ports))

    def milters(self, text):
        subprocess.run(['postconf', '-c', self.config, '-e', f'smtpd_milters = {text}'], check=True)
        subprocess.run(['postfix', '-c', self.config, 'reload'], check=True, capture_output=True)
        time.sleep(1)  # Postfix's servers that are idle hear of it a moment later

    def stop(self):
        self.milters('')
        for p in self.processes:
            p.terminate()
            p.wait()


def is_listening(port):
    with socket.socket() as s:
        return s.connect_ex(('127.0.0.1', port)) == 0


def judged(ground, f, imap):
    """What the seed's provider says of the sender, by a field of a real milter."""
    if os.geteuid() != 0:
        return check.needs_root('judged by real milters')
    m = Milters(ground, f)
    check('opendkim signs and verifies before Postfix', m.up)
    r = f.frank('test', 'deliver', 'signed', '--to', 'seed', '--json', *imap, timeout=120)
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    a = (o.get('arrival') or {}).get('authentication', {})
    check('the host that judged, and DKIM with the domain of From', a.get('host') == 'mail.example.test' and
          [(d['result'], d['domain'], d['aligned']) for d in a.get('dkim', [])] == [('pass', 'example.test', True)], r)
    check('so DMARC passes by alignment, and the verdict is good', a.get('dmarc', {}).get('computed') == 'pass' and o['verdict']['verdict'] == 'good', o)
    r = f.frank('test', 'deliver', 'signed', '--to', 'seed', *imap, timeout=120)
    check('for people', r.returncode == 0 and 'its sender is proved' in r.stdout and re.search(r'DKIM: +pass, example.test', r.stdout), r)
    m.stop()


def run(ground, options):
    imap = ('--imap', 'localhost:' + os.environ['GROUND_IMAPS_PORT'], '--ca-file', ground.ca)
    f = Frank('deliver', {'sender': password_account(ground), 'signed': password_account(ground), 'seed': oauth_account(ground, mailbox_=SEED),
                          'by-password': password_account(ground, mailbox_=SEED), 'lost': password_account(ground, mailbox_='nobody@elsewhere.test')})
    f.env = {**f.env, 'XDG_STATE_HOME': f.path('history')}
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    for name in ('sender', 'signed', 'by-password', 'lost'):
        f.frank('secret', 'set', name, input=ground.password + '\n')
    status, out = f.authorize(ground, 'seed', SEED)
    check('the seed signs in', status == 0, out)
    password = f.path('seed-password')
    with open(password, 'w', opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(ground.password + '\n')

    r = f.frank('test', 'deliver', 'sender', '--to', 'seed', '--json', *imap, timeout=120)
    o = json.loads(r.stdout) if r.stdout.startswith('{') else {}
    check('with a token: found in the inbox', r.returncode == 0 and o.get('found') == {'folder': 'INBOX', 'use': ''}, r)
    arrival = o.get('arrival') or {}
    hops = arrival.get('hops') or [{}]
    check('the hops, from Frank to the mailbox, with their times', len(hops) >= 2 and all(isinstance(h.get('seconds'), int) for h in hops), hops)
    check('nothing was changed on the way', arrival.get('changed') == [], arrival)
    check('nobody has judged it here', arrival.get('authentication', {}).get('host') is None and o['verdict']['verdict'] == 'good', o)
    check('the message was removed from the mailbox', not ground.arrived(SEED, 'Deliverability test', 0.1), '')

    r = f.frank('test', 'deliver', 'sender', '--to', 'by-password', '--password-file', password, *imap, timeout=120)
    check('with a password: for people', r.returncode == 0 and 'The message is in the mailbox.' in r.stdout and 'folder INBOX' in r.stdout, r)

    judged(ground, f, imap)
    mover = Mover(ground)
    r = f.frank('test', 'deliver', 'sender', '--to', 'seed', *imap, timeout=120)
    mover.stop()
    check('in the junk folder: said, with a next step, exit status 1', r.returncode == 1 and 'junk folder' in r.stdout and 'folder Junk' in r.stdout and 'Next:' in r.stdout, r)

    with open(password, 'w') as file:
        file.write('not the password\n')
    r = f.frank('test', 'deliver', 'sender', '--to', 'by-password', '--password-file', password, *imap, timeout=120)
    check('a refused login: the server\'s words', r.returncode == 69 and 'AUTHENTICATIONFAILED' in r.stderr and 'Next:' in r.stderr, r)
    r = f.frank('test', 'deliver', 'sender', '--to', 'seed', '--imap', f'localhost:{free_port()}', timeout=120)
    check('no server there: said', r.returncode == 69 and 'imaps://localhost' in r.stderr, r)
    r = f.frank('test', 'deliver', 'sender', '--to', 'lost', '--password-file', password, '--timeout', '1', *imap, timeout=120)
    check('a mailbox that is not there: no verdict on another one', r.returncode != 0, r)
    for args, words in ((('sender',), '--to SEED'), (('sender', '--to', 'seed'), '--imap'), (('sender', '--to', 'seed', '--imap', 'a/b'), '--imap is'),
                        (('sender', '--to', 'seed', '--timeout', '0', *imap), '--timeout')):
        r = f.frank('test', 'deliver', *args)
        check(f'wrong use, {words}: said', r.returncode == 64 and words in r.stderr, r)

    r = f.frank('test', 'deliver', '--history', '--json')
    runs = json.loads(r.stdout)['runs'] if r.returncode == 0 else []
    check('the history has the runs with a verdict', [x['verdict'] for x in runs if x['account'] == 'sender'][:3] == ['good', 'good', 'junk'], runs)
    r = f.frank('test', 'deliver', '--history')
    check('and shows them as a table', r.returncode == 0 and 'junk' in r.stdout and 'FOLDER' in r.stdout, r)
    check('no secret is in it', not any(secrets.found_in(s.encode()) for s in (r.stdout, json.dumps(runs), f.log())), '')
    f.stop()
