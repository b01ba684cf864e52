#!/bin/sh
# Copyright (c) 2026 The Frank authors. SPDX-License-Identifier: ISC
# engine-imports.sh: fails when an engine's object imports more than memory, strings and its neighbours.
#
# usage: engine-imports.sh NM ARCHIVE [--neighbour ARCHIVE]... [--exempt SOURCE]... [--forbid SOURCE]...
#
# Engines get bytes and the time as arguments. What an object of ARCHIVE may import is listed below; anything
# else (a socket, a clock, a file, the environment) is printed, and the test fails. Symbols that other objects of
# ARCHIVE or of a neighbour define are allowed. An exempt object is not looked at (secret.c); neither is a forbidden
# one (log.c), and its symbols are not allowed to the others either.
set -eu
nm=$1 archive=$2
shift 2
exempt= forbid= archives=$archive
while [ $# -gt 0 ]; do
	case $1 in
	--neighbour) archives="$archives $2" ;;
	--exempt) exempt="$exempt $2" ;;
	--forbid) forbid="$forbid $2" ;;
	*) echo "unknown option: $1" >&2; exit 64 ;;
	esac
	shift 2
done

# shellcheck disable=SC2086
{ "$nm" -A --defined-only -P $archives | sed 's/^/defined /'; "$nm" -A -u -P "$archive" | sed 's/^/import /'; } |
awk -v exempt="$exempt" -v forbid="$forbid" '
BEGIN {
	n = split("malloc calloc realloc reallocarray free strdup strndup memcpy memmove memset memchr memcmp strlen strnlen " \
	    "strcmp strncmp strcasecmp strncasecmp strchr strrchr strstr strpbrk strspn strcspn memmem snprintf " \
	    "vsnprintf asprintf qsort bsearch explicit_bzero inet_pton __errno_location __ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc __stack_chk_fail", names, " ")
	for (i = 1; i <= n; i++) {
		allowed[names[i]] = 1
		allowed["__" names[i] "_chk"] = 1
	}
	n = split(exempt, names, " ")
	for (i = 1; i <= n; i++)
		skipped[names[i]] = 1
	n = split(forbid, names, " ")
	for (i = 1; i <= n; i++)
		skipped[names[i]] = forbidden[names[i]] = 1
}
{
	# "archive[member.c.o]: symbol type ...", a thin archive naming members with their folder
	object = $2
	sub(/^.*[[\/]/, "", object)
	sub(/\]:$/, "", object)
	source = object
	sub(/\.o$/, "", source)
	if (source in skipped) {
		seen[source] = 1
		if ($1 == "defined" && !(source in forbidden))
			allowed[$3] = 1
		next
	}
	objects[object] = 1
	if ($1 == "defined")
		allowed[$3] = 1
	else if ($3 !~ /^__(asan|ubsan|sanitizer|gcov|msan|tsan)_|^_GLOBAL_OFFSET_TABLE_$/)
		imports[object " imports " $3] = $3
}
END {
	for (i in objects)
		count++
	for (i in imports)
		if (!(imports[i] in allowed)) {
			print i
			bad = 1
		}
	for (i in skipped)
		if (!(i in seen)) {
			print "there is no object of " i
			bad = 1
		}
	if (count == 0) {
		print "no object to look at"
		bad = 1
	}
	printf "%d objects looked at\n", count
	exit bad
}'
