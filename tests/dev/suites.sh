# shellcheck shell=bash
# ./dev test: each suite adds to the two counters; the last line is `N passed, N failed`.

PASSED=0
FAILED=0
FAILED_SUITES=""
ALL_SUITES="lint unit ui api integration e2e sanitize"
# Only when they are asked for.
MORE_SUITES="smoke"
# Files at once of suites that mostly wait: for intervals, restarts and what is to happen.
WAITING=$(($(nproc) + ($(nproc) + 1) / 2))

# count SUITE PASSED FAILED
count() {
	PASSED=$((PASSED + $2))
	FAILED=$((FAILED + $3))
	if [ "$3" -gt 0 ]; then FAILED_SUITES+=" $1"; fi
	say "-- $1: $2 passed, $3 failed"
}

# run_meson SUITE BUILD_DIR: counts test programs by meson's own log.
run_meson() {
	local log=$2/meson-logs/testlog.json
	rm -f "$log"
	meson test -C "$2" --print-errorlogs --no-rebuild >"$2/test-output.txt" 2>&1 || true
	if [ ! -f "$log" ]; then
		cat "$2/test-output.txt" >&2
		count "$1" 0 1
		return
	fi
	grep -vE '^ *[0-9]+/[0-9]+ .* OK ' "$2/test-output.txt" | tail -n 80 >&2 || true
	count "$1" "$(grep -c '"result": "OK"' "$log" || true)" "$(grep -vc '"result": "OK"' "$log" || true)"
}

# last_number FILE NAME: what node's report says of `# NAME N`; nothing when it does not get that far.
last_number() {
	sed -n "s/^# $2 //p" "$1" | tail -n 1
}

# The files that take longest, which begin first; the others by their size. So no long one is left for the end.
LONGEST="system/promises deploy/update agent/seals dashboard/samples dashboard/network agent/guard agent/docker deploy/deb"

# longest_first FILE…: each ended by a NUL.
longest_first() {
	local file long rank size
	for file in "$@"; do
		rank=0
		for long in $LONGEST; do
			case $file in *"/$long.test.mjs") rank=1 ;; esac
		done
		size=$(stat -c %s "$file")
		printf '%s %s %s\0' "$rank" "$size" "$file"
	done | sort -z -k1,1rn -k2,2rn | cut -z -d' ' -f3-
}

# run_node SUITE BUILD_DIR AT_ONCE FILE…: node's own test runner, a process a file and so many files at once;
# the daemons come from BUILD_DIR. The reports go to files, of which the failures are shown; a file that hangs
# fails after a quarter of an hour. (--test-force-exit would end it at once, and with it, silently, a file that
# gets its tests one after the other, as tests/ui/unit.test.mjs does.)
run_node() {
	local suite=$1 build=$2 at_once=$3 dir report passed cancelled skipped fail pass=0 failed=0
	shift 3
	if [ $# -eq 0 ]; then
		say "no test files found for $suite"
		count "$suite" 0 1
		return
	fi
	dir=$ROOT/$build/test-$suite
	rm -rf "$dir"
	mkdir -p "$dir"
	# shellcheck disable=SC2016
	longest_first "$@" | OPS_BUILD_DIR=$ROOT/$build xargs -0 -n 1 -P "$at_once" bash -c '
		report=$0/$(printf %s "$1" | tr / -).tap
		timeout -k 10 900 node --test --test-reporter=tap "$1" >"$report" 2>&1 || echo "# exit $?" >>"$report"
		echo "# seconds $SECONDS" >>"$report"' "$dir"
	for report in "$dir"/*.tap; do
		passed=$(last_number "$report" pass)
		cancelled=$(last_number "$report" cancelled)
		fail=$(last_number "$report" fail)
		skipped=$(last_number "$report" skipped)
		[ "${skipped:-0}" -eq 0 ] || say "$skipped skipped, see $report"
		pass=$((pass + ${passed:-0}))
		fail=$((${fail:-1} + ${cancelled:-0}))
		if [ "$fail" -eq 0 ] && [ -n "$(last_number "$report" exit)" ]; then fail=1; fi
		[ "$fail" -gt 0 ] || continue
		failed=$((failed + fail))
		grep -nE -A 30 '^ *not ok' "$report" | head -n 100 >&2 || tail -n 30 "$report" >&2
		say "whole report: $report"
	done
	count "$suite" "$pass" "$failed"
}

test_files() {
	find "$@" -name '*.test.mjs' -not -path '*/node_modules/*' 2>/dev/null | sort
}

suite_lint() {
	. "$ROOT/tests/dev/lint.sh"
	if lint_main; then count lint 1 0; else count lint 0 1; fi
}

suite_unit() {
	run_meson unit build
}

suite_ui() {
	if (cd ui && npx tsc --noEmit) >&2; then count types 1 0; else count types 0 1; fi
	mapfile -t files < <(test_files tests/ui)
	run_node ui build "$(nproc)" "${files[@]}"
}

suite_api() {
	mapfile -t files < <(test_files tests/api)
	run_node api build "$(nproc)" "${files[@]}"
}

suite_integration() {
	mapfile -t files < <(test_files tests/integration)
	run_node integration build "$WAITING" "${files[@]}"
}

suite_e2e() {
	mapfile -t files < <(test_files tests/e2e)
	run_node e2e build "$(nproc)" "${files[@]}"
}

# The page in Firefox and WebKitGTK, which are installed for it.
suite_smoke() {
	deps_for smoke
	mapfile -t files < <(test_files tests/smoke)
	run_node smoke build "$(nproc)" "${files[@]}"
}

# The same unit and integration tests against daemons built with AddressSanitizer and UBSan; a finding
# ends the process that made it, and LeakSanitizer's at its end.
suite_sanitize() {
	build_all build-asan -Db_sanitize=address,undefined -Db_lundef=false -Dui=none
	export ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:disable_coredump=0
	export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	run_meson sanitize-unit build-asan
	# What starts no program of ours is as the first time.
	mapfile -t files < <(test_files tests/integration | grep -vE '/deploy/(deb|drills|runbooks|update)\.test\.mjs$')
	run_node sanitize-integration build-asan "$WAITING" "${files[@]}"
	unset ASAN_OPTIONS UBSAN_OPTIONS
}

suites_main() {
	local suite
	deps_for run test lint
	# shellcheck disable=SC2086
	[ $# -gt 0 ] || set -- $ALL_SUITES
	build_all build
	for suite in "$@"; do
		case " $ALL_SUITES $MORE_SUITES " in
		*" $suite "*) ;;
		*) die "no suite '$suite'; there are: $ALL_SUITES $MORE_SUITES" ;;
		esac
	done
	for suite in "$@"; do
		say ""
		say "== $suite"
		"suite_$suite"
	done
	say ""
	[ -z "$FAILED_SUITES" ] || say "failed:$FAILED_SUITES"
	echo "$PASSED passed, $FAILED failed"
	[ "$FAILED" -eq 0 ]
}
