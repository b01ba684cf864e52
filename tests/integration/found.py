#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""found.py FOLDER FRANKD FRANK: `frank account add` in a network of its own, with a name server of ours. Started by test_accounts.py.

FOLDER has frank.conf, whose frankd is started here. Prints a JSON line per mailbox: the exit status and what was said.
"""
import json, os, struct, subprocess, sys, time

from names import A, SRV, FAULT, loopback_up, serve_names, wire_name

MX = 15


def mx(preference, host):
    return struct.pack('!H', preference) + wire_name(host)


def main():
    folder, frankd, frank = sys.argv[1:]
    loopback_up()
    serve_names({
        ('firm.test', MX): [mx(20, 'backup.elsewhere.test'), mx(10, 'firm-test.mail.protection.outlook.com')],
        ('school.test', MX): [mx(5, 'aspmx.l.google.com'), mx(10, 'alt1.aspmx.l.google.com')],
        ('tells.test', MX): [mx(10, 'mx.tells.test')],
        ('_submissions._tcp.tells.test', SRV): [struct.pack('!HHH', 0, 1, 10465) + wire_name('out.tells.test')],
        ('out.tells.test', A): [bytes([127, 0, 0, 1])],
        ('usual.test', MX): [mx(10, 'mx.usual.test')],
        ('smtp.usual.test', A): [bytes([127, 0, 0, 1])],
        ('nothing.test', MX): [],
    })
    fault = subprocess.Popen([FAULT, 'smtp', '--port', '587'], stdout=subprocess.PIPE, text=True)
    fault.stdout.readline()
    d = subprocess.Popen([frankd, '-c', f'{folder}/frank.conf', '--foreground'], stderr=open(f'{folder}/found.log', 'ab'))
    while not os.path.exists(f'{folder}/run/control.sock') and d.poll() is None:
        time.sleep(0.05)
    env = dict(os.environ, FRANK_CONTROL_SOCKET=f'{folder}/run/control.sock')
    for box in ('a@firm.test', 'a@school.test', 'a@tells.test', 'a@usual.test', 'a@nothing.test'):
        r = subprocess.run([frank, 'account', 'add', box.split('@')[1].split('.')[0], '--config', f'{folder}/frank.conf', '--mailbox', box, '--grant', 'password'],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=60)
        print(json.dumps(dict(box=box, rc=r.returncode, out=r.stdout, err=r.stderr)), flush=True)
    for p in (d, fault):
        p.terminate()
        p.wait(10)


if __name__ == '__main__':
    main()
