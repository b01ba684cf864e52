# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""kill -9 of the whole set at random moments while callers hand in mail: what sendmail took arrives.

A duplicate is allowed only where the kill fell between the server's answer and the record of it; they are counted.
By default a shorter run than --full, which is 2,000 messages and 200 kills.
"""
import random

from harness import *


def run(ground, options):
    messages, kills = (2000, 200) if options.full else (480, 40)
    sink = Fault('smtp', '--tls', 'none')
    f = Frank('crash', {'a': {'provider': 'generic', 'mailbox': 'billing@example.test', 'grant': 'none', 'submit': f'127.0.0.1:{sink.port}', 'tls': 'none', 'sessions': 4}})
    if not check('frankd starts', f.start(), f.log()[-800:]):
        return
    todo, accepted, not_stored, refused, lock = list(range(messages)), [], [], {}, threading.Lock()
    over = threading.Event()

    def caller():
        while not over.is_set():
            with lock:
                if not todo:
                    return
                i = todo.pop()
            time.sleep(random.uniform(0, 0.35))  # so that mail comes in all the while
            mid = f'<crash-{i}-{time.monotonic_ns():x}@crash>'
            body = f'From: billing@example.test\nTo: x@example.test\nSubject: {i}\nMessage-ID: {mid}\n\n' + 'x' * random.choice((10, 2000, 90000)) + '\n'
            try:
                status = f.sendmail('-i', '-f', 'billing@example.test', 'x@example.test', body=re.sub('x{900}', 'x' * 900 + '\n', body), timeout=120).returncode
            except subprocess.TimeoutExpired:
                status = -1
            with lock:
                if status == 0:
                    accepted.append(mid)
                else:
                    refused[status] = refused.get(status, 0) + 1
                    if status == 75:  # not stored: the caller tries again, as a program would
                        todo.append(i)
                        not_stored.append(mid)

    threads = [threading.Thread(target=caller, daemon=True) for _ in range(8)]
    for t in threads:
        t.start()
    done, t0 = 0, time.monotonic()
    limit = 1500 if options.full else 300
    while done < kills and time.monotonic() - t0 < limit:
        time.sleep(random.uniform(0.02, 0.5))
        f.kill()
        done += 1
        if not f.start(wait=random.random() < 0.5):
            check('frankd starts after a kill', False, f.log()[-800:])
            break
    wait_for(lambda: f.listening(), 20)
    for t in threads:
        t.join(120)
    over.set()
    ids = lambda: [m['id'] for m in sink.messages()]
    wait_for(lambda: set(accepted) <= set(ids()), 120, 0.5)
    # what arrived but was not recorded as such is sent once more, after the wait that follows a crash
    wait_for(lambda: not f.queue(), 120, 0.5)
    got = ids()
    lost = sorted(set(accepted) - set(got))
    twice = len(got) - len(set(got))
    print(f'     crash: {messages} messages, {done} kills in {time.monotonic() - t0:.0f} s: {len(accepted)} accepted, exit statuses other than 0: {refused or "none"}, '
          f'{len(lost)} lost, {twice} duplicates', flush=True)
    check('crash: the kills were made while mail came in', done == kills or not todo, (done, kills))
    check('crash: every message was handed in', len(set(accepted)) == messages, (len(set(accepted)), messages, refused))
    check('crash: every message whose sendmail exited 0 arrived', not lost, (lost[:5], f.shown()[:1500], f.log()[-800:]))
    check('crash: none arrived whose sendmail said that it was not stored', not set(not_stored) & set(got), set(not_stored) & set(got))
    check('crash: duplicates are no more than kills could make', twice <= done * 8, (twice, done))
    held = f.queue()
    check('crash: nothing is left in the queue', not held, held[:3])
    f.stop()
    sink.stop()
