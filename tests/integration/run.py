#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Runs the integration tests: run.py [--full] [--no-browser] [--offline] [--keep] [--jobs N] [TOPIC...]; without topics all of them, in this order.

A topic is a file test_TOPIC.py with one function run(). FRANK_BUILD names the build folder (default: build-test).
With --jobs, so many processes take the topics in turn, each with servers of its own: most topics wait for something most of the time.
The last line is `N passed, N failed`.
"""
import argparse, importlib, os, re, shutil, subprocess, sys, tempfile, threading, time, traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import harness
from harness import check

TOPICS = ['send', 'connect', 'check', 'api', 'sandbox', 'faults', 'inbox', 'path', 'authorize', 'identity', 'tokens', 'grants', 'outcomes', 'steps', 'accounts', 'clients', 'failures', 'verdicts', 'bounce', 'disk', 'root', 'life', 'load', 'waits', 'wire', 'interop', 'services', 'rights', 'listener', 'local', 'door', 'release', 'deliver', 'content', 'hostile', 'keyring', 'usermode', 'memory', 'keys', 'notify', 'events', 'metrics', 'console', 'page', 'programs', 'surroundings', 'crash', 'secrets']

ONLINE = ['interop', 'programs', 'surroundings']  # these install other mail programs, or have a private root of their own

LONG = ['crash', 'memory', 'tokens', 'waits', 'send', 'wire', 'hostile', 'outcomes', 'programs', 'disk']  # begun first where there are several jobs


def run_topics(topics, ground, o):
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


def run_jobs(topics, o):
    """Hands the topics to worker processes (run.py --worker, a topic a line); each looks for secrets in what it made itself."""
    todo = [t for t in LONG if t in topics] + [t for t in topics if t not in LONG and t != 'secrets']
    lock, counts = threading.Lock(), [0, 0, 0]

    def work(number):
        env = {k: v for k, v in os.environ.items() if not k.startswith('GROUND') or k in ('GROUND_NPM', 'GROUND_NO_BROWSER')}
        env['GROUND'] = tempfile.mkdtemp(prefix='frank-ground.')
        os.chmod(env['GROUND'], 0o755)
        options = [f'--{n.replace("_", "-")}' for n in ('full', 'no_browser', 'offline', 'keep') if getattr(o, n)]
        p = subprocess.Popen([sys.executable, os.path.realpath(__file__), '--worker', *options], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        while True:
            with lock:
                t = todo.pop(0) if todo else None
            if t is None and 'secrets' in topics and not env.get('looked'):
                env['looked'], t = 'yes', 'secrets'
            if t is None:
                break
            p.stdin.write(t + '\n')
            p.stdin.flush()
            lines = []
            for line in p.stdout:
                lines.append(line)
                if line.startswith(f'---- {t}: '):
                    break
            with lock:
                print(''.join(lines), end='', flush=True)
        rest = p.communicate()[0]
        seen = re.search(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', rest, re.M)
        with lock:
            if not seen:
                print(f'FAIL worker {number} -- {rest}', flush=True)
                counts[1] += 1
            else:
                print(rest[:seen.start()], end='', flush=True)
                for i in range(3):
                    counts[i] += int(seen[i + 1] or 0)
        shutil.rmtree(env['GROUND'], ignore_errors=True)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(o.jobs)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    print(f'{counts[0]} passed, {counts[1]} failed' + (f', {counts[2]} skipped' if counts[2] else ''), flush=True)
    return 1 if counts[1] or not counts[0] else 0


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
    a.add_argument('--jobs', type=int, default=1, help='topics at a time')
    a.add_argument('--worker', action='store_true', help=argparse.SUPPRESS)
    a.add_argument('topics', nargs='*', metavar='TOPIC', help=', '.join(TOPICS))
    o = a.parse_args()
    for t in o.topics:
        if t not in TOPICS:
            a.error(f'no topic {t}; there are: {", ".join(TOPICS)}')
    topics = [t for t in TOPICS if (not o.topics or t in o.topics) and not (o.offline and t in ONLINE)]
    if o.jobs > 1 and len(topics) > 1:
        return run_jobs(topics, o)
    if o.worker:
        topics = (line.strip() for line in sys.stdin)
    os.umask(0o022)  # whatever the caller's is: other users have to reach what is made here
    run_dir = tempfile.mkdtemp(prefix='frank-it-')
    os.chmod(run_dir, 0o755)
    harness.begin(run_dir)
    ground = harness.Ground()
    try:
        run_topics(topics, ground, o)
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
