#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""The commands of the manual exist: manual.py FRANK PAGE...

Every `frank ...` that a page or the README shows goes through frank's own parser, with sockets where nobody listens: it may fail in
any way but that its command line is wrong (64). A verb that is only named is asked for its help.
"""
import os, re, shlex, subprocess, sys, tempfile

WRONG_USE = 64
frank, pages = sys.argv[1], sys.argv[2:]
folder = tempfile.mkdtemp()
env = {'PATH': os.environ.get('PATH', ''), 'FRANK_CONTROL_SOCKET': folder + '/control.sock', 'HOME': folder}
failed = seen = 0


def joined(text):
    """Lines that end in a backslash are one with the next."""
    return re.sub(r'\\e?\n\s*', ' ', text)


def whole(page, text):
    """Commands that are shown whole."""
    text = joined(text)
    if page.endswith('.md'):
        yield from re.findall(r'^ {4,}(?:.*\| *)?(?:sudo )?(frank [^\n]*)$', text, re.M)
    else:
        yield from re.findall(r'^\.D[l1] (?:sudo )?(frank [^\n]*)$', text, re.M)
        for block in re.findall(r'^\.Bd -literal[^\n]*\n(.*?)^\.Ed', text, re.M | re.S):
            yield from re.findall(r'^(?:[#$] )(?:[^\n]*\| *)?(?:sudo )?(frank [^\n]*)$', block, re.M)
    yield from re.findall(r'`(?:sudo )?(frank [^`\n]*)`', text)


def named(page, text):
    """Verbs that are named."""
    for words in re.findall(r'^\.(?:It )?Ic frank ([^\n]*)$', text, re.M):
        yield re.split(r' (?:No|Ns|Ar|Fl|Pq|,|;|\.|:)(?= |$)', ' ' + words + ' ')[0].split()


def run(*words):
    try:
        return subprocess.run([frank, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env, timeout=5)
    except subprocess.TimeoutExpired:
        return None  # it does what it was asked for


def report(page, words, why):
    global failed
    failed += 1
    print(f'{os.path.basename(page)}: frank {" ".join(words)}: {why}')


for page in pages:
    text, before = open(page).read().replace('\\(dq', '"'), seen
    for command in whole(page, text):
        words = shlex.split(re.split(r' [|<>#;&]|(?<=\S)[;)](?= |$)', command.replace('\\e', ''))[0])[1:]
        if '...' in words or not words:
            continue
        seen += 1
        r = run(*words)
        # without arguments it may be the verb alone that is meant
        if r is not None and r.returncode == WRONG_USE and (len(words) > 2 or run(*words, '--help').returncode != 0):
            report(page, words, (r.stdout + r.stderr).strip())
    for words in named(page, text):
        words = [w for w in words if not w.startswith('-') and w.islower()]
        seen += 1
        r = run(*words, '--help')
        if r.returncode != 0:
            report(page, words + ['--help'], r.stderr.strip())
    print(f'{os.path.basename(page)}: {seen - before} commands')
    if seen == before:
        report(page, [], 'no command was found')
print(f'{seen} commands, {failed} wrong')
sys.exit(failed > 0)
