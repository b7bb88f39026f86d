#!/bin/bash
# The Debian package of the agent and opsctl, for the release this runs on:
#
#	deploy/deb/build.sh [FOLDER]      build-deb/ when not given; prints the file's name
#
# It holds what `meson install --tags agent` makes with the prefix /usr; the maintainer scripts beside this
# file do what deploy/ops-agent/setup.sh does on a host. Two builds of one commit give the same bytes:
# SOURCE_DATE_EPOCH, or the commit's time, or that of the newest source file, is the time of everything.
set -euo pipefail
export LC_ALL=C
umask 022

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
mkdir -p "${1:-$ROOT/build-deb}"
OUT=$(cd "${1:-$ROOT/build-deb}" && pwd)
BUILD=$OUT/build
TREE=$OUT/tree

for command in meson ninja dpkg-deb dpkg-shlibdeps dpkg-architecture; do
	command -v "$command" >/dev/null 2>&1 || {
		echo "build.sh: $command is not installed (apt-get install meson ninja-build dpkg-dev)" >&2
		exit 69
	}
done
. "$ROOT/deploy/image/epoch.sh"
SOURCE_DATE_EPOCH=$(source_date_epoch "$ROOT")
export SOURCE_DATE_EPOCH

version=$(sed -n "s/^ *version: '\(.*\)',.*/\1/p" "$ROOT/meson.build" | head -n 1)
# shellcheck disable=SC1091
release=$(. /etc/os-release && echo "${VERSION_ID:-}")
# A release's package is linked with that release's libraries, so each has a version of its own.
version+=+deb${release:-sid}
architecture=$(dpkg-architecture -qDEB_HOST_ARCH)
maintainer="${DEBFULLNAME:-The Ops Dashboard authors} <${DEBEMAIL:-ops-dashboard@localhost}>"

# No path of this machine in what is compiled.
compile() {
	local source
	mkdir -p "$BUILD"
	source=$(realpath --relative-to="$BUILD" "$ROOT")
	set -- --prefix=/usr --libdir=lib --libexecdir=libexec -Dui=none -Dtests=false \
		-Dc_args="-ffile-prefix-map=$source/= -ffile-prefix-map=$BUILD=."
	if [ -f "$BUILD/build.ninja" ]; then meson configure "$BUILD" "$@"; else meson setup "$BUILD" "$ROOT" "$@"; fi
	ninja -C "$BUILD" agent/ops-agent agent/opsctl
}

# What differs from the tree that setup.sh takes: /etc/default is a configuration file of dpkg's, nothing
# may lie in /usr/local, and setup.sh has no business on a host with a package.
layout() {
	local share=$TREE/usr/share/ops-agent
	rm -rf "$TREE"
	DESTDIR=$TREE meson install -C "$BUILD" --no-rebuild --strip --quiet --tags agent
	install -D -m 0644 "$share/default" "$TREE/etc/default/ops-agent"
	rm "$share/default" "$share/setup.sh"
	find "$share/examples" -type f -exec sed -i -e 's|/usr/local/libexec/ops|/usr/libexec/ops|g' \
		-e 's|/opt/ops-agent/share/|/usr/share/|g' {} +
	if grep -rnE '/usr/local/|/opt/' "$TREE/etc" "$share" "$TREE/usr/lib"; then
		echo 'build.sh: these name places that a package does not use' >&2
		exit 1
	fi
	find "$TREE/usr/share/man" -type f -exec gzip -9n {} +
}

documents() {
	local doc=$TREE/usr/share/doc/ops-agent
	install -D -m 0644 "$HERE/copyright" "$doc/copyright"
	gzip -9nc "$ROOT/CHANGELOG.md" >"$doc/NEWS.gz"
	gzip -9nc >"$doc/changelog.gz" <<TEXT
ops-agent ($version) unstable; urgency=medium

  * What has changed: /usr/share/doc/ops-agent/NEWS.gz

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
TEXT
	install -D -m 0644 "$HERE/lintian-overrides" "$TREE/usr/share/lintian/overrides/ops-agent"
}

control() {
	local script depends=$OUT/shlibdeps
	mkdir -p "$TREE/DEBIAN" "$depends/debian"
	# dpkg-shlibdeps wants to be in a source package
	printf 'Source: ops-agent\n\nPackage: ops-agent\nArchitecture: any\n' >"$depends/debian/control"
	depends=$(cd "$depends" && dpkg-shlibdeps -O "$TREE/usr/bin/ops-agent" "$TREE/usr/bin/opsctl" |
		sed -n 's/^shlibs:Depends=//p')
	[ -n "$depends" ] || {
		echo 'build.sh: dpkg-shlibdeps found no libraries' >&2
		exit 1
	}
	(cd "$TREE" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$TREE/DEBIAN/md5sums"
	echo /etc/default/ops-agent >"$TREE/DEBIAN/conffiles"
	for script in preinst postinst prerm postrm; do
		install -m 0755 "$HERE/$script" "$TREE/DEBIAN/$script"
	done
	sed -e "s|@VERSION@|$version|" -e "s|@ARCHITECTURE@|$architecture|" -e "s|@MAINTAINER@|$maintainer|" \
		-e "s|@DEPENDS@|$depends|" -e "s|@SIZE@|$(du -sk --exclude=DEBIAN "$TREE" | cut -f1)|" \
		"$HERE/control.in" >"$TREE/DEBIAN/control"
}

{
	compile
	layout
	documents
	control
	find "$TREE" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
} >"$OUT/build.log" 2>&1 || {
	tail -n 30 "$OUT/build.log" >&2
	echo "build.sh: no package (its whole output: $OUT/build.log)" >&2
	exit 1
}
package=$OUT/ops-agent_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$TREE" "$package" >/dev/null
echo "$package"
