#!/usr/bin/env python3
"""Runs `meson test` in a build folder and counts single cmocka tests: `ok`/`FAIL` a program, then `N passed, N failed`."""
import json, os, re, subprocess, sys

build = sys.argv[1]
log = os.path.join(build, 'meson-logs', 'testlog.json')
if os.path.exists(log):
    os.unlink(log)
r = subprocess.run(['meson', 'test', '-C', build, '--no-rebuild', '--timeout-multiplier', '4'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
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
        ok = t['result'] in ('OK', 'EXPECTEDFAIL')
        if not good and not bad:  # a program that does not count: it is one test
            good = int(ok)
        if not ok and not bad:
            bad = 1
        passed, failed = passed + good, failed + bad
        print(f"{'ok  ' if ok else 'FAIL'} {t['name']}: {good} passed" + (f', {bad} failed ({t["result"]})' if bad else ''), flush=True)
        if not ok:
            print(out[-6000:])
print(f'{passed} passed, {failed} failed')
sys.exit(1 if failed or not passed else 0)
