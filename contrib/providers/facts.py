#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""facts.py FILE...: what C code needs to know of the providers, as rows of macros on standard output, read from their presets.

FAMILY(id, title, names, hosts, marks, domains, mx, ports, password, submit): presets that say `family = "NAME"` belong to NAME's
family; all lists are those of the whole family. A list is words between spaces; ".example.org" is that name and whatever ends in it.
PRESET(name, id of its family, submit, domains, grants, scopes, registration, password-ends, graph-endpoint, imap, spf, spf-of, selector...)

frank.conf(5), PROVIDERS, says what the keys mean.
"""
import re, sys

INHERITED = ('password-ends', 'imap', 'spf', 'dkim-selectors')  # from the preset that names the family


def value(text):
    """The strings of "a" or {"a", "b"}."""
    return [s.replace('\\"', '"') for s in re.findall(r'"((?:[^"\\]|\\.)*)"', text)]


def read(path):
    text = open(path, encoding='utf-8').read()
    name = re.search(r'(?m)^provider "([^"]+)" \{', text).group(1)
    return name, {m.group(1): value(m.group(2)) for m in re.finditer(r'(?m)^    ([a-z-]+) *= (.*)$', text)}


def c(text):
    return 'NULL' if text is None else '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def identifier(name):
    return re.sub('[^A-Z0-9]', '_', name.upper())


def words(items):
    return c(' '.join(dict.fromkeys(re.sub(r'^\*', '', i) for i in items)) or None)


def first(preset, key):
    return preset.get(key, [None])[0]


def submit(preset):
    """The submission server, where it is the same for every account."""
    return next((s for s in preset.get('submit', []) if '{' not in s), None)


def family_row(name, members):
    def all_of(key):
        return [v for _, m in members for v in m.get(key, [])]
    names = [n for n, _ in members] + all_of('also-called')
    return [identifier(name), c(first(dict(members)[name], 'title')), words(names), words(all_of('servers')), c('|'.join(all_of('marks')) or None),
            words(all_of('domains')), words(all_of('mx')), words(all_of('ports')), c(first(dict(members)[name], 'password-is')), c(submit(dict(members)[name]))]


def preset_row(name, p, family, main):
    p = {**{k: main[k] for k in INHERITED if k in main}, **p}
    return [c(name), identifier(family), c(submit(p)), words(p.get('domains', [])), words(p.get('grants', [])),
            words(p.get('scopes', [])), *(c(first(p, k)) for k in ('registration', 'password-ends', 'graph-endpoint', 'imap', 'spf', 'spf-of')),
            *(c(s) for s in p.get('dkim-selectors', [None]))]


def main():
    presets = dict(read(path) for path in sys.argv[1:])
    families = {}
    del presets['generic']
    for name, p in presets.items():
        families.setdefault(first(p, 'family') or name, []).append((name, p))
    print('/* Made by contrib/providers/facts.py from the presets beside it. */')
    for name, members in families.items():
        print('FAMILY(' + ', '.join(family_row(name, members)) + ')')
    for name, p in presets.items():
        family = first(p, 'family') or name
        print('PRESET(' + ', '.join(preset_row(name, p, family, presets[family])) + ')')


if __name__ == '__main__':
    main()
