#!/bin/bash
# Installs, upgrades or removes ops-agent on a Debian host. Run it as often as you like: it changes only
# what differs, never overwrites configuration, and runs that are going go on.
set -euo pipefail
export LC_ALL=C
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OPT=/opt/ops-agent
LIBEXEC=/usr/local/libexec/ops
UNITS=/etc/systemd/system
TUNNEL_KEYS=/etc/ssh/ops-tunnel.keys
UNIT_FILES=(ops-runs.slice ops-agent-probes.socket ops-agent-probes@.service ops-agent.service)
FORKED_RUNS=/run/systemd/system/ops-agent.service.d/forked-runs.conf
MIN_FREE_MIB=64
START_SECONDS=30

usage() {
	cat <<'TEXT'
usage: setup.sh [OPTIONS]

  --from PATH     install this built tree or tarball (`meson install --tags agent`, or the image's
                  target `agent`) instead of building one
  --build HOW     docker: in a container, so that no compiler is installed (the default where Docker
                  runs); host: here, which installs the packages to build with
  --prefix DIR    lay everything out below DIR instead of /; no accounts, no packages, no services
  --uninstall     stop the agent and remove its programs and units; configuration, journals and
                  accounts stay
  --purge         with --uninstall: those too
  --dry-run       print what would be done
  --help
TEXT
}

say() { printf '%s\n' "$*"; }
die() {
	printf 'setup.sh: %s\n' "$*" >&2
	exit 1
}
# do_it COMMAND…: prints it instead with --dry-run
do_it() {
	if [ "$dry_run" = 1 ]; then
		printf 'would run:'
		printf ' %q' "$@"
		printf '\n'
	else
		"$@"
	fi
}

from='' build='' prefix='' uninstall=0 purge=0 dry_run=0
while [ $# -gt 0 ]; do
	case $1 in
	--from | --build | --prefix)
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in
		--from) from=$2 ;;
		--build) build=$2 ;;
		--prefix) prefix=${2%/} ;;
		esac
		shift
		;;
	--uninstall) uninstall=1 ;;
	--purge) purge=1 ;;
	--dry-run) dry_run=1 ;;
	--help | -h)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 64
		;;
	esac
	shift
done
[ "$purge" = 0 ] || [ "$uninstall" = 1 ] || die "--purge goes with --uninstall"
case $build in '' | docker | host) ;; *) die "--build is docker or host, not '$build'" ;; esac
case $prefix in '' | /*) ;; *) prefix=$PWD/$prefix ;; esac

# Into a folder nothing but files is made, so any user may do it.
live() { [ -z "$prefix" ]; }

# The new program is tried before it is installed, and /tmp may be mounted noexec; /opt is where it will run.
if live && [ -w /opt ]; then tmp=$(mktemp -d /opt/.ops-agent.XXXXXX); else tmp=$(mktemp -d); fi
trap 'rm -rf "$tmp"' EXIT

# --- what must be there ------------------------------------------------------------------------------

preflight() {
	local free
	live || return 0
	[ "$(id -u)" -eq 0 ] || die "run it as root (sudo $0)"
	[ -d /run/systemd/system ] || die "this host does not run systemd; --prefix DIR lays the files out elsewhere"
	if [ "$uninstall" = 1 ]; then return 0; fi
	[ "$(dpkg-query -W -f '${db:Status-Status}' ops-agent 2>/dev/null)" != installed ] ||
		die "the agent is installed as a package: apt-get install ./ops-agent_VERSION.deb upgrades it
(apt-get remove ops-agent leaves its configuration and runs to this script)"
	free=$(df --output=avail -m /opt | tail -n 1)
	[ "$free" -ge "$MIN_FREE_MIB" ] || die "/opt has $free MiB free, $MIN_FREE_MIB are needed"
	if docker_works && docker info --format '{{.SecurityOptions}}' | grep -q name=userns; then
		die "Docker remaps user ids (userns-remap in /etc/docker/daemon.json): the container's uid 10001 would
reach the agent's socket under another number and be refused. Turn userns-remap off, or run the dashboard
with 'userns_mode: host'; then run this again"
	fi
}

docker_works() { command -v docker >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

# --- a built tree in $stage, which holds bin/ops-agent ----------------------------------------------------

stage_from() {
	[ -e "$1" ] || die "--from: there is no $1"
	if [ -f "$1" ]; then
		tar -C "$tmp" -xf "$1"
		set -- "$tmp"
	fi
	for stage in "$1" "$1$OPT"; do
		if [ -f "$stage/bin/ops-agent" ]; then return 0; fi
	done
	die "--from: no bin/ops-agent in there"
}

stage_build() {
	local source
	source=$(cd "$HERE/../.." && pwd)
	[ -f "$source/meson.build" ] || die "this is not in a source tree; say --from TREE"
	if [ -z "$build" ]; then
		if docker_works; then build=docker; else build=host; fi
	fi
	say "Building the agent from $source ($build); this takes some minutes"
	"stage_build_$build" "$source" >"$tmp/build.log" 2>&1 || {
		tail -n 30 "$tmp/build.log" >&2
		die "the build failed"
	}
	stage_from "$tmp/out"
	source_commit "$source" >"$stage/share/ops-agent/commit"
}

# Which commit the sources are of, asked as their owner; empty when git does not know.
source_commit() {
	local owner git=(git -C "$1" -c core.fsmonitor=false rev-parse HEAD)
	if [ -n "${OPS_AGENT_COMMIT:-}" ]; then
		echo "$OPS_AGENT_COMMIT"
		return 0
	fi
	owner=$(stat -c %U "$1/.git" 2>/dev/null) || return 0
	if [ "$owner" = "$(id -un)" ]; then
		"${git[@]}" 2>/dev/null || true
	else
		(cd / && runuser -u "$owner" -- "${git[@]}" 2>/dev/null) || true
	fi
}

# Both stop at their first failure: called in an || list, they would not by themselves.
stage_build_docker() {
	local release container
	# shellcheck disable=SC1091
	release=$(. /etc/os-release && echo "${VERSION_CODENAME:-trixie}")
	# Debian 12's Docker builds every stage of the file unless it is asked for BuildKit
	if [ "$(docker version --format '{{.Client.Version}}' | cut -d. -f1)" -lt 23 ]; then export DOCKER_BUILDKIT=1; fi
	docker build --network "${OPS_BUILD_NETWORK:-default}" -f "$1/deploy/Dockerfile" --target agent \
		--build-arg "DEBIAN=$release" -t "ops-agent:$release" "$1" &&
		container=$(docker create "ops-agent:$release") &&
		mkdir "$tmp/out" &&
		docker cp "$container:/opt" "$tmp/out/" &&
		docker rm "$container" >/dev/null
}

stage_build_host() {
	bash -euc 'cd "$1" && . tests/dev/common.sh && install_packages "$PACKAGES_BUILD $(llhttp_package)"' - "$1" &&
		(cd "$1" && bash deploy/image/build.sh agent "$tmp/out")
}

# --- installing --------------------------------------------------------------------------------------

# put MODE SOURCE TARGET: a new file in one step, and none when nothing differs.
put() {
	local target=$prefix$3
	if [ -f "$target" ] && cmp -s "$2" "$target" && [ "$(stat -c %a "$target")" = "${1#0}" ]; then
		return 0
	fi
	changed=1
	say "  $3"
	do_it mkdir -p "$(dirname "$target")"
	do_it install -m "$1" "$2" "$target.new"
	do_it mv -f "$target.new" "$target"
}

# put_once MODE SOURCE TARGET: configuration is the administrator's once it is there.
put_once() {
	[ -e "$prefix$3" ] || put "$@"
}

# link TARGET NAME
link() {
	[ "$(readlink "$prefix$2" 2>/dev/null)" = "$1" ] || do_it ln -sfn "$1" "$prefix$2"
}

install_packages_needed() {
	local package missing=()
	[ -f "$stage/share/ops-agent/packages" ] || return 0
	while read -r package; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
	done <"$stage/share/ops-agent/packages"
	[ ${#missing[@]} -gt 0 ] || return 0
	say "Installing the libraries it is linked with: ${missing[*]}"
	do_it apt-get update -q
	do_it env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}

install_accounts() {
	local owner
	put 0644 "$stage/lib/sysusers.d/ops-agent.conf" /etc/sysusers.d/ops-agent.conf
	live || return 0
	owner=$(getent passwd 10001 | cut -d: -f1 || true)
	case $owner in
	'' | ops-dashboard) ;;
	*) die "uid 10001 is $owner's; the dashboard's container runs with that number. Give $owner another one first" ;;
	esac
	do_it systemd-sysusers /etc/sysusers.d/ops-agent.conf
}

install_programs() {
	local file
	for file in "$stage"/bin/*; do
		put 0755 "$file" "$OPT/bin/${file##*/}"
	done
	for file in "$stage"/libexec/ops/*; do
		put 0755 "$file" "$LIBEXEC/${file##*/}"
		echo "${file##*/}" >>"$tmp/libexec.list"
	done
	put 0644 "$tmp/libexec.list" "$OPT/share/ops-agent/libexec.list"
	while read -r file; do
		put 0644 "$stage/share/$file" "/usr/local/share/$file"
		echo "$file" >>"$tmp/share.list"
	done < <(cd "$stage/share" && find . -type f -not -path './ops-agent/*' -printf '%P\n' | sort)
	put 0644 "$tmp/share.list" "$OPT/share/ops-agent/share.list"
	while read -r file; do
		put "$(stat -c 0%a "$stage/share/ops-agent/$file")" "$stage/share/ops-agent/$file" "$OPT/share/ops-agent/$file"
	done < <(cd "$stage/share/ops-agent" && find . -type f -printf '%P\n' | sort)
	do_it mkdir -p "$prefix/usr/local/bin"
	for file in ops-agent opsctl; do
		link "$OPT/bin/$file" "/usr/local/bin/$file"
	done
}

install_config() {
	local file
	do_it mkdir -p "$prefix/etc/ops-agent/flows"
	if [ ! -e "$prefix/etc/ops-agent/commands.yml" ]; then
		while read -r file; do
			put_once 0644 "$stage/share/ops-agent/examples/$file" "/etc/ops-agent/$file"
		done < <(cd "$stage/share/ops-agent/examples" && find . -type f -printf '%P\n' | sort)
	fi
	put_once 0644 "$stage/share/ops-agent/default" /etc/default/ops-agent
	if [ ! -e "$prefix/etc/ops-agent/secret" ]; then
		say "  /etc/ops-agent/secret"
		do_it make_secret "$prefix/etc/ops-agent/secret"
	fi
	live || return 0
	do_it chown root:ops-agent /etc/ops-agent/secret
	# what the example flow `backup` writes to; the probes see how old and large a dump is, and cannot read it
	if getent passwd postgres >/dev/null; then
		do_it install -d -m 0750 -o postgres -g ops-probe /var/lib/ops-backups
	fi
}

# 32 random bytes in hex
make_secret() (
	umask 077
	od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$1.new"
	[ "$(stat -c %s "$1.new")" -eq 64 ] || die "no random bytes to be had"
	chmod 0640 "$1.new"
	mv -f "$1.new" "$1"
)

# Runs of an agent from before each was a service of its own are processes of ops-agent.service.
has_forked_runs() {
	local file
	while read -r file; do
		if tr '\0' ' ' <"${file%/cgroup}/cmdline" 2>/dev/null | grep -q '^ops-agent runner '; then return 0; fi
	done < <(grep -lsE '/ops-agent\.service(/|$)' /proc/[0-9]*/cgroup)
	return 1
}

# A stop of the service ends whatever is in it; while such runs go on it must not. What says so goes with the
# next upgrade, or with the host's next start.
spare_forked_runs() {
	if has_forked_runs; then
		say "Runs of the previous agent are going: the service leaves them alone"
		do_it mkdir -p "${FORKED_RUNS%/*}"
		[ "$dry_run" = 1 ] || printf '[Service]\nKillMode=process\n' >"$FORKED_RUNS"
	elif [ -e "$FORKED_RUNS" ]; then
		do_it rm -f "$FORKED_RUNS"
	fi
}

install_units() {
	local unit
	put 0644 "$stage/lib/tmpfiles.d/ops-agent.conf" /etc/tmpfiles.d/ops-agent.conf
	for unit in "${UNIT_FILES[@]}"; do
		put 0644 "$stage/lib/systemd/system/$unit" "$UNITS/$unit"
	done
	live || return 0
	do_it systemd-tmpfiles --create /etc/tmpfiles.d/ops-agent.conf
	spare_forked_runs
	do_it systemctl daemon-reload
}

answers() { "$OPT/bin/opsctl" status >/dev/null 2>&1; }

# start_agent: 0 when it answers
start_agent() {
	local i
	# a unit that ended with exit code 78 does not start again by itself
	systemctl reset-failed ops-agent.service 2>/dev/null || true
	systemctl restart ops-agent-probes.socket ops-agent.service || return 1
	for ((i = 0; i < START_SECONDS; i++)); do
		if answers; then return 0; fi
		sleep 1
	done
	return 1
}

# Programs and units of before, for start_or_go_back.
keep_previous() {
	local unit
	previous=
	[ -x "$OPT/bin/ops-agent" ] || return 0
	previous=$tmp/previous
	mkdir -p "$previous/units"
	cp -a "$OPT/bin" "$previous/bin"
	for unit in "${UNIT_FILES[@]}"; do
		[ ! -e "$UNITS/$unit" ] || cp -a "$UNITS/$unit" "$previous/units/"
	done
}

# An agent of before the probes had a unit of their own has no use for their socket, which then does no harm.
put_previous_back() {
	cp -a "$previous/bin/." "$OPT/bin/"
	cp -a "$previous/units/." "$UNITS/"
	systemctl daemon-reload
}

start_or_go_back() {
	local log
	if [ "$changed" = 0 ] && systemctl is-active -q ops-agent.service && answers; then
		say "Nothing has changed; the agent runs"
		return 0
	fi
	do_it systemctl enable -q ops-agent.service
	[ "$dry_run" = 0 ] || return 0
	if start_agent; then
		say "The agent runs: $("$OPT/bin/ops-agent" --version)"
		return 0
	fi
	log=$(journalctl -u ops-agent.service -n 15 --no-pager -o cat 2>&1 || true)
	if [ -n "$previous" ]; then
		put_previous_back
		if start_agent; then
			die "the new agent did not start, so the previous one runs again. What it said:
$log"
		fi
	fi
	die "the agent did not start (journalctl -u ops-agent). What it said:
$log"
}

# The new program must accept the configuration that is there, before anything is replaced.
check_config() {
	[ -e "$prefix/etc/ops-agent/commands.yml" ] || return 0
	"$stage/bin/ops-agent" check "$prefix/etc/ops-agent" >/dev/null 2>"$tmp/check" || {
		cat "$tmp/check" >&2
		die "/etc/ops-agent has mistakes; nothing was changed"
	}
}

install_all() {
	changed=0
	if [ -n "$from" ]; then stage_from "$from"; else stage_build; fi
	if live; then
		install_packages_needed
		install_accounts
		if [ "$dry_run" = 0 ]; then check_config; fi
		keep_previous
	else
		install_accounts
	fi
	say "Files:"
	install_programs
	install_config
	install_units
	if live; then start_or_go_back; fi
	if [ "$dry_run" = 1 ]; then say "Nothing was changed (--dry-run)"; fi
}

# --- removing ----------------------------------------------------------------------------------------

refuse_tunnel() {
	local where=()
	live || where=(--prefix "$prefix")
	do_it "$HERE/tunnel/tunnel.sh" "${where[@]}" refuse ||
		say "The way in through sshd could not be taken back: $TUNNEL_KEYS, /etc/ssh/sshd_config.d/ops-tunnel.conf"
}

uninstall_all() {
	local path account
	if live; then
		if [ "$(opsctl_active_runs)" != 0 ]; then
			say "Runs are going; they end by themselves, and their journals stay"
		fi
		do_it systemctl disable -q --now ops-agent.service 2>/dev/null || true
		do_it systemctl stop ops-agent-probes.socket 2>/dev/null || true
	fi
	for path in "$prefix$LIBEXEC"/*; do
		# only what came from here
		if [ -f "$prefix$OPT/share/ops-agent/libexec.list" ] &&
			grep -qxF "${path##*/}" "$prefix$OPT/share/ops-agent/libexec.list"; then
			do_it rm -f "$path"
		fi
	done
	# manual pages, completion
	if [ -f "$prefix$OPT/share/ops-agent/share.list" ]; then
		while read -r path; do
			do_it rm -f "$prefix/usr/local/share/$path"
		done <"$prefix$OPT/share/ops-agent/share.list"
	fi
	# another dashboard's way in; the accounts and the tunnels of this host's own dashboard are not the agent's
	if [ "$purge" = 1 ] && [ -e "$prefix$TUNNEL_KEYS" ]; then refuse_tunnel; fi
	for path in "${UNIT_FILES[@]/#/$UNITS/}" /etc/tmpfiles.d/ops-agent.conf \
		/etc/sysusers.d/ops-agent.conf /usr/local/bin/ops-agent /usr/local/bin/opsctl "$OPT"; do
		if [ -e "$prefix$path" ] || [ -L "$prefix$path" ]; then do_it rm -rf "$prefix$path"; fi
	done
	live && do_it systemctl daemon-reload
	if [ "$purge" = 0 ]; then
		say "Removed. /etc/ops-agent, /etc/default/ops-agent, /var/lib/ops-agent and the accounts are still there (--purge)"
		return 0
	fi
	do_it rm -rf "$prefix/etc/ops-agent" "$prefix/etc/default/ops-agent" "$prefix/var/lib/ops-agent"
	live || return 0
	do_it rm -rf /run/ops-runs
	# a container may have the folder mounted; it goes with the next start of the host
	do_it find /run/ops-agent -mindepth 1 -delete
	# whoever gets the group's number next is not to see the backups
	if [ -d /var/lib/ops-backups ]; then do_it chmod 0700 /var/lib/ops-backups; fi
	for account in ops-agent ops-probe ops-docker ops-run ops-dashboard; do
		if getent passwd "$account" >/dev/null; then do_it userdel "$account"; fi
	done
	if getent group ops-agent >/dev/null; then do_it groupdel ops-agent; fi
}

opsctl_active_runs() {
	find /var/lib/ops-agent/runs -mindepth 1 -maxdepth 1 -type d '!' -exec test -e '{}/settled' ';' -print 2>/dev/null | wc -l
}

preflight
if [ "$uninstall" = 1 ]; then uninstall_all; else install_all; fi
