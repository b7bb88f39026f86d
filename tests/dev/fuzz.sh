# shellcheck shell=bash
# ./dev fuzz [SECONDS]: every target with libFuzzer, ASan and UBSan, from its committed corpus. New
# inputs go to build-fuzz/corpus; copy the worthwhile ones to tests/fuzz/corpus.

fuzz_main() {
	local seconds=${1:-30} target name status=0
	CC=clang build_all build-fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false -Dui=none
	for target in build-fuzz/tests/fuzz/fuzz_*; do
		if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
		name=$(basename "$target")
		mkdir -p "build-fuzz/corpus/$name"
		say "== $name, $seconds s"
		if ! "$target" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="build-fuzz/$name-" \
			"build-fuzz/corpus/$name" "tests/fuzz/corpus/${name#fuzz_}" 2>"build-fuzz/$name.log"; then
			tail -n 40 "build-fuzz/$name.log" >&2
			status=1
		fi
		grep -E 'stat::(number_of_executed_units|average_exec_per_sec)' "build-fuzz/$name.log" >&2 || true
	done
	return $status
}
