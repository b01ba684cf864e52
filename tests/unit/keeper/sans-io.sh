#!/bin/sh
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
# sans-io.sh ARCHIVE...: fails where an engine's object wants a socket, a clock or a file of the C library.
for archive in "$@"; do
	found=$(nm -u "$archive" | awk '$1 == "U" { print $2 }' | sort -u |
		grep -E '^(open|openat|creat|read|write|pread|pwrite|close|fopen|fclose|fsync|fdatasync|rename|renameat|unlink|stat|fstat|socket|connect|accept|accept4|bind|listen|send|sendto|sendmsg|recv|recvfrom|recvmsg|poll|select|epoll_.*|time|gettimeofday|clock_gettime|getrandom|random|rand|sleep|usleep|nanosleep|fork|execve|getaddrinfo|log_.*)(64)?(@.*)?$')
	if [ -n "$found" ]; then
		echo "$archive is not sans-IO: it wants" $found
		exit 1
	fi
done
