# shellcheck shell=bash
# ./dev dist: the source tarball of the last commit, in build-dist/, and proof that it is enough to build from.

dist_main() {
	local version name tmp
	version=$(sed -n "s/^ *version: '\(.*\)',.*/\1/p" meson.build | head -n 1)
	name=ops-dashboard-$version
	[ -z "$(git status --porcelain)" ] || say "What is not committed is not in the tarball"
	if [ ! -f build-dist/build.ninja ]; then meson setup build-dist -Dui=none -Dtests=false >/dev/null; fi
	meson dist -C build-dist --no-tests --allow-dirty --formats gztar,xztar >&2
	tmp=$(mktemp -d)
	# shellcheck disable=SC2064
	trap "rm -rf '$tmp'" EXIT
	tar -C "$tmp" -xf "build-dist/meson-dist/$name.tar.xz"
	say "Building from the tarball"
	(cd "$tmp/$name" && ./dev build && ./build/core/ops-dashboard --version && ./build/agent/ops-agent --version)
	ls "build-dist/meson-dist/"
}
