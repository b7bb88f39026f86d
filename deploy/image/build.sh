#!/bin/bash
# Runs inside the build stages of deploy/Dockerfile: build.sh dashboard|agent OUT
#
# Compiles, runs the unit tests, and lays out in OUT what the last stage copies. Every file in OUT has the
# commit's time (epoch.sh), so that two builds of one commit have the same layers; ./dev drill reproducible
# builds two and compares.
set -euo pipefail
export LC_ALL=C
. deploy/image/epoch.sh
SOURCE_DATE_EPOCH=$(source_date_epoch .)
export SOURCE_DATE_EPOCH

what=$1
out=$2
build=/tmp/build

compile() {
	meson setup "$build" --prefix=/opt/ops-agent --libdir=lib "$@"
	ninja -C "$build"
	# a slow or busy machine is no failure
	meson test -C "$build" --print-errorlogs --no-rebuild --timeout-multiplier 20
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

# The libraries a program is linked with, its loader included, at the paths where the loader looks.
copy_libraries() {
	local library
	libraries_of "$1" | while read -r library; do
		install -D -m 0755 "$(readlink -f "$library")" "$out$library"
	done
}

# Who wrote the libraries, as their licences ask.
copy_licences() {
	local library package
	libraries_of "$1" | while read -r library; do
		package=$(owner_of "$library")
		install -D -m 0644 "/usr/share/doc/$package/copyright" "$out/usr/share/doc/$package/copyright"
	done
	install -D -m 0644 LICENSE "$out/usr/share/doc/ops-dashboard/copyright"
}

layout_dashboard() {
	install -D -s -m 0755 "$build/core/ops-dashboard" "$out/usr/local/bin/ops-dashboard"
	copy_libraries "$out/usr/local/bin/ops-dashboard"
	copy_licences "$out/usr/local/bin/ops-dashboard"
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
dashboard) compile ;;
agent) compile -Dui=none ;;
*)
	echo "build.sh: dashboard or agent, not '$what'" >&2
	exit 64
	;;
esac
"layout_$what"
find "$out" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
