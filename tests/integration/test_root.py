# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""Unit programs that need root, and so are no part of `meson test`: a disk that is full, and frankd without its users."""
import os, re, subprocess, sys

from harness import TOP, build_dir, check, clean_env


def run(ground, options):
    if os.geteuid() != 0:
        return check.needs_root('unit programs')
    unit = os.path.join(build_dir(), 'tests/unit')
    supervise = [sys.executable, os.path.join(TOP, 'tests/unit/main/supervise.py'), os.path.join(build_dir(), 'broker/frankd'), f'{unit}/main/fake-role', f'{unit}/main/frankd-late', 'AsRoot']
    for name, command, ran in (('full disk', [f'{unit}/queue/test-queue-full-disk'], r'\[  PASSED  \] 1 test'),
                               ('frankd as root', supervise, r'^Ran 4 tests.*\n\nOK')):
        r = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                           env={**clean_env(), 'FRANK_PROVIDER_DIR': os.path.join(TOP, 'contrib/providers')})
        check(name, r.returncode == 0 and re.search(ran, r.stdout, re.M), r.stdout[-4000:])
