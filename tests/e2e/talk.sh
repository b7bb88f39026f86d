#!/bin/bash
# What the log viewer has to show, said by a command: talk.sh MODE COUNT
set -eu

esc=$'\033'
mode=$1 count=${2:-0}

case $mode in
all) # everything a log can hold, each on a line of its own
	printf '%s[1mbold%s[0m %s[31mred%s[0m %s[38;5;208morange%s[0m %s[38;2;20;180;120mtrue%s[0m %s[7minverse%s[0m\n' "$esc" "$esc" "$esc" "$esc" "$esc" "$esc" "$esc" "$esc" "$esc" "$esc"
	for i in 10 50 100; do
		printf '\rprogress %3d %%' "$i"
		sleep 0.02
	done
	printf '\n'
	printf 'abcX\b\bYd\n'
	printf 'long gone\r%s[Kshort\n' "$esc"
	printf 'see %s]8;;https://debian.example/security?id=7%s\\the advisory%s]8;;%s\\ for more\n' "$esc" "$esc" "$esc" "$esc"
	printf '%s]8;;javascript:alert(1)\anot a link%s]8;;\a\n' "$esc" "$esc"
	printf 'no UTF-8: \xff\xfe\xc3( end\n'
	printf 'control: \x01\x07\x7f end\n'
	printf 'bidi: \xe2\x80\xaeabc\xe2\x80\xac zero\xe2\x80\x8bwidth\n'
	printf 'long: '
	head -c 12000 /dev/zero | tr '\0' 'x'
	printf ' end\n'
	echo 'ERROR: could not find the thing' >&2
	printf 'wide: 日本語 żółć 👍\n'
	printf 'no newline at the end'
	;;
lines) # many, as fast as can be; one in a thousand is an error
	seq "$count" | awk '{ if ($1 % 1000 == 500) print "line " $1 ": ERROR: thing " $1 " went wrong"; else print "line " $1 ": GET /item/" $1 * 7919 % 100003 " 200 in " $1 % 97 " ms" }'
	;;
slow) # one every twentieth of a second
	for ((i = 1; i <= count; i++)); do
		printf 'tick %d of %d\n' "$i" "$count"
		sleep 0.05
	done
	;;
until) # the same, until the file COUNT is there
	for ((i = 1; ; i++)); do
		printf 'tick %d\n' "$i"
		if [ -e "$count" ]; then break; fi
		sleep 0.05
	done
	;;
fail) # words, an error in the middle, an end that is none
	for ((i = 1; i <= count; i++)); do
		printf 'step %d is fine\n' "$i"
		if [ $((i * 2)) = "$count" ]; then echo 'ERROR: could not open the socket: Permission denied' >&2; fi
	done
	echo 'fatal: giving up' >&2
	exit 3
	;;
rate) # 5 MB a second for so many seconds
	block=$(mktemp)
	trap 'rm -f "$block"' EXIT
	seq 1 40000 | awk '{ print "block line " $1 " is eighty bytes or so long, like the lines of many a program" }' | head -c 200000 >"$block"
	for ((i = 0; i < count * 25; i++)); do
		cat "$block"
		sleep 0.04
	done
	;;
again) # fails the first time
	echo "attempt ${OPS_ATTEMPT:-1}"
	if [ "${OPS_ATTEMPT:-1}" = 1 ]; then
		echo 'ERROR: not the first time' >&2
		exit 75
	fi
	;;
esac
