# shellcheck shell=bash
# ./dev lint: each check prints what it found and where; the status is that of all of them.

lint_format() {
	c_sources | xargs -r clang-format --dry-run -Werror
}

lint_layers() {
	git ls-files -co --exclude-standard -- 'core/*.[ch]' 'agent/*.[ch]' 'proto/*.[ch]' |
		xargs -r awk -f tests/lint/layers.awk
}

# Every header compiles alone.
lint_headers() {
	local header bad=0
	local flags
	flags=$(pkg-config --cflags libuv jansson libpq libpcre2-8 2>/dev/null)
	while read -r header; do
		# shellcheck disable=SC2086
		if ! gcc -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -I. -I/usr/share/include/llhttp $flags -fsyntax-only -x c "$header"; then
			say "$header does not compile alone"
			bad=1
		fi
	done < <(git ls-files -co --exclude-standard -- 'core/*.h' 'agent/*.h' 'proto/*.h')
	return $bad
}

lint_shell() {
	{
		echo dev
		echo .ci/run
		git ls-files -co --exclude-standard -- '*.sh'
		git ls-files -co --exclude-standard -- deploy tests | xargs -r grep -lE '^#!.*\b(sh|bash)$' || true
	} | sort -u | xargs -r shellcheck -x -e SC1091,SC2016
}

lint_tree() {
	local bad=0
	# An asset or package must come from what is installed, never from an address in a lock file.
	if git grep -nE '"resolved": *"' -- '*package-lock.json'; then
		say "lock files must keep no download addresses (.npmrc: omit-lockfile-registry-resolved=true)"
		bad=1
	fi
	if git ls-files | cut -d/ -f1 | sort -u | grep -vxE 'core|agent|ui|proto|deploy|runbooks|tests|meson\.build|meson_options\.txt|README\.md|CONTRIBUTING\.md|LICENSE|CHANGELOG\.md|dev|\.ci|\.clang-format|\.clang-tidy|\.editorconfig|\.gitignore|\.gitattributes|\.dockerignore'; then
		say "these do not belong at the top of the tree"
		bad=1
	fi
	# Debian 12 has Node.js 18.
	if git grep -nE 'import\.meta\.(dirname|filename)|withResolvers|\.to(Sorted|Reversed|Spliced)\(' -- '*.mjs' '*.ts' '*.tsx'; then
		say "Node.js 18 does not have these"
		bad=1
	fi
	return $bad
}

lint_generated() {
	node ui/types.mjs --check
}

lint_main() {
	local check status=0
	for check in format layers headers shell tree generated; do
		if "lint_$check" >&2; then say "lint $check: ok"; else
			say "lint $check: FAILED"
			status=1
		fi
	done
	return $status
}
