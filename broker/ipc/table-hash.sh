#!/bin/sh
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
# Prints the first eight octets of the SHA-256 of the tables as a C initialiser.
set -eu
sum=$(cat "$@" | sha256sum | cut -c1-16)
printf '#define MESSAGES_HASH {'
for at in 1 3 5 7 9 11 13 15; do
	printf '0x%s,' "$(printf %s "$sum" | cut -c$at-$((at + 1)))"
done
printf '}\n'
