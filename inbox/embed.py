#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""embed.py NAME INPUT OUTPUT: the file INPUT as a C array NAME, with a NUL behind it."""
import sys

name, source, target = sys.argv[1:]
data = open(source, 'rb').read()
with open(target, 'w') as out:
    out.write(f'static const char {name}[] = {{\n')
    for at in range(0, len(data), 24):
        out.write(''.join(f'{b if b < 128 else b - 256},' for b in data[at:at + 24]) + '\n')
    out.write('0};\n')
