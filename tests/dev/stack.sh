# shellcheck shell=bash
# ./dev run, up, down, status: a private PostgreSQL, the agent with the example catalogue and the
# dashboard, all state in $OPS_DEV_DIR (default .run/ of the checkout).

DEV_DIR=${OPS_DEV_DIR:-$ROOT/.run}
PORT=${PORT:-3001}
URL=http://127.0.0.1:$PORT
DASHBOARD=$ROOT/build/core/ops-dashboard
AGENT=$ROOT/build/agent/ops-agent

stack_dirs() {
	mkdir -p "$DEV_DIR"
	DEV_DIR=$(cd "$DEV_DIR" && pwd)
	mkdir -p "$DEV_DIR"/{log,pid,etc,agent,dashboard,backups}
	chmod 0755 "$DEV_DIR" "$DEV_DIR"/{log,pid,etc,dashboard,backups}
	SOCKETS=$DEV_DIR/s
	# A Unix socket's path holds 107 bytes; a checkout far down gets its sockets under /tmp.
	if [ ${#SOCKETS} -gt 80 ]; then
		SOCKETS=/tmp/ops-dev-$(id -u)-$(printf %s "$DEV_DIR" | cksum | cut -d' ' -f1)
	fi
	mkdir -p "$SOCKETS"
	chmod 0755 "$SOCKETS"
	AGENT_SOCKET=$SOCKETS/agent.sock
	PG_DATA=$DEV_DIR/postgres
	PG_SOCKETS=$SOCKETS/pg
	if [ "$(id -u)" -eq 0 ]; then
		PG_USER=postgres
		if ! runuser -u postgres -- test -x "$DEV_DIR" 2>/dev/null; then
			PG_DATA=/var/tmp/ops-dev-postgres-$(printf %s "$DEV_DIR" | cksum | cut -d' ' -f1)
			PG_SOCKETS=$PG_DATA-s
			say "The user postgres cannot enter $DEV_DIR: its data goes to $PG_DATA"
		fi
	else
		PG_USER=$(id -un)
	fi
	PG_BIN=$(find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
	[ -x "$PG_BIN/postgres" ] || die "no PostgreSQL server found below /usr/lib/postgresql"
	DATABASE_URL="postgresql://ops@/ops?host=$PG_SOCKETS"
}

as_postgres() {
	if [ "$(id -u)" -eq 0 ]; then
		(cd / && runuser -u "$PG_USER" -- "$@")
	else
		"$@"
	fi
}

# part_pid NAME: the pid of a part that runs, and is the process we started.
part_pid() {
	local pid ticks now
	[ -f "$DEV_DIR/pid/$1" ] || return 1
	read -r pid ticks <"$DEV_DIR/pid/$1" || return 1
	now=$(start_ticks "$pid") && [ "$now" = "$ticks" ] && echo "$pid"
}

start_ticks() {
	[ -r "/proc/$1/stat" ] || return 1
	sed 's/.*) //' "/proc/$1/stat" | cut -d' ' -f20
}

# part_start NAME COMMAND…: in the background, in a session of its own, with a log and a pid file.
part_start() {
	local name=$1 pid
	shift
	setsid --fork bash -c 'echo $$ >"$0"; exec "$@"' "$DEV_DIR/pid/$name.new" "$@" \
		>>"$DEV_DIR/log/$name.log" 2>&1 </dev/null
	for _ in $(seq 100); do
		[ -s "$DEV_DIR/pid/$name.new" ] && break
		sleep 0.02
	done
	read -r pid <"$DEV_DIR/pid/$name.new"
	echo "$pid $(start_ticks "$pid" || echo 0)" >"$DEV_DIR/pid/$name"
	rm -f "$DEV_DIR/pid/$name.new"
}

# wait_until WHAT NAME COMMAND…: up to 30 s, as long as the part lives.
wait_until() {
	local what=$1 name=$2
	shift 2
	for _ in $(seq 300); do
		if "$@" >/dev/null 2>&1; then return 0; fi
		if [ -n "$name" ] && ! part_pid "$name" >/dev/null; then break; fi
		sleep 0.1
	done
	say "$what did not come up. The end of $DEV_DIR/log/$name.log:"
	tail -n 15 "$DEV_DIR/log/$name.log" >&2
	exit 1
}

postgres_up() {
	if [ ! -f "$PG_DATA/PG_VERSION" ]; then
		say "Creating a private PostgreSQL in $PG_DATA"
		mkdir -p "$PG_DATA" && chmod 0700 "$PG_DATA"
		[ "$(id -u)" -ne 0 ] || chown "$PG_USER" "$PG_DATA"
		as_postgres "$PG_BIN/initdb" -D "$PG_DATA" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
			--data-checksums >"$DEV_DIR/log/initdb.log" 2>&1 || {
			cat "$DEV_DIR/log/initdb.log" >&2
			die "initdb failed"
		}
	fi
	mkdir -p "$PG_SOCKETS" && chmod 0700 "$PG_SOCKETS"
	[ "$(id -u)" -ne 0 ] || chown "$PG_USER" "$PG_SOCKETS"
	if ! postgres_answers; then
		as_postgres "$PG_BIN/pg_ctl" -D "$PG_DATA" -w -t 30 -l "$PG_DATA/server.log" \
			-o "-c listen_addresses='' -c unix_socket_directories='$PG_SOCKETS'" start >/dev/null 2>&1 || {
			tail -n 15 "$PG_DATA/server.log" >&2
			die "PostgreSQL did not start"
		}
	fi
	if ! "$PG_BIN/psql" -h "$PG_SOCKETS" -U ops -d ops -Atqc 'select 1' >/dev/null 2>&1; then
		"$PG_BIN/psql" -h "$PG_SOCKETS" -U postgres -d postgres -qc 'create role ops login createdb' \
			-c 'create database ops owner ops' >/dev/null
	fi
}

postgres_answers() {
	"$PG_BIN/pg_isready" -q -h "$PG_SOCKETS" >/dev/null 2>&1
}

# The examples are written for an installation; here they point into $DEV_DIR instead.
agent_config() {
	if [ -n "${OPS_AGENT_CONFIG_DIR:-}" ]; then
		AGENT_CONFIG=$OPS_AGENT_CONFIG_DIR
		return
	fi
	AGENT_CONFIG=$DEV_DIR/etc/ops-agent
	mkdir -p "$AGENT_CONFIG/flows" "$DEV_DIR/libexec"
	cp deploy/ops-agent/libexec/* "$DEV_DIR/libexec/"
	chmod 0755 "$DEV_DIR"/libexec/*
	local file
	for file in deploy/ops-agent/examples/*.yml deploy/ops-agent/examples/flows/*.yml; do
		sed -e "s|/usr/local/libexec/ops|$DEV_DIR/libexec|g" -e "s|/etc/ops-agent|$AGENT_CONFIG|g" \
			-e "s|/var/lib/ops-backups|$DEV_DIR/backups|g" "$file" >"$AGENT_CONFIG/${file#deploy/ops-agent/examples/}"
	done
	# a developer's machine need not have Docker
	[ -S /var/run/docker.sock ] || sed -i -e '/^# Containers/d' -e '/^docker:/d' "$AGENT_CONFIG/status.yml"
	printf '[ops]\nhost=%s\nuser=ops\ndbname=ops\n' "$PG_SOCKETS" >"$AGENT_CONFIG/pg_service.conf"
}

random_hex() {
	od -An -N32 -tx1 /dev/urandom | tr -d ' \n'
}

secrets_make() {
	(
		umask 077
		[ -s "$DEV_DIR/secret" ] || random_hex >"$DEV_DIR/secret"
		[ -s "$DEV_DIR/auth_secret" ] || random_hex >"$DEV_DIR/auth_secret"
		[ -s "$DEV_DIR/password" ] || random_hex | cut -c1-20 >"$DEV_DIR/password"
		[ -s "$DEV_DIR/password_hash" ] || "$DASHBOARD" passwd <"$DEV_DIR/password" |
			sed 's/^AUTH_PASSWORD_HASH=//' | tail -n 1 >"$DEV_DIR/password_hash"
	)
}

agent_up() {
	part_pid agent >/dev/null && return
	agent_config
	[ "$(id -u)" -ne 0 ] || say "Note: started by root, so in this development setup every command runs as root."
	part_start agent env OPS_AGENT_CONFIG_DIR="$AGENT_CONFIG" OPS_AGENT_STATE_DIR="$DEV_DIR/agent" \
		OPS_AGENT_SOCKET="$AGENT_SOCKET" OPS_AGENT_SECRET_PATH="$DEV_DIR/secret" \
		OPS_AGENT_USER="$(id -un)" OPS_AGENT_RUN_USER="$(id -un)" OPS_RUNS_DIR="$DEV_DIR/agent/steps" "$AGENT"
	wait_until "The agent" agent test -S "$AGENT_SOCKET"
}

dashboard_up() {
	part_pid dashboard >/dev/null && return
	part_start dashboard env DATABASE_URL="$DATABASE_URL" AUTH_SECRET_FILE="$DEV_DIR/auth_secret" \
		AUTH_PASSWORD_HASH_FILE="$DEV_DIR/password_hash" OPS_AGENT_SECRET_FILE="$DEV_DIR/secret" \
		OPS_AGENT_SOCKET="$AGENT_SOCKET" LISTEN="127.0.0.1:$PORT" PUBLIC_ORIGIN="$URL" \
		STATE_DIR="$DEV_DIR/dashboard" "$DASHBOARD"
	wait_until "The dashboard" dashboard env LISTEN="127.0.0.1:$PORT" "$DASHBOARD" healthcheck
}

stack_up() {
	deps_for run
	build_all build
	stack_dirs
	secrets_make
	postgres_up
	agent_up
	dashboard_up
	say "Logs: $DEV_DIR/log. opsctl: OPS_AGENT_SOCKET=$AGENT_SOCKET OPS_AGENT_SECRET_PATH=$DEV_DIR/secret $ROOT/build/agent/opsctl"
	printf 'ready %s user=admin password=%s\n' "$URL" "$(cat "$DEV_DIR/password")"
}

part_stop() {
	local pid
	pid=$(part_pid "$1") || return 0
	kill -TERM "$pid" 2>/dev/null || return 0
	for _ in $(seq 100); do
		part_pid "$1" >/dev/null || break
		sleep 0.1
	done
	if part_pid "$1" >/dev/null; then
		say "$1 did not stop in 10 s: killing it"
		kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -f "$DEV_DIR/pid/$1"
}

# Runs outlive the agent by design; taking everything down cancels them first.
runners_stop() {
	local pids
	pids=$(pgrep -f "runner $DEV_DIR/agent/runs/" || true)
	[ -n "$pids" ] || return 0
	say "Cancelling runs that are still going"
	# shellcheck disable=SC2086
	kill -TERM $pids 2>/dev/null || true
	for _ in $(seq 200); do
		pgrep -f "runner $DEV_DIR/agent/runs/" >/dev/null || return 0
		sleep 0.1
	done
	# shellcheck disable=SC2086
	kill -KILL $pids 2>/dev/null || true
}

stack_down() {
	stack_dirs
	part_stop dashboard
	runners_stop
	part_stop agent
	if postgres_answers; then
		as_postgres "$PG_BIN/pg_ctl" -D "$PG_DATA" -m fast -w stop >/dev/null 2>&1 || say "PostgreSQL did not stop"
	fi
}

stack_status() {
	local name pid
	stack_dirs
	for name in agent dashboard; do
		if pid=$(part_pid "$name"); then say "$name: running, pid $pid"; else say "$name: stopped"; fi
	done
	if postgres_answers; then say "postgresql: running"; else say "postgresql: stopped"; fi
	say "page: $URL"
}

stack_run() {
	trap 'trap - INT TERM EXIT; say ""; say "Stopping"; stack_down; exit 0' INT TERM
	trap 'stack_down' EXIT
	stack_up
	say "Ctrl-C stops all of it."
	local name known=" agent dashboard "
	while :; do
		sleep 1 &
		wait $! || true
		for name in agent dashboard; do
			if part_pid "$name" >/dev/null; then
				[[ $known == *" $name "* ]] || say "$name is back"
				[[ $known == *" $name "* ]] || known+="$name "
			elif [[ $known == *" $name "* ]]; then
				say "$name has stopped. './dev up' in another terminal starts it again; its log: $DEV_DIR/log/$name.log"
				known=${known/ $name / }
			fi
		done
	done
}
