#!/bin/bash
# A tunnel from the dashboard's host to the agent of another one: OpenSSH forwards one Unix socket.
# runbooks/second-host.md has the whole procedure. Each command may be run again.
set -euo pipefail
export LC_ALL=C
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ETC=/etc/ops-agent-tunnel
UNITS=/etc/systemd/system
KEYS=/etc/ssh/ops-tunnel.keys
SSHD=/etc/ssh/sshd_config.d/ops-tunnel.conf
DEFAULTS=/etc/default/ops-agent
WAIT_SECONDS=20

usage() {
	cat <<'TEXT'
usage: tunnel.sh [--prefix DIR] COMMAND

On the dashboard's host:
  key                            make the account and its key where there is none; print the public key
  connect HOST ADDRESS HOST-KEY  start the tunnel to the agent that calls itself HOST; ADDRESS is a name or
                                 number, with :PORT where it is not 22; HOST-KEY is what `accept` printed there
  disconnect HOST                end it, and forget the host
On the other host, beside its agent:
  accept KEY                     let the owner of this public key open the agent's socket, and nothing else;
                                 print this host's key
  refuse                         take that back

--prefix DIR writes the files below DIR; no accounts, no services.
TEXT
}

say() { printf '%s\n' "$*" >&2; }
die() {
	printf 'tunnel.sh: %s\n' "$*" >&2
	exit 1
}

prefix=''
if [ "${1:-}" = --prefix ]; then
	[ $# -ge 2 ] || die '--prefix needs a value'
	prefix=${2%/}
	shift 2
	case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
fi
live() { [ -z "$prefix" ]; }

need() {
	live || return 0
	[ "$(id -u)" -eq 0 ] || die "run it as root (sudo $0)"
	[ -d /run/systemd/system ] || die 'this host does not run systemd'
	command -v "$1" >/dev/null 2>&1 || die "there is no $1: apt-get install $2"
}

# put MODE TARGET: from standard input; a new file in one step
put() {
	mkdir -p "$prefix$(dirname "$2")"
	cat >"$prefix$2.new"
	chmod "$1" "$prefix$2.new"
	mv -f "$prefix$2.new" "$prefix$2"
}

account() {
	put 0644 /etc/sysusers.d/ops-tunnel.conf <"$HERE/sysusers.conf"
	live || return 0
	systemd-sysusers /etc/sysusers.d/ops-tunnel.conf
}

# one_key TEXT: "TYPE BASE64" of a public key on one line, without what stands behind it
one_key() {
	local type base64 rest
	case $1 in *$'\n'*) die 'the key is one line' ;; esac
	read -r type base64 rest <<<"$1"
	printf '%s %s\n' "$type" "$base64" | ssh-keygen -l -f /dev/stdin >/dev/null 2>&1 || die "this is no public key: ${1:0:80}"
	printf '%s %s\n' "$type" "$base64"
}

check_host() {
	[[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$ ]] ||
		die "'$1' is no host's name: letters, digits, '.', '_', '-', as its agent calls itself"
}

# --- the dashboard's host ----------------------------------------------------------------------------

make_key() {
	account
	if [ ! -e "$prefix$ETC/key" ]; then
		install -d -m 0750 "$prefix$ETC"
		rm -f "$prefix$ETC/key.new" "$prefix$ETC/key.new.pub"
		(umask 077 && ssh-keygen -q -t ed25519 -N '' -C "ops-dashboard@$(uname -n)" -f "$prefix$ETC/key.new")
		# readable to the tunnels and not theirs to change
		chmod 0640 "$prefix$ETC/key.new"
		if live; then chown root:ops-tunnel "$ETC" "$ETC/key.new"; fi
		mv -f "$prefix$ETC/key.new.pub" "$prefix$ETC/key.pub"
		mv -f "$prefix$ETC/key.new" "$prefix$ETC/key"
	fi
	cat "$prefix$ETC/key.pub"
}

# split_address TEXT: sets address and port
split_address() {
	port=22
	case $1 in
	\[*\]:*)
		address=${1#\[}
		address=${address%%\]*}
		port=${1##*:}
		;;
	\[*\]) address=${1:1:-1} ;;
	*:*:*) address=$1 ;;
	*:*)
		address=${1%:*}
		port=${1##*:}
		;;
	*) address=$1 ;;
	esac
	[[ $address =~ ^[A-Za-z0-9][A-Za-z0-9.:%_-]*$ ]] || die "'$1' is no address"
	[[ $port =~ ^[1-9][0-9]{0,4}$ ]] || die "'$port' is no port"
	[ "$port" -le 65535 ] || die "'$port' is no port"
}

connect() {
	local address port key i
	check_host "$1"
	split_address "$2"
	key=$(one_key "$3")
	[ -e "$prefix$ETC/key" ] || die "there is no key yet: tunnel.sh key, and tunnel.sh accept on $1"
	put 0644 "$ETC/$1.known_hosts" <<<"$1 $key"
	put 0644 "$ETC/$1.env" <<<"SSH_HOST=$address
SSH_PORT=$port"
	put 0644 /etc/tmpfiles.d/ops-tunnel.conf <"$HERE/tmpfiles.conf"
	put 0644 "$UNITS/ops-agent-tunnel@.service" <"$HERE/ops-agent-tunnel@.service"
	live || return 0
	systemd-tmpfiles --create /etc/tmpfiles.d/ops-tunnel.conf
	systemctl daemon-reload
	systemctl enable -q "ops-agent-tunnel@$1.service"
	systemctl restart "ops-agent-tunnel@$1.service"
	for ((i = 0; i < WAIT_SECONDS * 5; i++)); do
		if [ -S "/run/ops-tunnel/$1/agent.sock" ]; then
			say "The tunnel is there: /run/ops-tunnel/$1/agent.sock"
			return 0
		fi
		sleep 0.2
	done
	journalctl -u "ops-agent-tunnel@$1.service" -n 5 --no-pager -o cat >&2 || true
	die "no tunnel within $WAIT_SECONDS s; it goes on trying: journalctl -u ops-agent-tunnel@$1"
}

disconnect() {
	check_host "$1"
	if live; then systemctl disable -q --now "ops-agent-tunnel@$1.service" || true; fi
	rm -f "$prefix$ETC/$1.env" "$prefix$ETC/$1.known_hosts"
}

# --- the other host ----------------------------------------------------------------------------------

# The kernel tells the agent who connects, which for a tunnel is this account.
allow_peer() {
	local uid
	uid=$(id -u ops-tunnel)
	if grep -qE "^OPS_AGENT_PEERS=(.*,)?$uid(,|\$)" "$DEFAULTS" 2>/dev/null; then return 0; fi
	if grep -q '^OPS_AGENT_PEERS=.' "$DEFAULTS" 2>/dev/null; then
		sed -i -E "s/^OPS_AGENT_PEERS=.+\$/&,$uid/" "$DEFAULTS"
	else
		# whoever wrote the last line may not have ended it
		if [ -n "$(tail -c 1 "$DEFAULTS" 2>/dev/null)" ]; then echo >>"$DEFAULTS"; fi
		printf 'OPS_AGENT_PEERS=%s\n' "$uid" >>"$DEFAULTS"
	fi
	# runs go on
	systemctl restart ops-agent.service
}

forget_peer() {
	local uid
	uid=$(id -u ops-tunnel 2>/dev/null) || return 0
	grep -qE "^OPS_AGENT_PEERS=(.*,)?$uid(,|\$)" "$DEFAULTS" 2>/dev/null || return 0
	sed -i -E "/^OPS_AGENT_PEERS=/{s/([=,])$uid(,|\$)/\1/;s/,\$//}" "$DEFAULTS"
	# one that was stopped stays so
	systemctl try-restart ops-agent.service
}

# Where systemd starts an sshd for each connection there is none to reload: the next one reads its settings.
reload_sshd() { systemctl try-reload-or-restart ssh.service; }

# keep FILE: as it is now, for undo_accept
keep() {
	rm -f "$1.old"
	if [ -e "$1" ]; then cp -p "$1" "$1.old"; fi
}

# undo_accept MEMBER: whether the account was in the agent's group before, 0 or 1
undo_accept() {
	local file
	for file in "$KEYS" "$SSHD"; do
		rm -f "$file"
		if [ -e "$file.old" ]; then mv -f "$file.old" "$file"; fi
	done
	if [ "$1" = 0 ]; then gpasswd -d ops-tunnel ops-agent >/dev/null 2>&1 || true; fi
}

# Whether sshd takes all of it over; says what is wrong.
try_sshd() {
	local said
	if ! said=$(sshd -t 2>&1); then
		say "sshd does not accept its settings: $said"
		return 1
	fi
	said=$(sshd -T -C user=ops-tunnel,host=localhost,addr=127.0.0.1 2>&1) || true
	grep -qx 'chrootdirectory /run/ops-agent' <<<"$said" || {
		say "sshd does not read $SSHD: /etc/ssh/sshd_config needs 'Include /etc/ssh/sshd_config.d/*.conf' as its first line"
		return 1
	}
	reload_sshd
}

accept() {
	local key member=0
	key=$(one_key "$1")
	if live; then
		[ -S /run/ops-agent/agent.sock ] || die 'no agent runs here: setup.sh comes first'
		keep "$KEYS"
		keep "$SSHD"
	fi
	account
	# nothing of the account's but this: no terminal, no command, no other forwarding
	put 0644 "$KEYS" <<<"restrict,port-forwarding $key"
	put 0644 "$SSHD" <"$HERE/sshd.conf"
	live || return 0
	if id -nG ops-tunnel | tr ' ' '\n' | grep -qx ops-agent; then member=1; fi
	usermod -a -G ops-agent ops-tunnel
	if ! try_sshd; then
		undo_accept "$member"
		die "nothing is changed: who may open the agent's socket is who could before"
	fi
	rm -f "$KEYS.old" "$SSHD.old"
	allow_peer
	cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub
}

# Processes of the account: what sshd holds for whoever is in.
end_connections() {
	local uid dir
	uid=$(id -u ops-tunnel 2>/dev/null) || return 0
	for dir in /proc/[0-9]*; do
		# it may be gone by then
		if [ "$(stat -c %u "$dir" 2>/dev/null)" = "$uid" ]; then kill -KILL "${dir#/proc/}" 2>/dev/null || true; fi
	done
}

# Nothing of it depends on what comes before: an sshd that cannot be reloaded keeps nobody in.
refuse() {
	# and what an accept that was killed had kept
	rm -f "$prefix$KEYS"{,.old} "$prefix$SSHD"{,.old}
	live || return 0
	gpasswd -d ops-tunnel ops-agent >/dev/null 2>&1 || true
	end_connections
	forget_peer
	reload_sshd
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command/$# in
key/0)
	need ssh openssh-client
	make_key
	;;
connect/3)
	need ssh openssh-client
	connect "$@"
	;;
disconnect/1)
	need ssh openssh-client
	disconnect "$1"
	;;
accept/1)
	need sshd openssh-server
	accept "$1"
	;;
refuse/0)
	need sshd openssh-server
	refuse
	;;
--help/0 | -h/0) usage ;;
*)
	usage >&2
	exit 64
	;;
esac
