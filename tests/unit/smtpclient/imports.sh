#!/bin/sh
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
# imports.sh LIBRARY: fails where an object of the submission engine imports a socket, clock, file or process call.
set -eu

library=$1
forbidden='socket|connect|accept|bind|listen|send|sendto|sendmsg|recv|recvfrom|recvmsg|poll|ppoll|select|epoll_.*'
forbidden="$forbidden|read|write|readv|writev|open|openat|close|fopen|fdopen|fread|fwrite|stat|fstat|mmap|unlink|rename"
forbidden="$forbidden|time|clock_gettime|gettimeofday|nanosleep|usleep|sleep|getrandom|random|rand|getenv|fork|execve|system"
forbidden="$forbidden|printf|fprintf|puts|syslog|log_.*"
found=$(nm -u "$library" 2>/dev/null | awk -v forbidden="^($forbidden)$" '
	/:$/ { object = $0; next }
	object ~ /client|sasl|scram/ {
		objects[object] = 1
		name = $NF; sub(/@.*/, "", name); sub(/^__/, "", name); sub(/_chk$/, "", name)
		if (name ~ forbidden) print object, name
	}
	END { n = 0; for (o in objects) n++; if (n != 5) print "expected five objects, found", n }')
if [ -n "$found" ]; then
	echo "$found" >&2
	exit 1
fi
