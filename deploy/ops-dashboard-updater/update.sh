#!/bin/bash
# Brings the dashboard, and the agent when its part changed, to the newest commit of the repository.
#
#	update.sh [--check] [--force]
#
#	--check   only say whether there is something new
#	--force   also when there is nothing new, or when this very commit failed before
#
# Exit codes: 0 updated, or nothing to do · 1 failed, and what ran before runs again · 64 usage · 69 the
# host lacks something · 75 another update is running.
#
# The order, and what a failure at each step leaves behind:
#	fetch, fast-forward    nothing touched but the checkout
#	backup                 only before a version with new migrations; without a backup nothing goes on
#	build                  an image more; the old container runs on
#	recreate, smoke test   back to the image of before. Migrations are expand-only, so the previous program
#	                       works with the new schema, and the database is never restored by an update
#	agent                  setup.sh goes back by itself; runs go on in any case
# When the power goes in between, $STATE/in-progress says which image was good, and the next start goes
# back to it unless the new one passes its test.
set -euo pipefail
export LC_ALL=C
umask 022

defaults=${UPDATER_DEFAULTS:-/etc/default/ops-dashboard-updater}
# shellcheck disable=SC1090
if [ -r "$defaults" ]; then . "$defaults"; fi
: "${REPOSITORY:=/srv/ops/repos/ops-dashboard}"
: "${REMOTE:=origin}"
: "${BRANCH:=}"
: "${COMPOSE_FILE:=}"
: "${SERVICE:=ops-dashboard}"
: "${IMAGE:=ops-dashboard}"
: "${URL:=http://127.0.0.1:3001}"
: "${ORIGIN:=}"
: "${ENV_FILE:=/srv/ops/ops-dashboard.env}"
: "${STATE:=/var/lib/ops-dashboard-updater}"
: "${BACKUP_DIR:=/var/backups/ops-dashboard}"
: "${BACKUP_COMMAND:=}"
: "${NOTIFY_COMMAND:=}"
: "${NOTIFY_URL:=}"
: "${VERIFY_SIGNATURES:=no}"
: "${UPDATE_AGENT:=yes}"
: "${AGENT_DIR:=/opt/ops-agent}"
: "${KEEP_IMAGES:=3}"
: "${KEEP_BACKUPS:=3}"
: "${MIN_FREE_MIB:=3072}"
: "${SMOKE_SECONDS:=90}"
: "${LOCK_SECONDS:=3600}"
: "${OPS_BUILD_NETWORK:=default}"
LOCK=$STATE/lock
PROGRESS=$STATE/in-progress
FAILED=$STATE/failed-commit
export OPS_BUILD_NETWORK OPS_DASHBOARD_REPOSITORY=$REPOSITORY OPS_DASHBOARD_ENV=$ENV_FILE
export OPS_DASHBOARD_IMAGE=$IMAGE:current COMPOSE_IGNORE_ORPHANS=1

say() { printf '%s\n' "$*"; }
# fail EXIT_CODE TEXT…
fail() {
	local code=$1
	shift
	reason=$*
	printf 'update.sh: %s\n' "$*" >&2
	exit "$code"
}

check=0 force=0
for arg in "$@"; do
	case $arg in
	--check) check=1 ;;
	--force) force=1 ;;
	*)
		echo 'usage: update.sh [--check] [--force]' >&2
		exit 64
		;;
	esac
done

# --- the end, whatever it is ----------------------------------------------------------------------------

started=$SECONDS
result='' reason='' old_commit='' new_commit='' old_image='' was_ready=0 recreated=0 recording=0

json_string() {
	local text=$1
	text=${text//\\/\\\\}
	text=${text//\"/\\\"}
	text=${text//$'\n'/\\n}
	text=${text//$'\t'/\\t}
	text=$(printf %s "$text" | tr -d '\000-\037')
	printf '"%s"' "$text"
}

# in_unit [OPTION…] -- COMMAND…: out of the service's sandbox, as a unit that systemd starts for it.
in_unit() {
	local name set=()
	for name in PATH OPS_AGENT_COMMIT OPS_BUILD_NETWORK DOCKER_HOST; do
		[ -z "${!name:-}" ] || set+=("--setenv=$name=${!name}")
	done
	systemd-run --quiet --collect --wait --pipe --property=Nice=10 "${set[@]}" "$@"
}

# outside COMMAND…: what installs programs and packages, or is the administrator's, is not to be held in what is
# right for Docker and curl; and an agent that is being replaced when the updater is stopped is replaced to the end.
outside() {
	if [ -n "${OPS_UPDATER_SANDBOX:-}" ]; then in_unit -- "$@"; else "$@"; fi
}

# as USER COMMAND…: the sandbox has no capability to become somebody else
as() {
	local user=$1 home
	shift
	if [ "$user" = "$(id -un)" ]; then
		"$@"
	elif [ -n "${OPS_UPDATER_SANDBOX:-}" ]; then
		in_unit --uid="$user" -- "$@"
	else
		home=$(getent passwd "$user" | cut -d: -f6)
		(cd / && HOME=$home exec setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups -- "$@")
	fi
}

# One line of history a run that did, or tried to do, something.
record() {
	local subject subjects='' line
	if git_is_known "$old_commit" && git_is_known "$new_commit"; then
		while IFS= read -r subject; do
			subjects+=${subjects:+,}$(json_string "$subject")
		done < <(as_owner log --no-merges --max-count=50 --format=%s "$old_commit..$new_commit")
	fi
	line=$(printf '{"time":"%s","result":"%s","from":"%s","to":"%s","version":%s,"seconds":%d,"reason":%s,"changes":[%s]}' \
		"$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$result" "$old_commit" "$new_commit" "$(json_string "${version:-}")" \
		$((SECONDS - started)) "$(json_string "$reason")" "$subjects")
	printf '%s\n' "$line" >>"$STATE/history.jsonl"
	chmod 0644 "$STATE/history.jsonl"
}

# Tells whoever wants to know; an update's result does not depend on it.
notify() {
	local text
	text="Ops Dashboard on $(uname -n): $result ${old_commit:0:12} -> ${new_commit:0:12} $reason"
	if [ -n "$NOTIFY_COMMAND" ]; then
		outside "$NOTIFY_COMMAND" "$result" "$text" || say 'NOTIFY_COMMAND failed'
	fi
	if [ -n "$NOTIFY_URL" ]; then
		printf '{"text":%s,"result":"%s","from":"%s","to":"%s"}' "$(json_string "$text")" "$result" "$old_commit" "$new_commit" |
			curl --silent --show-error --fail --max-time 20 --retry 3 --header 'Content-Type: application/json' \
				--data-binary @- --output /dev/null -- "$NOTIFY_URL" || say 'NOTIFY_URL did not take the message'
	fi
}

# Every way out: when the new container is not known to be good, back to the image of before.
finish() {
	local status=$?
	trap - EXIT INT TERM HUP
	set +e
	rm -f "$BACKUP_DIR"/before-*.part
	if [ "$recreated" = 1 ]; then
		[ -n "$reason" ] || reason='interrupted'
		[ "$status" -ne 0 ] || status=1
		go_back
	fi
	# whoever started it by hand sees a usage error or the other update; all else is worth a line
	case $status in 0 | 64 | 75) ;; *) recording=1 ;; esac
	if [ "$recording" = 1 ] && [ -w "$STATE" ]; then
		[ -n "$result" ] || result=failed
		record
		notify
	fi
	exit "$status"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

# --- what must be there -----------------------------------------------------------------------------------

preflight() {
	local command root free
	[ "$(id -u)" -eq 0 ] || fail 69 'run it as root: sudo systemctl start ops-dashboard-updater.service'
	for command in git curl flock docker; do
		command -v "$command" >/dev/null 2>&1 || fail 69 "$command is not installed (apt-get install ${command/docker/docker.io})"
	done
	docker info >/dev/null 2>&1 || fail 69 'the Docker engine does not answer: systemctl status docker'
	if docker compose version >/dev/null 2>&1; then
		compose_v2=1
	elif command -v docker-compose >/dev/null 2>&1; then
		compose_v2=0
	else
		fail 69 'there is no Docker compose: apt-get install docker-compose'
	fi
	[ -d "$REPOSITORY/.git" ] || fail 69 "there is no checkout in $REPOSITORY (REPOSITORY in /etc/default/ops-dashboard-updater)"
	[ -r "$REPOSITORY/meson.build" ] || fail 69 "$REPOSITORY is closed to the service: chmod go+rX, or see CAP_DAC_READ_SEARCH in its unit"
	owner=$(stat -c %U "$REPOSITORY/.git")
	if [ -z "$COMPOSE_FILE" ]; then
		COMPOSE_FILE=/srv/scrum4me/compose/docker-compose.yml
		if [ ! -f "$COMPOSE_FILE" ] || ! compose config --services 2>/dev/null | grep -qx "$SERVICE"; then
			COMPOSE_FILE=/srv/ops/docker-compose.ops-dashboard.yml
		fi
	fi
	[ -f "$COMPOSE_FILE" ] || fail 69 "there is no $COMPOSE_FILE (COMPOSE_FILE in /etc/default/ops-dashboard-updater)"
	[ ! -d "$ENV_FILE" ] || fail 69 "$ENV_FILE is a folder and not the settings: rmdir it, then deploy/configure.sh makes them"
	root=$(docker info --format '{{.DockerRootDir}}')
	[ -d "$root" ] || root=/
	free=$(df --output=avail -m "$root" | tail -n 1)
	[ "$free" -ge "$MIN_FREE_MIB" ] ||
		fail 69 "$root has $free MiB free, a build needs $MIN_FREE_MIB (docker image prune; MIN_FREE_MIB)"
}

take_lock() {
	mkdir -p "$STATE"
	chmod 0755 "$STATE"
	exec 9>"$LOCK"
	flock -n 9 && return 0
	say "Another update is running; waiting for its end, $LOCK_SECONDS s at most"
	flock -w "$LOCK_SECONDS" 9 || fail 75 'the other update is still running'
}

# compose ARGUMENT…
compose() {
	local folder
	folder=$(dirname "$COMPOSE_FILE")
	if [ "$compose_v2" = 1 ]; then
		(cd "$folder" && docker compose --ansi never -f "$COMPOSE_FILE" "$@")
	else
		# 1.29 does not know the key `name`
		(cd "$folder" && sed '/^name:/d' "$COMPOSE_FILE" |
			docker-compose --ansi never --project-directory "$folder" \
				-p "${OPS_COMPOSE_PROJECT:-scrum4me}" -f - "$@")
	fi
}

# git in the checkout, as its owner, with nothing that the checkout itself could make it run.
as_owner() {
	as "$owner" git -C "$REPOSITORY" -c core.fsmonitor=false -c core.hooksPath=/dev/null "$@"
}

git_is_known() {
	[ -n "${owner:-}" ] && [[ $1 =~ ^[0-9a-f]{40}$ ]] && as_owner cat-file -e "$1^{commit}" 2>/dev/null
}

# --- images -------------------------------------------------------------------------------------------

running_container() { compose ps -q "$SERVICE" 2>/dev/null | head -n 1; }

image_commit() {
	docker image inspect --format '{{index .Config.Labels "org.opencontainers.image.revision"}}' "$1" 2>/dev/null || true
}

recreate() {
	compose up -d --no-deps --no-build --force-recreate "$SERVICE"
}

# What ran, the newest first. Images cannot be asked: those of two commits with the same content are of one time.
commits_that_ran() {
	printf '%s\n' "$new_commit" "$old_commit"
	[ -e "$STATE/history.jsonl" ] || return 0
	tac "$STATE/history.jsonl" |
		sed -n 's/.*"result":"updated","from":"\([0-9a-f]*\)","to":"\([0-9a-f]*\)".*/\2\n\1/p'
}

# Leaves the images of the last KEEP_IMAGES commits that ran, and what is in use in any case.
prune_images() {
	local tag keep
	keep=$(commits_that_ran | awk 'NF && !seen[$0]++ { print substr($0, 1, 12) }' | head -n "$KEEP_IMAGES")
	while read -r tag; do
		if [[ $tag =~ ^[0-9a-f]{12}$ ]] && ! grep -qx "$tag" <<<"$keep"; then
			docker image rm "$IMAGE:$tag" >/dev/null || true
		fi
	done < <(docker image ls --format '{{.Tag}}' "$IMAGE")
	# what the build stages leave, but for the cache of the next build
	docker image prune -f --filter 'until=168h' >/dev/null || true
}

# The tag that a person goes back to.
keep_previous() {
	if [ -n "$old_image" ] && [ "$old_commit" != "$new_commit" ]; then docker tag "$old_image" "$IMAGE:previous"; fi
}

go_back() {
	recreated=0
	result=rolled_back
	if [ -z "$old_image" ]; then
		say 'There is no image of before to go back to'
		result=failed
		return 0
	fi
	say "Going back to the image of ${old_commit:0:12}"
	docker tag "$old_image" "$IMAGE:current"
	if recreate && smoke_test "$old_commit"; then
		rm -f "$PROGRESS"
		printf '%s\n' "$new_commit" >"$FAILED"
		# so that whoever goes back by hand finds only images that were well
		docker image rm "$IMAGE:${new_commit:0:12}" >/dev/null 2>&1 || true
		say 'The previous version is up again'
	else
		result=failed
		reason+='; and the previous image does not pass the smoke test either'
		say "The previous version does not answer well either: docker logs $SERVICE; runbooks/update-and-rollback.md"
	fi
}

# --- the smoke test -----------------------------------------------------------------------------------

fetch() { curl --silent --show-error --max-time 5 "$@" 2>&1; }

# One look; says what is wrong.
smoke_look() {
	local ready page code
	fetch --fail --output /dev/null "$URL/healthz" || return 1
	ready=$(fetch --fail "$URL/readyz") || { say "/readyz: $ready" && return 1; }
	# not worse than before: a database that was down already is no fault of this update
	if [ "$was_ready" = 1 ] && [[ $ready != *'"status":"ready"'* ]]; then
		say "/readyz: $ready"
		return 1
	fi
	page=$(fetch --fail --header "Host: ${ORIGIN#*://}" "$URL/") || { say "the page: $page" && return 1; }
	[[ $page == *'<script'* ]] || { say 'the page holds no script' && return 1; }
	# without a session the handshake must be understood, and refused
	code=$(fetch --output /dev/null --write-out '%{http_code}' --http1.1 --header "Host: ${ORIGIN#*://}" \
		--header "Origin: $ORIGIN" --header 'Connection: Upgrade' --header 'Upgrade: websocket' \
		--header 'Sec-WebSocket-Version: 13' --header 'Sec-WebSocket-Protocol: ops.v1' \
		--header 'Sec-WebSocket-Key: b3BzLWRhc2hib2FyZC0wMQ==' "$URL/api/v1/live") || true
	[ "$code" = 401 ] || { say "the WebSocket handshake answers $code, not 401" && return 1; }
}

# smoke_test COMMIT: 0 as soon as all of it is well, within SMOKE_SECONDS, in a container of that commit.
smoke_test() {
	local until=$((SECONDS + SMOKE_SECONDS)) wrong='' container commit
	container=$(running_container)
	commit=$(image_commit "$(docker inspect --format '{{.Image}}' "$container" 2>/dev/null)")
	if [ -n "$1" ] && [ "$commit" != "$1" ]; then
		reason="the container runs ${commit:-no known commit}, not $1"
		return 1
	fi
	while :; do
		if wrong=$(smoke_look); then return 0; fi
		if [ "$SECONDS" -ge "$until" ] || [ "$(docker inspect --format '{{.State.Status}}' "$container" 2>/dev/null)" = exited ]; then
			break
		fi
		sleep 1
	done
	reason="smoke test: ${wrong:-no answer}"
	say "$reason"
	docker logs --tail 20 "$container" 2>&1 | sed 's/^/  | /' || true
	return 1
}

read_origin() {
	[ -z "$ORIGIN" ] || return 0
	ORIGIN=$(sed -n "s/^[ \t]*PUBLIC_ORIGIN=//p" "$ENV_FILE" 2>/dev/null | tail -n 1 | tr -d "\"'\r ")
	[ -n "$ORIGIN" ] || ORIGIN=$URL
}

# --- steps ----------------------------------------------------------------------------------------------

# An update was cut short: decide what runs before anything else is done.
settle_interrupted() {
	local container
	[ -s "$PROGRESS" ] || return 0
	IFS=' ' read -r old_image old_commit new_commit <"$PROGRESS"
	[ "$old_image" != - ] || old_image=''
	say "The last update, to ${new_commit:0:12}, was interrupted"
	container=$(running_container)
	# until the container was recreated, what runs is what ran before
	if [ -n "$container" ] && [ "$(docker inspect --format '{{.Image}}' "$container")" = "$old_image" ] &&
		[ "$(docker inspect --format '{{.State.Status}}' "$container")" = running ]; then
		docker tag "$old_image" "$IMAGE:current"
		rm -f "$PROGRESS"
		return 0
	fi
	if [ -n "$container" ] && was_ready=0 && smoke_test "$new_commit"; then
		say 'Its container is well; keeping it'
		keep_previous
	else
		recording=1 recreated=1 reason="interrupted; ${reason:-no container}"
		go_back
		record
		notify
		[ "$result" = rolled_back ] || exit 1
		recording=0
	fi
	rm -f "$PROGRESS"
	result='' reason=''
}

look_at_what_runs() {
	local container
	container=$(running_container)
	old_image='' old_commit='' was_ready=0
	[ -n "$container" ] || return 0
	old_image=$(docker inspect --format '{{.Image}}' "$container")
	old_commit=$(image_commit "$old_image")
	[[ $old_commit =~ ^[0-9a-f]{40}$ ]] || old_commit=''
	if [[ $(fetch --fail "$URL/readyz") == *'"status":"ready"'* ]]; then was_ready=1; fi
}

fast_forward() {
	local upstream tag
	[ -n "$BRANCH" ] || BRANCH=$(as_owner symbolic-ref --short HEAD) || fail 1 "$REPOSITORY is on no branch; git switch to one, or set BRANCH"
	as_owner fetch --quiet --tags "$REMOTE" "+refs/heads/$BRANCH:refs/remotes/$REMOTE/$BRANCH" ||
		fail 1 "git fetch failed in $REPOSITORY: is $REMOTE reachable for $owner, and the folder in the unit's ReadWritePaths=?"
	upstream=refs/remotes/$REMOTE/$BRANCH
	if [ "$VERIFY_SIGNATURES" = yes ]; then
		tag=$(as_owner describe --tags --abbrev=0 "$upstream") || fail 1 "VERIFY_SIGNATURES=yes, and $REMOTE/$BRANCH has no tag"
		as_owner verify-tag "$tag" || fail 1 "the signature of tag $tag is not good; nothing was changed"
		upstream=refs/tags/$tag
	fi
	new_commit=$(as_owner rev-parse "$upstream^{commit}")
	[ "$check" = 0 ] || return 0
	[ -z "$(as_owner status --porcelain --untracked-files=no)" ] ||
		fail 1 "$REPOSITORY has local changes; an update needs it as the repository has it: git -C $REPOSITORY status"
	if ! as_owner merge-base --is-ancestor HEAD "$new_commit"; then
		if as_owner merge-base --is-ancestor "$new_commit" HEAD; then
			new_commit=$(as_owner rev-parse HEAD)
			return 0
		fi
		fail 1 "$REPOSITORY and $REMOTE/$BRANCH have parted; only a fast-forward is done by itself"
	fi
	as_owner merge --quiet --ff-only "$new_commit" || fail 1 "git merge --ff-only failed in $REPOSITORY"
}

new_migrations() {
	git_is_known "$old_commit" || return 0
	[ -n "$(as_owner diff --name-only --diff-filter=A "$old_commit" "$new_commit" -- core/db/migrations)" ]
}

# The database of DATABASE_URL: dumped on the host when it is the host's, else in its own container.
backup() {
	local url rest host user db file
	file=$BACKUP_DIR/before-${new_commit:0:12}-$(date -u +%Y%m%dT%H%M%SZ).dump
	install -d -m 0700 "$BACKUP_DIR"
	# of an update that was cut short
	rm -f "$BACKUP_DIR"/before-*.part
	say "New migrations: backing up to $file"
	if [ -n "$BACKUP_COMMAND" ]; then
		(umask 077 && "$BACKUP_COMMAND" >"$file.part") || fail 1 'BACKUP_COMMAND failed; nothing was changed'
	else
		url=$(sed -n 's/^[ \t]*DATABASE_URL=//p' "$ENV_FILE" | tail -n 1 | tr -d "\"'\r")
		rest=${url#*://}
		user=${rest%%[:@]*}
		host=${rest#*@}
		db=${host#*/}
		db=${db%%\?*}
		host=${host%%[/:]*}
		case $host in
		'' | localhost | 127.0.0.1 | ::1)
			(umask 077 && as postgres pg_dump -Fc -d "$db" >"$file.part")
			;;
		*)
			(umask 077 && compose exec -T "$host" pg_dump -Fc -U "$user" -d "$db" >"$file.part")
			;;
		esac || fail 1 "the backup failed, so the update was not begun (BACKUP_COMMAND in /etc/default/ops-dashboard-updater)"
	fi
	[ -s "$file.part" ] || fail 1 'the backup is empty, so the update was not begun'
	sync "$file.part"
	mv "$file.part" "$file"
	find "$BACKUP_DIR" -maxdepth 1 -name 'before-*.dump' -printf '%T@ %p\n' | sort -rn |
		tail -n +$((KEEP_BACKUPS + 1)) | cut -d' ' -f2- | xargs -r rm -f
}

build_image() {
	say "Building ${new_commit:0:12} (the log: $STATE/build.log)"
	OPS_DASHBOARD_COMMIT=$new_commit OPS_DASHBOARD_VERSION=$version \
		OPS_DASHBOARD_EPOCH=$(as_owner log -1 --format=%ct "$new_commit") compose build "$SERVICE" >"$STATE/build.log" 2>&1 || {
		tail -n 20 "$STATE/build.log" >&2
		[ -z "$old_image" ] || docker tag "$old_image" "$IMAGE:current"
		printf '%s\n' "$new_commit" >"$FAILED"
		fail 1 'the build failed; what ran before runs on'
	}
	docker tag "$IMAGE:current" "$IMAGE:${new_commit:0:12}"
}

agent_changed() {
	local installed
	[ "$UPDATE_AGENT" = yes ] && [ -x "$AGENT_DIR/bin/ops-agent" ] || return 1
	installed=$(cat "$AGENT_DIR/share/ops-agent/commit" 2>/dev/null || true)
	git_is_known "$installed" || return 0
	! as_owner diff --quiet "$installed" "$new_commit" -- agent proto core/base core/net deploy/ops-agent deploy/image \
		meson.build tests/dev/common.sh
}

update_agent() {
	agent_changed || return 0
	say 'The agent has changed too'
	OPS_AGENT_COMMIT=$new_commit outside "$REPOSITORY/deploy/ops-agent/setup.sh" --build docker ||
		{ reason='the agent was not updated (see the journal); the dashboard is up to date' && return 1; }
}

# The compose file on the host is the administrator's; the repository's may have gained something.
tell_of_compose_file() {
	if git_is_known "$old_commit" && ! as_owner diff --quiet "$old_commit" "$new_commit" -- deploy/docker-compose.ops-dashboard.yml; then
		say "deploy/docker-compose.ops-dashboard.yml has changed: compare it with $COMPOSE_FILE"
	fi
}

# The updater updates itself last; this shell goes on with the file it has open.
update_updater() {
	local installed=/opt/ops-dashboard-updater/update.sh new=$REPOSITORY/deploy/ops-dashboard-updater
	if [ -f "$installed" ] && [ -x "$new/install.sh" ] && ! cmp -s "$new/update.sh" "$installed"; then
		outside "$new/install.sh" --files-only || say 'The updater could not update itself'
	fi
}

main() {
	preflight
	take_lock
	read_origin
	settle_interrupted
	look_at_what_runs
	fast_forward
	version=$(as_owner show "$new_commit:meson.build" | sed -n "s/^ *version: '\(.*\)',.*/\1/p" | head -n 1)
	if [ "$force" = 0 ] && [ "$old_commit" = "$new_commit" ] && ! agent_changed; then
		say "Nothing to do: ${new_commit:0:12} runs"
		return 0
	fi
	if [ "$check" = 1 ]; then
		say "New: ${old_commit:0:12} -> ${new_commit:0:12}"
		git_is_known "$old_commit" && as_owner log --no-merges --format='  %s' "$old_commit..$new_commit"
		return 0
	fi
	if [ "$force" = 0 ] && [ "$(cat "$FAILED" 2>/dev/null)" = "$new_commit" ]; then
		say "Nothing to do: ${new_commit:0:12} failed before; waiting for a newer commit (--force tries it again)"
		return 0
	fi
	recording=1
	if [ "$force" = 1 ] || [ "$old_commit" != "$new_commit" ]; then
		if [ -n "$old_image" ] && new_migrations; then backup; fi
		printf '%s %s %s\n' "${old_image:--}" "${old_commit:--}" "$new_commit" >"$PROGRESS.new"
		sync "$PROGRESS.new"
		mv "$PROGRESS.new" "$PROGRESS"
		[ -z "$old_image" ] || docker tag "$old_image" "$IMAGE:${old_commit:0:12}" 2>/dev/null || true
		build_image
		say 'Starting it'
		recreated=1
		recreate || { reason='compose up failed' && exit 1; }
		smoke_test "$new_commit" || exit 1
		recreated=0
		rm -f "$PROGRESS" "$FAILED"
		keep_previous
		say "Up: ${new_commit:0:12}"
		prune_images
	fi
	update_agent || { result=failed && exit 1; }
	update_updater
	tell_of_compose_file
	result=updated
}

main
