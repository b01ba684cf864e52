#!/usr/bin/env python3
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
"""embed.py OUTPUT FILE...: the pages' files as the C table of assets.h."""
import hashlib, os, sys

TYPES = {'.html': 'text/html; charset=utf-8', '.css': 'text/css; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.svg': 'image/svg+xml'}
output, *files = sys.argv[1:]
with open(output, 'w') as c:
    c.write('#include "web/assets.h"\n\n')
    rows = []
    for i, path in enumerate(files):
        with open(path, 'rb') as f:
            data = f.read()
        c.write(f'static const char file_{i}[] = {{\n')
        for at in range(0, len(data), 24):
            c.write(''.join(f'{b if b < 128 else b - 256},' for b in data[at:at + 24]) + '\n')
        c.write('0};\n')
        name = os.path.basename(path)
        rows.append(f'    {{"{name}", "{TYPES[os.path.splitext(name)[1]]}", "\\"{hashlib.sha256(data).hexdigest()[:16]}\\"", file_{i}, sizeof(file_{i}) - 1}},\n')
    c.write('const struct web_asset web_assets[] = {\n' + ''.join(rows) + '    {0},\n};\n')
