#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Runs the integration tests: run.py [--full] [--no-browser] [--offline] [--keep] [TOPIC...]; without topics all of them, in this order.

A topic is a file test_TOPIC.py with one function run(). FRANK_BUILD names the build folder (default: build-test).
The last line is `N passed, N failed`.
"""
import argparse, importlib, os, shutil, subprocess, sys, tempfile, time, traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import harness
from harness import check

TOPICS = ['send', 'connect', 'check', 'api', 'sandbox', 'path', 'authorize', 'identity', 'tokens', 'grants', 'outcomes', 'steps', 'accounts', 'clients', 'failures', 'verdicts', 'bounce', 'disk', 'root', 'life', 'load', 'waits', 'wire', 'interop', 'services', 'rights', 'listener', 'local', 'door', 'content', 'hostile', 'keyring', 'usermode', 'memory', 'keys', 'notify', 'programs', 'surroundings', 'crash', 'secrets']

ONLINE = ['interop', 'programs', 'surroundings']  # these install other mail programs, or have a private root of their own


def rest_as_root():
    """The topics of which something was left out for want of root, again and whole."""
    may = check.for_root and subprocess.run(['sudo', '-n', 'true'], capture_output=True).returncode == 0
    for topic, names in check.for_root.items():
        check.group = topic + ' as root'
        if may:
            print(f'---- {check.group}', flush=True)
            harness.as_root(topic)
        else:
            for name in names:
                check.skip(name, 'needs root, or sudo')


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument('--full', action='store_true', help='the long crash tests: 2,000 messages, 200 kills')
    a.add_argument('--no-browser', action='store_true', help='sign in by the forms where Chromium would be driven')
    a.add_argument('--offline', action='store_true', help='without the topics that install packages or run in a private root')
    a.add_argument('--keep', action='store_true', help='keep the folder of the run')
    a.add_argument('topics', nargs='*', metavar='TOPIC', help=', '.join(TOPICS))
    o = a.parse_args()
    for t in o.topics:
        if t not in TOPICS:
            a.error(f'no topic {t}; there are: {", ".join(TOPICS)}')
    os.umask(0o022)  # whatever the caller's is: other users have to reach what is made here
    run_dir = tempfile.mkdtemp(prefix='frank-it-')
    os.chmod(run_dir, 0o755)
    harness.begin(run_dir)
    topics = [t for t in TOPICS if (not o.topics or t in o.topics) and not (o.offline and t in ONLINE)]
    ground = harness.Ground()
    try:
        for t in topics:
            check.group, t0 = t, time.monotonic()
            print(f'---- {t}', flush=True)
            try:
                importlib.import_module('test_' + t).run(ground, o)
            except Exception:
                check('the topic ran to its end', False, traceback.format_exc())
            ground.reset()
            ground.remember()
            print(f'---- {t}: {time.monotonic() - t0:.0f} s', flush=True)
        rest_as_root()
    finally:
        harness.end()
        ground.down()
        if check.failed or o.keep:
            print(f'     kept: {run_dir}', flush=True)
        else:
            shutil.rmtree(run_dir, ignore_errors=True)
    print(f'{check.passed} passed, {check.failed} failed' + (f', {check.skipped} skipped' if check.skipped else ''), flush=True)
    return 1 if check.failed or not check.passed else 0


if __name__ == '__main__':
    sys.exit(main())
