# shellcheck shell=bash
# What every ./dev command needs: messages, packages, builds.

say() {
	printf '%s\n' "$*" >&2
}

die() {
	say "dev: $*"
	exit 1
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$@"
	else
		die "this needs root and there is no sudo: run as root: $*"
	fi
}

PACKAGES_BUILD="gcc libc6-dev tzdata meson ninja-build pkg-config libuv1-dev libwslay-dev libpq-dev libcyaml-dev
	libyaml-dev libcurl4-openssl-dev ca-certificates libmbedtls-dev libjansson-dev libcrypt-dev libpcre2-dev libsystemd-dev zlib1g-dev libcmocka-dev"
PACKAGES_RUN="postgresql postgresql-client procps util-linux"
PACKAGES_TEST="chromium strace iproute2 python3-minimal curl git openssl openssh-client openssh-server systemd systemd-journal-remote dbus-daemon"
PACKAGES_LINT="clang-format shellcheck"
PACKAGES_DEB="dpkg-dev"
PACKAGES_DRILL="docker.io debootstrap slirp4netns"
PACKAGES_SMOKE="firefox-esr webkit2gtk-driver xvfb xauth"
PACKAGES_FUZZ="clang libclang-rt-dev"

package_is_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# llhttp is a package of its own from Debian 13 on; Debian 12 has its sources in node-llhttp.
llhttp_package() {
	local version=0
	# shellcheck disable=SC1091
	[ -r /etc/os-release ] && version=$(. /etc/os-release && echo "${VERSION_ID:-13}")
	if [ "${version%%.*}" -ge 13 ]; then echo libllhttp-dev; else echo node-llhttp; fi
}

# deps_for [build] [run] [test] [lint] [fuzz] [deb] [drill] [smoke]: installs the Debian packages and the npm packages that
# are missing, after saying so. Touches no network when nothing is missing.
deps_for() {
	local part package wanted="" missing=""
	for part in build "$@"; do
		case $part in
		build) wanted+=" $PACKAGES_BUILD $(llhttp_package)" ;;
		run) wanted+=" $PACKAGES_RUN" ;;
		test) wanted+=" $PACKAGES_RUN $PACKAGES_TEST $PACKAGES_DEB" ;;
		lint) wanted+=" $PACKAGES_LINT" ;;
		fuzz) wanted+=" $PACKAGES_FUZZ" ;;
		deb) wanted+=" $PACKAGES_DEB" ;;
		smoke) wanted+=" $PACKAGES_SMOKE" ;;
		drill) wanted+=" $PACKAGES_DRILL" ;;
		esac
	done
	command -v node >/dev/null 2>&1 || wanted+=" nodejs"
	command -v npm >/dev/null 2>&1 || wanted+=" npm"
	for package in $wanted; do
		package_is_installed "$package" || missing+=" $package"
	done
	if [ -n "$missing" ]; then
		say "Installing Debian packages:$missing"
		install_packages "$missing"
	fi
	npm_packages ui
	case " $* " in *" test "*) npm_packages tests ;; esac
}

install_packages() {
	local log
	log=$(mktemp)
	# shellcheck disable=SC2086
	if ! { as_root env DEBIAN_FRONTEND=noninteractive apt-get update &&
		create_no_cluster && create_no_sshd "$1" &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $1; } >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		die "apt-get could not install:$1 (its whole output: $log)"
	fi
	rm -f "$log"
}

# Debian starts a cluster of its own when PostgreSQL is installed. We bring our own; none is needed.
create_no_cluster() {
	[ -e /etc/postgresql-common/createcluster.conf ] && return 0
	as_root mkdir -p /etc/postgresql-common
	printf 'create_main_cluster = false\n' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
}

# The tests start an sshd of their own; where the package was not there before, none is to listen for the world.
# (Who wants one: rm /etc/ssh/sshd_not_to_be_run)
create_no_sshd() {
	case " $1 " in *' openssh-server '*) ;; *) return 0 ;; esac
	[ -e /etc/ssh/sshd_not_to_be_run ] || package_is_installed openssh-server && return 0
	as_root mkdir -p /etc/ssh
	as_root touch /etc/ssh/sshd_not_to_be_run
}

# npm_packages FOLDER: `npm ci` when the lock file is newer than what was installed from it.
npm_packages() {
	local stamp=$1/node_modules/.installed
	[ -f "$1/package-lock.json" ] || return 0
	if [ -f "$stamp" ] && cmp -s "$stamp" "$1/package-lock.json"; then
		return 0
	fi
	say "Installing npm packages of $1/ (npm ci)"
	(cd "$1" && npm ci --ignore-scripts --no-audit --no-fund >&2) || die "npm ci failed in $1/"
	cp "$1/package-lock.json" "$stamp"
}

# build_all FOLDER [MESON OPTIONS…]
build_all() {
	local folder=$1 log
	shift
	if [ ! -f "$folder/build.ninja" ]; then
		say "Configuring $folder/"
		log=$(meson setup "$folder" "$@" 2>&1) || {
			printf '%s\n' "$log" >&2
			die "meson setup failed"
		}
	fi
	say "Building $folder/"
	log=$(ninja -C "$folder" 2>&1) || {
		printf '%s\n' "$log" | grep -vE '^\[[0-9]+/[0-9]+\]' | head -n 60 >&2
		die "the build failed"
	}
}

c_sources() {
	git ls-files -co --exclude-standard -- 'core/*.[ch]' 'agent/*.[ch]' 'proto/*.[ch]' 'tests/*.[ch]'
}
