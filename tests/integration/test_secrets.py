# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""No token, code, verifier or password of the run stands anywhere but sealed: not in logs, transcripts, the spool, command lines or environments."""
from harness import *


def run(ground, options):
    import harness
    secrets.add(ground.password)
    ground.remember()
    harness.watcher.done = True
    harness.watcher.join()
    where = sorted({(*place, secret_names(data)) for data, place in harness.watcher.seen.items() if secrets.found_in(data)})
    check(f'the search is armed ({len(secrets.values)} secrets)', len(secrets.values) >= 5 and secrets.found_in(b'x' + next(iter(secrets.values)) + b'y'))
    check('command lines and environments were watched', len(harness.watcher.seen) > 5, len(harness.watcher.seen))
    check('none in a command line or an environment', not where, where)
    files = size = 0
    bad = []
    for f in Frank.all:
        for root, _, names in os.walk(f.dir):
            for n in names:
                path = os.path.join(root, n)
                try:
                    data = open(path, 'rb').read()
                except OSError:
                    continue
                files, size = files + 1, size + len(data)
                for form in (data, decoded(data)):
                    if secrets.found_in(form):
                        bad.append(path)
    check(f'none in {files} files of {len(Frank.all)} instances ({size >> 10} KiB): configuration, log, spool, transcripts, token store', files > 0 and not bad, bad)


def secret_names(data):
    """Of an environment: the variables that have a secret in them. Of a command line: the argument's number."""
    return ', '.join(v.split(b'=')[0].decode(errors='replace') if b'=' in v else f'argument {i}'
                     for i, v in enumerate(data.split(b'\0')) if secrets.found_in(v) and not secrets.found_in(v.split(b'=')[0]))


def decoded(data):
    """The contents of base64 runs, as a SASL response would hide a token in."""
    import base64
    out = []
    for run_ in re.findall(rb'[A-Za-z0-9+/]{40,}={0,2}', data):
        with contextlib.suppress(ValueError):
            out.append(base64.b64decode(run_ + b'=' * (-len(run_) % 4)))
    return b'\0'.join(out)
