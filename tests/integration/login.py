#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""login.py FOLDER: sign-ins with the presets of Microsoft in a network of their own, where login.microsoftonline.com is a double. Started by test_identity.py.

FOLDER has frank.conf, and the host's certificate and key. Prints a JSON line per case of test_identity.MICROSOFT: the exit status, and what was said.
"""
import json, os, subprocess, sys, time

from harness import program
from names import loopback_up
from test_identity import MICROSOFT, Provider, sign_in


class Signer:
    """As much of harness.Frank as a sign-in wants."""

    def begin_authorize(self, account):
        p = subprocess.Popen([program('frank'), 'authorize', account, '--no-browser'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return p, p.stdout.readline().strip()


def main():
    folder = sys.argv[1]
    loopback_up()
    provider = Provider('login.microsoftonline.com', 443, folder + '/ca.pem', folder + '/key.pem')
    d = subprocess.Popen([program('frankd'), '-c', f'{folder}/frank.conf', '--foreground'], stderr=open(f'{folder}/frankd.log', 'ab'))
    while not os.path.exists(f'{folder}/run/control.sock') and d.poll() is None:
        time.sleep(0.05)
    for name, account, claims, _, _ in MICROSOFT:
        provider.set(claims, {'scope': 'SMTP.Send openid profile email'})
        rc, said = sign_in(Signer(), provider, account)
        print(json.dumps(dict(name=name, rc=rc, said=said)), flush=True)
    d.terminate()
    d.wait(10)
    provider.stop()


if __name__ == '__main__':
    main()
