#!/bin/bash
# Makes the dashboard's settings on a host where setup.sh has installed the agent:
#
#	configure.sh https://ops.example.org
#
# Asks for a password (or reads it from standard input), builds the image to hash it, makes the account and
# the database in the host's PostgreSQL, and writes /srv/ops/ops-dashboard.env and the compose file. What is
# there already is left alone, so it can be run again.
set -euo pipefail
export LC_ALL=C
umask 022

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DIR=/srv/ops
ENV_FILE=$DIR/ops-dashboard.env
SECRET=/etc/ops-agent/secret
ROLE=ops-dashboard
DATABASE=ops

die() {
	printf 'configure.sh: %s\n' "$*" >&2
	exit 1
}

[ $# -eq 1 ] || {
	echo 'usage: configure.sh https://NAME      what the browser shows in its address bar' >&2
	exit 64
}
origin=${1%/}
[[ $origin =~ ^https?://[^/]+$ ]] || die "'$1' is no origin; it looks like https://ops.example.org"
[ "$(id -u)" -eq 0 ] || die "run it as root (sudo $0 $1)"
[ -r "$SECRET" ] || die "there is no $SECRET: run deploy/ops-agent/setup.sh first"
docker info >/dev/null 2>&1 || die 'the Docker engine does not answer: systemctl status docker'

random_hex() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }

# setting NAME=VALUE: into compose's .env, where it is not set yet
setting() {
	if ! grep -q "^${1%%=*}=" "$DIR/.env"; then printf '%s\n' "$1" >>"$DIR/.env"; fi
}

# The group opens the agent's socket to the container; 880 unless that was taken.
compose_settings() {
	local gid
	gid=$(getent group ops-agent | cut -d: -f3)
	touch "$DIR/.env"
	[ "$gid" = 880 ] || setting "OPS_AGENT_GID=$gid"
	[ "$REPOSITORY" = /srv/ops/repos/ops-dashboard ] || setting "OPS_DASHBOARD_REPOSITORY=$REPOSITORY"
	[ -e "$DIR/docker-compose.ops-dashboard.yml" ] ||
		install -m 0644 "$REPOSITORY/deploy/docker-compose.ops-dashboard.yml" "$DIR/"
}

build_image() {
	local owner commit version epoch
	owner=$(stat -c %U "$REPOSITORY/.git")
	commit=$(cd / && runuser -u "$owner" -- git -C "$REPOSITORY" rev-parse HEAD)
	epoch=$(cd / && runuser -u "$owner" -- git -C "$REPOSITORY" log -1 --format=%ct)
	version=$(sed -n "s/^ *version: '\(.*\)',.*/\1/p" "$REPOSITORY/meson.build" | head -n 1)
	echo 'Building the image; this takes some minutes'
	# the same as compose's build, so that the first update finds everything made
	docker build --network "${OPS_BUILD_NETWORK:-default}" -f "$REPOSITORY/deploy/Dockerfile" --target dashboard \
		--build-arg "COMMIT=$commit" --build-arg "VERSION=$version" \
		--build-arg "SOURCE_DATE_EPOCH=$epoch" -t "${OPS_DASHBOARD_IMAGE:-ops-dashboard:current}" \
		"$REPOSITORY" >"$DIR/build.log" 2>&1 || {
		tail -n 30 "$DIR/build.log" >&2
		die "the build failed (its whole output: $DIR/build.log)"
	}
}

as_postgres() { (cd / && runuser -u postgres -- "$@"); }

make_database() {
	if ! command -v psql >/dev/null 2>&1 || ! getent passwd postgres >/dev/null; then
		echo "There is no PostgreSQL on this host: set DATABASE_URL in $ENV_FILE by hand"
		return 0
	fi
	[ "$(as_postgres psql -XAtqc "SELECT 1 FROM pg_roles WHERE rolname = '$ROLE'")" = 1 ] ||
		as_postgres createuser "$ROLE"
	[ "$(as_postgres psql -XAtqc "SELECT 1 FROM pg_database WHERE datname = '$DATABASE'")" = 1 ] ||
		as_postgres createdb --owner="$ROLE" "$DATABASE"
}

write_env() {
	local hash line
	hash=$(docker run --rm -i --network none "${OPS_DASHBOARD_IMAGE:-ops-dashboard:current}" passwd | sed -n 's/^AUTH_PASSWORD_HASH=//p')
	[ -n "$hash" ] || die 'no password, no settings'
	(
		umask 077
		while IFS= read -r line; do
			case $line in
			AUTH_SECRET=) line+=$(random_hex) ;;
			AUTH_PASSWORD_HASH=) line+=$hash ;;
			OPS_AGENT_SECRET=) line+=$(cat "$SECRET") ;;
			PUBLIC_ORIGIN=*) line=PUBLIC_ORIGIN=$origin ;;
			esac
			printf '%s\n' "$line"
		done <"$REPOSITORY/deploy/ops-dashboard.env.example" >"$ENV_FILE.new"
	)
	chown root:ops-agent "$ENV_FILE.new"
	chmod 0640 "$ENV_FILE.new"
	mv "$ENV_FILE.new" "$ENV_FILE"
	echo "$ENV_FILE written"
}

mkdir -p "$DIR"
[ ! -d "$ENV_FILE" ] || die "$ENV_FILE is a folder: Docker made it for a container that was started before there was such a file.
Remove the container and the folder (docker rm -f ops-dashboard; rmdir $ENV_FILE), then run this again"
compose_settings
if [ -e "$ENV_FILE" ]; then
	echo "$ENV_FILE is there already and stays as it is"
else
	build_image
	make_database
	if [ -t 0 ]; then echo 'The password to sign in with (the user is admin)'; fi
	write_env
fi
