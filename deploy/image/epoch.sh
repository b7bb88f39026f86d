# shellcheck shell=bash
# source_date_epoch FOLDER: the time that everything built from the sources in FOLDER bears, in seconds:
# SOURCE_DATE_EPOCH if somebody has said it, else the commit's, else that of the newest file of a tarball.
source_date_epoch() {
	local commit
	if [[ ${SOURCE_DATE_EPOCH:-} =~ ^[0-9]+$ ]]; then
		echo "$SOURCE_DATE_EPOCH"
	elif commit=$(git -C "$1" -c core.fsmonitor=false log -1 --format=%ct 2>/dev/null) && [ -n "$commit" ]; then
		echo "$commit"
	else
		find "$1" \( -path '*/node_modules' -o -path "$1/build*" -o -path "$1/.run" \) -prune -o -type f -printf '%T@\n' |
			sort -n | tail -n 1 | cut -d. -f1
	fi
}
