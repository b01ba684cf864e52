# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Keys of the token store: a passphrase and a locked start, key slots, a new master key and its crashes, a backup and a new host."""
import base64, contextlib, glob, os, pwd, random, secrets as chance, signal, stat, subprocess, threading, time

from harness import *
import harness

ADDRESS = 'billing@example.test'


def word():
    """A passphrase that can be searched for at the end."""
    w = chance.token_urlsafe(15)
    secrets.add(w)
    return w


def keys_of(f):
    return f.json('key', 'list').get('keys', [])


def kinds(f):
    return [k['kind'] for k in keys_of(f)]


def verify(f):
    """The end of `frank key verify`, once nothing else is done with the records."""
    return wait_for(lambda: next((r for r in [f.frank('key', 'verify')] if r.returncode != 75), None), 30, 0.1)


def store_files(f):
    return {os.path.basename(p): open(p, 'rb').read() for p in glob.glob(f.path('state/tokens/*.cred'))}


def locked_start(ground):
    f = Frank('locked', {'a': password_account(ground)}, tokens={'key': 'passphrase'})
    first, wrong = word(), word()
    check('frankd starts without a key, its key being a passphrase', f.start(), f.log())
    check('there is no key file', not os.path.exists(f.path('state/master.key')))
    check('the list says that there is no store yet', f.json('key', 'list').get('state') == 'new', f.json('key', 'list'))
    r = f.frank('secret', 'set', 'a', input=ground.password + '\n')
    check('a secret cannot be stored before', r.returncode == 78 and 'frank unlock' in r.stderr, r.stderr)
    r = f.frank('unlock', input='short\n')
    check('a short passphrase is refused', r.returncode == 78 and '8' in r.stderr, r.stderr)
    r = f.frank('unlock', input=first + '\n')
    check('the first passphrase makes the store', r.returncode == 0, r.stderr)
    r = f.frank('secret', 'set', 'a', input=ground.password + '\n')
    check('then it takes a secret', r.returncode == 0, r.stderr)
    f.stop()

    check('it starts again, locked', f.start() and f.json('key', 'list').get('state') == 'locked', f.log()[-500:])
    m = marker('locked')
    check('mail is accepted while it is locked', f.send(ADDRESS, 'locked@example.test', m) == 0)
    wait_for(lambda: 'locked' in f.account('a').get('text', ''), 10)
    check('and kept: the account says why', 'locked' in f.account('a').get('text', '') and 'frank unlock' in f.account('a').get('next', ''), f.account('a'))
    r = f.frank('unlock', input=wrong + '\n')
    check('a wrong passphrase is told apart', r.returncode == 77 and 'passphrase is wrong' in r.stderr, (r.returncode, r.stderr))
    check('and changes nothing', 'locked' in f.account('a').get('text', '') and len(f.queue()) == 1, f.account('a'))
    path = f.path('state/tokens/keyslots')
    good = open(path, 'rb').read()
    with open(path, 'r+b') as k:
        k.seek(100)
        k.write(bytes([good[100] ^ 1]))
    r = f.frank('unlock', input=first + '\n')
    check('a damaged file is not taken for a wrong passphrase', r.returncode == 78 and 'damaged' in r.stderr, (r.returncode, r.stderr))
    with open(path, 'r+b') as k:
        k.write(good)
    r = f.frank('unlock', input=first + '\n')
    check('the passphrase opens it', r.returncode == 0 and 'open' in r.stdout, r.stderr)
    check('and the mail goes out', ground.arrived('locked@example.test', m), f.shown() + f.log()[-800:])
    r = f.frank('unlock', input='whatever it is\n')
    check('once more is no error', r.returncode == 0, r.stderr)
    check('the only key cannot be removed', f.frank('key', 'remove', '1').returncode == 77)
    f.stop()


def slots(ground):
    f = Frank('slots', {'a': password_account(ground)})
    check('frankd starts with a key file', f.start(), f.log())
    check('a secret is stored', f.frank('secret', 'set', 'a', input=ground.password + '\n').returncode == 0)
    check('there is one key', kinds(f) == ['key-file'], keys_of(f))
    w = word()
    r = f.frank('key', 'add', 'passphrase', input=w + '\n')
    check('a passphrase is added', r.returncode == 0 and kinds(f) == ['key-file', 'passphrase'], r.stderr)
    check('but not twice', f.frank('key', 'add', 'passphrase', input=w + '\n').returncode == 73)
    r = f.frank('key', 'remove', '1')
    check('the configured key cannot be removed', r.returncode == 77 and 'configuration' in r.stderr, r.stderr)
    check('nor one that is not there', f.frank('key', 'remove', '7').returncode == 64 and f.frank('key', 'remove', 'x').returncode == 64)

    # the way from one key file to another
    other = f.path('other.key')
    with open(other, 'wb') as k:
        k.write(base64.b64encode(os.urandom(32)) + b'\n')
    os.chmod(other, 0o600)
    f.tokens = {'key': 'file:' + other}
    f.write_conf()
    r = f.frank('reload')
    wait_for(lambda: 'key add configured' in f.log(), 5)
    check('a key that does not open the store is reported', 'key add configured' in f.log(), f.log()[-500:])
    r = f.frank('key', 'add', 'configured')
    check('and added', r.returncode == 0 and kinds(f) == ['key-file', 'passphrase', 'key-file'], r.stderr)
    r = f.frank('key', 'remove', '1')
    check('then the old one is removed', r.returncode == 0 and kinds(f) == ['passphrase', 'key-file'], r.stderr)
    f.stop()
    check('frankd starts with the new one', f.start(), f.log())
    m = marker('slots')
    f.send(ADDRESS, 'slots@example.test', m)
    check('which opens the records', ground.arrived('slots@example.test', m), f.shown() + f.log()[-500:])

    # a key file lost: the passphrase is the way back
    f.stop()
    with open(other, 'wb') as k:
        k.write(base64.b64encode(os.urandom(32)) + b'\n')
    check('with another key in its place frankd starts, and the store stays closed', f.start() and f.json('key', 'list').get('state') == 'closed', f.json('key', 'list'))
    r = f.frank('unlock', input=w + '\n')
    check('the passphrase opens it all the same', r.returncode == 0, r.stderr)
    check('and the new key is let in', f.frank('key', 'add', 'configured').returncode == 0)
    f.stop()
    check('so the next start needs nobody', f.start() and f.json('key', 'list').get('state') == 'open', f.log()[-500:])
    f.stop()

    # unprivileged callers
    if os.getuid() == 0:
        f.start()
        nobody = pwd.getpwnam('daemon')
        r = subprocess.run([program('frank'), 'key', 'list'], capture_output=True, text=True, env=f.env, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[])
        check('nobody but an administrator sees the keys', r.returncode == 77, (r.returncode, r.stderr))
        f.stop()


def rotation(ground, options):
    accounts = {f'a{i}': password_account(ground) for i in range(30)}
    f = Frank('rotation', accounts)
    check('frankd starts', f.start(), f.log())
    good = [f.frank('secret', 'set', a, input=ground.password + '\n').returncode for a in accounts]
    check('30 records', not any(good), good)
    f.stop()
    accounts.pop('a29')  # its record stays in the store without an account
    f.start()
    w = word()
    f.frank('key', 'add', 'passphrase', input=w + '\n')
    before = store_files(f)
    ids = {n: d[:64] for n, d in before.items()}
    r = f.frank('key', 'rotate', input='not the passphrase\n')
    check('without the passphrase of a key there is no new master key', r.returncode == 77 and 'key remove 2' in r.stderr and store_files(f) == before, r.stderr)
    r = f.frank('key', 'rotate', input=w + '\n')
    after = store_files(f)
    check('with it there is', r.returncode == 0 and '30 records' in r.stdout, r.stderr + r.stdout)
    check('every record was written anew, also one without an account', set(after) == set(before) and all(after[n] != before[n] for n in before))
    check('and nothing of the old ones is left in their files', not any(before[n][i:i + 256] in after[n] for n in before for i in (0, 1024)))
    r = verify(f)
    check('every record opens', r.returncode == 0 and '30' in r.stdout, r.stdout + r.stderr)
    m = marker('rotated')
    f.send(ADDRESS, 'rotated@example.test', m)
    check('and is used', ground.arrived('rotated@example.test', m), f.shown())

    # kill -9 while records are being sealed anew
    interrupted, rounds, most = 0, 12 if options.full else 4, 40
    for i in range(most):
        if i >= rounds and interrupted:
            break  # a fast disk needs more of them
        p, pids = subprocess.Popen([program('frank'), 'key', 'rotate'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=f.env), f.pids()
        p.stdin.write(w.encode() + b'\n')
        p.stdin.close()
        # the file says FRANKKS2 while records are under two keys
        wait_for(lambda: open(f.path('state/tokens/keyslots'), 'rb').read(8) == b'FRANKKS2' or p.poll() is not None, 30, 0.001)
        time.sleep(random.random() * 0.05 * (i % 2))
        f.kill(pids)
        p.wait(20)
        interrupted += open(f.path('state/tokens/keyslots'), 'rb').read(8) == b'FRANKKS2'
        if not check(f'kill -9 {i + 1}: frankd starts', f.start(), f.log()[-500:]):
            return
        ended = wait_for(lambda: open(f.path('state/tokens/keyslots'), 'rb').read(8) == b'FRANKKS1', 20, 0.02)
        r = verify(f)
        check(f'kill -9 {i + 1}: it goes on by itself, and every record opens', ended and r.returncode == 0 and '30' in r.stdout, r.stdout + r.stderr)
    check(f'the kills came while it was at work ({interrupted} of {i})', interrupted > 0)
    check('the passphrase still opens it', 'passphrase' in kinds(f))

    # damage is found
    path = f.path('state/tokens/a7.cred')
    good = open(path, 'rb').read()
    with open(path, 'r+b') as k:
        k.seek(300)
        k.write(bytes(64))
    os.unlink(f.path('state/tokens/a8.cred'))
    r = f.frank('key', 'verify', '--json')
    rows = {x.get('account'): x['state'] for x in json.loads(r.stdout).get('records', [])}
    check('a damaged record is named, and one that is gone', r.returncode == 65 and rows == {'a7': 'damaged', 'a8': 'lost'}, r.stdout)
    with open(path, 'wb') as k:
        k.write(good)
    f.stop()


def full_disk(ground):
    """The token folder on a file system of its own, which is full."""
    f = Frank('full', {f'a{i}': password_account(ground) for i in range(8)})
    tokens = f.path('state/tokens')
    if os.getuid() != 0:
        check.needs_root('full disk')
        return
    owner = os.stat(f.path('state'))
    os.mkdir(tokens)
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', tokens], capture_output=True).returncode:
        check.skip('full disk', 'a tmpfs cannot be mounted here')
        return
    try:
        os.chown(tokens, owner.st_uid, owner.st_gid)
        check('frankd starts on a small file system', f.start(), f.log())
        good = [f.frank('secret', 'set', f'a{i}', input=ground.password + '\n').returncode for i in range(8)]
        check('8 records', not any(good), good)
        # until nothing fits: the change must write new files, which it then cannot
        fill = os.open(tokens + '/.fill', os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while os.write(fill, bytes(4096)):
                pass
        os.close(fill)
        r = f.frank('key', 'rotate')
        check('without any space there is no new master key', r.returncode == 74 and 'No space left' in r.stderr, (r.returncode, r.stderr))
        check('and everything opens', verify(f).returncode == 0)
        os.truncate(tokens + '/.fill', os.path.getsize(tokens + '/.fill') - 16384)
        r = f.frank('key', 'rotate')
        check('with space for the keys alone the spare files see it through', r.returncode == 0 and '8 records' in r.stdout, (r.returncode, r.stdout, r.stderr))
        check('and everything opens', verify(f).returncode == 0)
        f.kill()
        check('also after kill -9', f.start() and verify(f).returncode == 0, f.log()[-500:])
        m = marker('full')
        f.send(ADDRESS, 'crowded@example.test', m)
        check('and is used', ground.arrived('crowded@example.test', m), f.shown())
        r = f.frank('key', 'rotate')
        os.unlink(tokens + '/.fill')
        r = f.frank('key', 'rotate')
        check('with space it is finished', r.returncode == 0 and '8 records' in r.stdout, r.stdout + r.stderr)
        check('and everything opens', verify(f).returncode == 0)
        f.stop()
    finally:
        f.stop()
        subprocess.run(['umount', '-l', tokens])


def backup(ground):
    f = Frank('backup', {'a': oauth_account(ground), 'b': password_account(ground)})
    check('frankd starts', f.start(), f.log())
    status, out = f.authorize(ground, 'a', ADDRESS)
    check('signed in', status == 0, out)
    check('a secret is stored', f.frank('secret', 'set', 'b', input=ground.password + '\n').returncode == 0)
    w, wrong, path = word(), word(), f.path('backup')
    r = f.frank('key', 'backup', path, input=w + '\n')
    check('a backup is written', r.returncode == 0 and '2 records' in r.stdout, r.stdout + r.stderr)
    check('for its owner alone', stat.S_IMODE(os.stat(path).st_mode) == 0o600)
    check('and nothing else is left beside it', glob.glob(path + '.*') == [], glob.glob(path + '.*'))
    data = open(path, 'rb').read()
    r = f.frank('key', 'backup', path, input=w + '\n')
    check('it is not written over', r.returncode == 73 and open(path, 'rb').read() == data, r.stderr)
    r = f.frank('key', 'backup', path, '--overwrite', input=w + '\n')
    check('without being told', r.returncode == 0 and open(path, 'rb').read() != data, r.stderr)
    check('a short passphrase is refused, and nothing is left', f.frank('key', 'backup', path + '2', input='short\n').returncode == 65 and not glob.glob(path + '2*'))
    check('it is sound', f.frank('key', 'verify', path, input=w + '\n').returncode == 0)
    r = f.frank('key', 'verify', path, input=wrong + '\n')
    check('a wrong passphrase is told apart', r.returncode == 77 and 'passphrase' in r.stderr, r.stderr)
    data = bytearray(open(path, 'rb').read())
    data[-30] ^= 1
    open(f.path('spoilt'), 'wb').write(data)
    r = f.frank('key', 'verify', f.path('spoilt'), input=w + '\n')
    check('from damage', r.returncode == 65 and 'damaged' in r.stderr, r.stderr)
    small = f.path('small')
    os.mkdir(small)
    if os.getuid() == 0 and not subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', small], capture_output=True).returncode:
        open(small + '/fill', 'wb').write(bytes(4096))
        r = f.frank('key', 'backup', small + '/b', input=w + '\n')
        check('a backup on a full disk says so, and leaves nothing', r.returncode == 74 and 'No space left' in r.stderr and os.listdir(small) == ['fill'], (r.stderr, os.listdir(small)))
        check('and the store is whole', verify(f).returncode == 0)
        subprocess.run(['umount', '-l', small])

    # kill -9 of either side while it is written
    for who in ('frank', 'frankd'):
        p = subprocess.Popen([program('frank'), 'key', 'backup', path + '3'], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=f.env)
        p.stdin.write(w.encode() + b'\n')
        p.stdin.close()
        wait_for(lambda: glob.glob(path + '3*') or p.poll() is not None, 20, 0.001)
        if who == 'frank':
            p.kill()
            p.wait(10)
        else:
            f.kill()
            p.wait(20)
            f.start()
        check(f'kill -9 of {who} leaves no half backup under its name', not os.path.exists(path + '3'), glob.glob(path + '3*'))
        for left in glob.glob(path + '3.*'):
            os.unlink(left)
        check(f'kill -9 of {who}: every record opens', verify(f).returncode == 0)
    f.stop()

    # a new host: another store, another key
    n = Frank('newhost', {'a': oauth_account(ground), 'b': password_account(ground)})
    check('a new host starts', n.start(), n.log())
    wait_for(lambda: n.account('a').get('state') == 'needs-authorization', 10)
    check('with nothing', n.account('a').get('state') == 'needs-authorization', n.account('a'))
    r = n.frank('key', 'restore', path, input=wrong + '\n')
    check('a wrong passphrase restores nothing', r.returncode == 77 and n.account('a').get('state') == 'needs-authorization', r.stderr)
    r = n.frank('key', 'restore', f.path('spoilt'), input=w + '\n')
    check('nor does a damaged backup', r.returncode == 65 and not store_files(n), (r.stderr, list(store_files(n))))
    r = n.frank('key', 'restore', path, input=w + '\n')
    check('the backup is restored', r.returncode == 0 and '2 records are restored' in r.stdout, r.stdout + r.stderr)
    r = n.frank('key', 'restore', path, input=w + '\n')
    check('a second time nothing is, and that is said', r.returncode == 0 and '0 records are restored. 2 were there already' in r.stdout, r.stdout + r.stderr)
    for a in 'ab':
        wait_for(lambda: n.account(a).get('state') == 'active', 10)
    m = marker('restored')
    check('the new host sends', n.send(ADDRESS, 'restored@example.test', m) == 0 and ground.arrived('restored@example.test', m), n.shown() + n.log()[-800:])
    t = n.frank('token', 'a')
    secrets.add(t.stdout.strip())
    check('and has a token', t.returncode == 0 and len(t.stdout) > 20, t.stderr)
    r = n.frank('key', 'restore', path, input=w + '\n')
    t2 = n.frank('token', 'a', '--min-valid', '1')
    secrets.add(t2.stdout.strip())
    n.frank('secret', 'set', 'b', input='another password\n')
    before = store_files(n)
    r = n.frank('key', 'restore', path, input=w + '\n')
    check('it does not write over what is there', r.returncode == 73 and 'b:' in r.stderr and store_files(n) == before, r.stderr)
    r = n.frank('key', 'restore', path, '--overwrite', input=w + '\n')
    check('without being told', r.returncode == 0, r.stderr)
    m = marker('overwritten')
    n.sendmail('-i', '-f', ADDRESS, 'overwritten@example.test', body=f'Subject: {m}\n\nx\n')
    check('and the password of the backup is used', ground.arrived('overwritten@example.test', m), n.shown() + n.log()[-800:])
    n.stop()
    check('it holds over a restart', n.start() and verify(n).returncode == 0, n.log()[-500:])
    n.stop()


def run(ground, options):
    locked_start(ground)
    slots(ground)
    rotation(ground, options)
    full_disk(ground)
    backup(ground)
