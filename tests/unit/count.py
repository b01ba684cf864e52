#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""count.py BUILD [NAME | -NAME]...: runs `meson test` in a build folder, all tests, only those named, or all but those with a minus.

Counts single cmocka tests, or what a program's own line `N passed, N failed` says; `ok`/`FAIL` a program, then the sum.
"""
import json, os, re, subprocess, sys

build = sys.argv[1]
names = [a for a in sys.argv[2:] if not a.startswith('-')]
if not names:
    every = json.loads(subprocess.run(['meson', 'introspect', '--tests', build], stdout=subprocess.PIPE, check=True).stdout)
    names = [t['name'] for t in every if '-' + t['name'] not in sys.argv[2:]]
log = os.path.join(build, 'meson-logs', 'testlog.json')
if os.path.exists(log):
    os.unlink(log)
r = subprocess.run(['meson', 'test', '-C', build, '--no-rebuild', '--timeout-multiplier', '4', *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
passed = failed = 0
if not os.path.exists(log):
    print(r.stdout[-3000:])
    print('FAIL meson test did not run')
    failed = 1
else:
    for line in open(log):
        t = json.loads(line)
        out = (t.get('stdout') or '') + (t.get('stderr') or '')
        good = sum(map(int, re.findall(r'\[  PASSED  \] (\d+) test', out)))
        bad = sum(map(int, re.findall(r'\[  FAILED  \] (\d+) test', out)))
        own = re.findall(r'^(\d+) passed, (\d+) failed', out, re.M)
        if not good and not bad and own:
            good, bad = map(int, own[-1])
        ran = re.findall(r'^Ran (\d+) tests?', out, re.M)  # Python's unittest
        if not good and not bad and ran:
            bad = sum(map(int, re.findall(r'(?:failures|errors)=(\d+)', out)))
            good = sum(map(int, ran)) - bad
        ok = t['result'] in ('OK', 'EXPECTEDFAIL')
        if not good and not bad:  # a program that does not count: it is one test
            good = int(ok)
        if not ok and not bad:
            bad = 1
        passed, failed = passed + good, failed + bad
        print(f"{'ok  ' if ok else 'FAIL'} {t['name'].split(' / ')[-1]}: {good} passed" + (f', {bad} failed ({t["result"]})' if bad else ''), flush=True)
        if not ok:
            print(out[-6000:])
print(f'{passed} passed, {failed} failed')
sys.exit(1 if failed or not passed else 0)
