#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""table.py SOURCE: keys.def, the one table of the configuration, against what stands elsewhere.

The keys of each block are those that frank.conf(5) explains in its section. Each role that a row names reads the row's member in its
sources: a role is sent what it uses and no more. The same for the names of grants, which stand in base/grant.def.
"""
import functools, glob, os, re, sys

TOP = sys.argv[1]
ROLES = {'QUEUE': ['broker/queue/**/*.c'], 'KEEPER': ['broker/keeper/**/*.c'], 'FETCH': ['broker/https/fetch.c'],
         'POST': ['broker/https/post*.c', 'broker/https/webhook.c'], 'SEND': ['broker/send/**/*.c'], 'TLS': ['broker/tls/*.c']}
STRUCTS = {b: 'conf_' + b.lower() for b in ('NOTIFY', 'SERVICE', 'LISTENER', 'WEBHOOK')} | {'ACCOUNT': '(?:conf_account|account_conf)'}
# conf.c's helpers read a name for whoever asks for an account or a listener by it.
BY_NAME = {'FETCH': 'conf_find_account'}


def read(path):
    with open(os.path.join(TOP, path), encoding='utf-8') as f:
        return f.read()


HEADERS = ''.join(read(os.path.relpath(p, TOP)) for p in glob.glob(os.path.join(TOP, 'broker/**/*.h'), recursive=True))


def rows():
    """(block, key or None, member, roles) of every K row; provider rows have a key alone."""
    text = read('broker/conf/keys.def')
    for block, body in re.findall(r'(?m)^#define CONF_([A-Z]+)\([KP]\)((?:.*\\\n)*.*)', text):
        for key, member, roles in re.findall(r'(?m)^\tK\(("[^"]+"|NULL), \w+, (\w+), (?:NULL|"[^"]*"), ([A-Z| ]+), "', body):
            yield block, None if key == 'NULL' else key.strip('"'), member, set(roles.split(' | ')) - {'MAIN'}
        for key in re.findall(r'(?m)^\tP\("([^"]+)", ', body):
            yield block, key, None, set()


def manual():
    """The keys that each section of the page explains."""
    sections = {}
    for title, body in re.findall(r'(?ms)^\.Ss ([^\n]+)\n(.*?)(?=^\.S[sh] )', read('man/frank.conf.5') + '\n.Sh \n'):
        block = 'TOP' if title == 'Top level' else title.split()[0].upper()
        sections[block] = {w for line in re.findall(r'(?m)^\.It Ic (.*)$', body) for w in line.replace(',', ' ').split()}
    return sections


@functools.cache
def names_of(struct, text):
    """What is declared as this struct, or as a pointer to it."""
    return set(re.findall(rf'\bstruct {struct} (?:\*|const )*(\w+)', text))


def reads(files, block, member):
    """Does one of the files take the member out of something that is declared as the block's struct, there or in a header?"""
    struct = STRUCTS.get(block, 'conf')
    for text in files:
        names = names_of(struct, text) | names_of(struct, HEADERS)
        if re.search(rf'\b(?:{"|".join(sorted(names))})(?:\[[^]]*\])?(?:->|\.){member}\b', text):
            return True
    return False


def grants():
    """base/grant.def's names against the sentence with all of them, and what the shells complete."""
    names = re.findall(r'(?m)^GRANT\(\w+, "([^"]+)"', read('base/grant.def'))
    said = {'GRANT_NAMES of base/grant.h': re.search(r'#define GRANT_NAMES\s*\\\s*"([^"]*)"', read('base/grant.h')),
            '_frank.in': re.search(r'--grant\[[^]]*\]:grant:\(([^)]*)\)', read('contrib/completions/_frank.in')),
            'frank.bash.in': re.search(r"(?s)\n\t--grant\)\n.*?'([^']*)'", read('contrib/completions/frank.bash.in')),
            'frank.fish.in': re.search(r"-l grant -x -a '([^']*)'", read('contrib/completions/frank.fish.in'))}
    bad = [] if len(names) > 4 else ['no grants were found in grant.def']
    for where, found in said.items():
        words = set(re.split(r', | or | ', found.group(1))) if found else set()
        bad += [f'the grant {n} is not in {where}' for n in sorted(set(names) - words)]
        bad += [f'{where} has {n}, which is no grant' for n in sorted(words - set(names))]
    return bad


def main():
    table, page, bad = list(rows()), manual(), grants()
    if len(table) < 120:
        bad.append(f'only {len(table)} rows were found in keys.def')
    for block in sorted({b for b, *_ in table} - {'PROVIDER'}):
        keys = {k for b, k, *_ in table if b == block and k}
        bad += [f'{block.lower()}: {k} is in keys.def and not explained in frank.conf(5)' for k in sorted(keys - page.get(block, set()))]
        bad += [f'{block.lower()}: {k} is explained in frank.conf(5) and not in keys.def' for k in sorted(page.get(block, set()) - keys)]
    providers = re.search(r'(?s)\n\.Sh PROVIDERS\n(.*?)\n\.Sh ', read('man/frank.conf.5')).group(1)
    bad += [f'provider: {k} is not explained in frank.conf(5), PROVIDERS' for b, k, *_ in table
            if b == 'PROVIDER' and not re.search(rf'(?<![\w-]){k}(?![\w-])', providers)]
    sources = {role: [read(os.path.relpath(p, TOP)) for g in globs for p in glob.glob(os.path.join(TOP, g), recursive=True)]
               for role, globs in ROLES.items()}
    for block, key, member, roles in table:
        for role in sorted(roles):
            if role not in sources:
                bad.append(f'{block.lower()}: {member}: there is no role {role}')
            elif not reads(sources[role], block, member) and not (member == 'name' and BY_NAME.get(role, '\n') in ''.join(sources[role])):
                bad.append(f'{block.lower()}: {member} is sent to {role.lower()}, which does not read it')
    print('\n'.join(bad) or f'{len(table)} rows agree with frank.conf(5) and with what roles read.')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
