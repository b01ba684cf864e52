#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""cases.py FRANK SOURCE: refusals as servers and programs really worded them, explained by `frank check --explain`.

A line of cases.jsonl each: the reply as it was given or printed, the provider, stage and context that were known (where there is no stage, the words have to tell it), and what is
right: whose it is to fix (one of `fixer`), the retry class (one of `retry`), and words that the answer must have of its own,
one of each group of `says`; those that it merely quotes from the reply do not count. `after` names the public report.

Then the table itself: every command that a next step names exists, and so does every key of the configuration.
"""
import concurrent.futures, json, os, re, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
FIXERS = {'mailbox-owner', 'tenant-admin', 'frank-admin', 'sender-config', 'provider', 'network'}


def explain(frank, case):
    args = [frank, 'check', '--explain', case['reply'], '--json']
    if case.get('stage'):
        args += ['--stage', case['stage']]
    if case.get('provider'):
        args += ['--provider', case['provider']]
    if 'context' in case:
        args += ['--context', json.dumps(case['context'])]
    r = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    return json.loads(r.stdout) if r.returncode == 0 else dict(error=(r.returncode, r.stderr))


def own_words(answer, reply):
    """What the answer says by itself: without the reply, whole or in quotation marks."""
    said = (answer['text'] + ' ' + answer['next']).lower()
    reply = ' '.join(re.sub(r'(?m)^\d{3}[- ]', '', reply).split()).lower()
    for quoted in re.findall(r'"([^"]{12,})"', said):
        if quoted[:12] in reply:
            said = said.replace('"' + quoted + '"', '')
    return said.replace(reply, '')


def faults_of(case, answer):
    if 'error' in answer:
        return [answer['error']]
    said = own_words(answer, case['reply'])
    bad = [f'{k} is {answer[k]}' for k in ('fixer', 'retry') if answer[k] not in case[k]]
    bad += ['says none of ' + group for group in case['says'] if not any(w in said for w in group.split('|'))]
    bad += [f'passed over {answer["passed_over"]}'] if 'passed_over' in answer else []
    return bad


def judge_cases(frank):
    cases = [json.loads(line) for line in open(os.path.join(HERE, 'cases.jsonl'), encoding='utf-8')]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda c: explain(frank, c), cases))
    wrong = [(c, a, f) for c, a in zip(cases, answers) if (f := faults_of(c, a))]
    for case, answer, faults in wrong:
        print(f'{case.get("stage")}: {case["reply"][:100]!r}: {faults}: {answer}')
    print(f'{len(cases) - len(wrong)} of {len(cases)} refusals are explained rightly')
    return len(wrong)


def templates(source):
    """(file, string) of every text of the table."""
    folder = os.path.join(source, 'diagnosis', 'rules')
    for name in sorted(os.listdir(folder)):
        text = re.sub(r'"\s*\n\s*"', '', open(os.path.join(folder, name)).read())
        for s in re.findall(r'"((?:[^"\\]|\\.)*)"', text):
            yield name, s.replace('\\"', '"')


def judge_table(frank, source):
    usage = subprocess.run([frank, '--help'], capture_output=True, text=True, timeout=60).stdout
    verbs = set(re.findall(r'(?m)^\s+(?:frank )?([a-z]+)\b', usage))
    keys = set(re.findall(r'(?m)^\t[KP]\("([a-z-]+)"', open(os.path.join(source, 'broker', 'conf', 'keys.def')).read()))
    sets = set(re.findall(r'SET\("([a-z0-9-]+)",', open(os.path.join(source, 'diagnosis', 'rules', 'words.def')).read())) | {'ipv4'}
    bad = 0
    for name, s in templates(source):
        for word in re.findall(r'(?:^|[|&!])@([a-z0-9-]+)', s):
            if word not in sets:
                print(f'{name}: there is no set of words {word}: {s}')
                bad += 1
        if 'configure the proxy' in s.lower():
            print(f'{name}: there is no setting for a proxy: {s}')
            bad += 1
        for verb in re.findall(r'`frank ([a-z]+)', s):
            if verb not in verbs:
                print(f'{name}: there is no `frank {verb}`: {s}')
                bad += 1
        for key in re.findall(r'\b([a-z]+(?:-[a-z]+)*) = ["{]', s):
            if key not in keys:
                print(f'{name}: there is no key {key}: {s}')
                bad += 1
    return bad


def judge_context(frank):
    """A key that is not known, or that cannot be read, is named; the others count."""
    context = {'host': 'smtp.gmail.com', 'port': 'many', 'moon': 'full', 'auth_attempted': False}
    answer = explain(frank, dict(reply='550 no', stage='mail', context=context))
    named = ' '.join(answer.get('passed_over', []))
    good = 'port' in named and 'moon' in named and 'host' not in named and 'auth_attempted' not in named
    if not good:
        print('what is passed over of a context is not named:', answer)
    return not good


def main():
    frank, source = sys.argv[1:]
    return 1 if judge_cases(frank) + judge_table(frank, source) + judge_context(frank) else 0


if __name__ == '__main__':
    sys.exit(main())
