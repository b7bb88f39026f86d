#!/bin/bash
# Installs the updater: /opt/ops-dashboard-updater, its service and its timer (03:00 every night).
#
#	install.sh [--files-only | --uninstall] [--prefix DIR]
#
#	--files-only   leave the timer as it is
#	--uninstall    remove it; its history in /var/lib/ops-dashboard-updater stays
#	--prefix DIR   lay the files out below DIR instead of /
set -euo pipefail
export LC_ALL=C
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OPT=/opt/ops-dashboard-updater
UNITS=/etc/systemd/system

die() {
	printf 'install.sh: %s\n' "$*" >&2
	exit 1
}

prefix='' files_only=0 uninstall=0
while [ $# -gt 0 ]; do
	case $1 in
	--files-only) files_only=1 ;;
	--uninstall) uninstall=1 ;;
	--prefix)
		[ $# -ge 2 ] || die '--prefix needs a value'
		prefix=${2%/}
		shift
		;;
	*)
		echo 'usage: install.sh [--files-only | --uninstall] [--prefix DIR]' >&2
		exit 64
		;;
	esac
	shift
done

live() { [ -z "$prefix" ]; }

# put MODE SOURCE TARGET: in one step, so that a script that runs keeps the file it has open
put() {
	mkdir -p "$(dirname "$prefix$3")"
	install -m "$1" "$2" "$prefix$3.new"
	mv -f "$prefix$3.new" "$prefix$3"
}

if live; then
	[ "$(id -u)" -eq 0 ] || die "run it as root (sudo $0)"
	[ -d /run/systemd/system ] || die 'this host does not run systemd'
fi

if [ "$uninstall" = 1 ]; then
	if live; then systemctl disable -q --now ops-dashboard-updater.timer || true; fi
	rm -rf "$prefix$OPT"
	rm -f "$prefix$UNITS/ops-dashboard-updater.service" "$prefix$UNITS/ops-dashboard-updater.timer"
	if live; then systemctl daemon-reload; fi
	echo 'Removed. /etc/default/ops-dashboard-updater and the history in /var/lib/ops-dashboard-updater are still there'
	exit 0
fi

if live; then
	for command in git curl flock; do
		command -v "$command" >/dev/null 2>&1 || die "$command is not installed: apt-get install git curl util-linux"
	done
	command -v docker >/dev/null 2>&1 || die 'Docker is not installed: apt-get install docker.io docker-compose'
	docker info >/dev/null 2>&1 || die 'the Docker engine does not answer: systemctl status docker'
	docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null 2>&1 ||
		die 'there is no Docker compose: apt-get install docker-compose'
fi
put 0755 "$HERE/update.sh" "$OPT/update.sh"
put 0644 "$HERE/README.md" "$OPT/README.md"
put 0644 "$HERE/ops-dashboard-updater.service" "$UNITS/ops-dashboard-updater.service"
put 0644 "$HERE/ops-dashboard-updater.timer" "$UNITS/ops-dashboard-updater.timer"
[ -e "$prefix/etc/default/ops-dashboard-updater" ] || put 0644 "$HERE/default" /etc/default/ops-dashboard-updater
mkdir -p "$prefix/var/lib/ops-dashboard-updater"
if live; then
	systemctl daemon-reload
	[ "$files_only" = 1 ] || systemctl enable -q --now ops-dashboard-updater.timer
	systemctl list-timers --no-pager ops-dashboard-updater.timer
fi
