#!/bin/bash
# Runs inside the build stages of deploy/Dockerfile: build.sh dashboard|agent OUT
#
# Compiles that part alone, runs the unit tests of what it consists of, and lays out in OUT what the last
# stage copies. Every file in OUT has the commit's time (epoch.sh), so that two builds of one commit have the
# same layers; ./dev drill reproducible builds two and compares.
set -euo pipefail
export LC_ALL=C
. deploy/image/epoch.sh
SOURCE_DATE_EPOCH=$(source_date_epoch .)
export SOURCE_DATE_EPOCH

what=$1
out=$2
build=/tmp/build

# compile OPTIONS… -- TARGETS…
compile() {
	local options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	meson setup "$build" --prefix=/opt/ops-agent --libdir=lib "${options[@]}"
	ninja -C "$build" "$@"
	# builds the tests first; a slow or busy machine is no failure
	meson test -C "$build" --suite "$what" --print-errorlogs --timeout-multiplier 20
}

libraries_of() {
	ldd "$1" | grep -o '/[^ ]*' | sort -u
}

# The package a library comes from; Debian 12 knows some by their path before /lib became /usr/lib.
owner_of() {
	local path
	path=$(readlink -f "$1")
	{ dpkg-query -S "$path" 2>/dev/null || dpkg-query -S "${path#/usr}"; } | cut -d: -f1
}

# Where the loader finds a library that the program loads while it runs; ldd does not tell.
find_library() {
	local path
	path=$(/sbin/ldconfig -p | awk -v name="$1" '$1 == name && !n++ { print $NF }')
	if [ -z "$path" ]; then
		echo "build.sh: $1 is not installed" >&2
		exit 1
	fi
	echo "$path"
}

# The libraries a program uses, its loader included, one path a line: those it is linked with, and libcurl,
# which is loaded when there is something to send (core/net/outgoing_curl.c).
libraries_of_dashboard() {
	local curl
	curl=$(find_library libcurl.so.4)
	{
		libraries_of "$build/core/ops-dashboard"
		echo "$curl"
		libraries_of "$curl"
	} | sort -u
}

# Each at the path where the loader looks, and who wrote it, as their licences ask.
copy_libraries() {
	local library package
	while read -r library; do
		install -D -m 0755 "$(readlink -f "$library")" "$out$library"
		package=$(owner_of "$library")
		install -D -m 0644 "/usr/share/doc/$package/copyright" "$out/usr/share/doc/$package/copyright"
	done
}

layout_dashboard() {
	install -D -s -m 0755 "$build/core/ops-dashboard" "$out/usr/local/bin/ops-dashboard"
	libraries_of_dashboard | copy_libraries
	install -D -m 0644 LICENSE "$out/usr/share/doc/ops-dashboard/copyright"
	mkdir -p "$out/etc/ssl/certs"
	# for sslmode=verify-full and for notifications
	install -m 0644 /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/"
	echo 'ops-dashboard:x:10001:10001:Ops Dashboard:/var/lib/ops-dashboard:/nonexistent' >"$out/etc/passwd"
	echo 'ops-dashboard:x:10001:' >"$out/etc/group"
	echo 'hosts: files dns' >"$out/etc/nsswitch.conf"
	install -d -m 0700 -o 10001 -g 10001 "$out/var/lib/ops-dashboard"
	install -d -m 1777 "$out/tmp"
	mkdir -p "$out"/{run,proc,sys,dev}
}

# The same tree as `meson install` makes, without the dashboard.
layout_agent() {
	local program library share=$out/opt/ops-agent/share/ops-agent
	DESTDIR=$out meson install -C "$build" --no-rebuild --strip --tags agent
	# which packages this release's libraries come from
	for program in "$out"/opt/ops-agent/bin/*; do
		libraries_of "$program"
	done | sort -u | while read -r library; do
		owner_of "$library"
	done | sort -u >"$share/packages"
}

case $what in
dashboard) compile -- core/ops-dashboard ;;
agent) compile -Dui=none -- agent/ops-agent agent/opsctl ;;
*)
	echo "build.sh: dashboard or agent, not '$what'" >&2
	exit 64
	;;
esac
"layout_$what"
find "$out" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
