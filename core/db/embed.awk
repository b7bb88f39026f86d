# Turns migrations/NNNN_name.sql, given in order, into migrations.c. Each starts with `-- suits: VERSION`.
function basename(path, parts, n) {
	n = split(path, parts, "/")
	sub(/\.sql$/, "", parts[n])
	return parts[n]
}

function fail(why) {
	print FILENAME ": " why > "/dev/stderr"
	failed = 1
	exit 1
}

BEGIN {
	print "#include \"core/db/migrate.h\"\n"
	print "#pragma GCC diagnostic ignored \"-Woverlength-strings\"\n"
	print "static const struct migration migrations[] = {"
}

FNR == 1 {
	if (open)
		print "\t},"
	name = basename(FILENAME)
	open = 1
	if (name !~ /^[0-9][0-9][0-9][0-9]_[a-z0-9_]+$/ || substr(name, 1, 4) + 0 != ++number)
		fail("the name must be " sprintf("%04d", number) "_<a-z0-9_>.sql")
	if ($0 !~ /^-- suits: [0-9]+\.[0-9]+\.[0-9]+$/)
		fail("the first line must be '-- suits: VERSION'")
	printf "\t{\n\t\t.number = %d,\n\t\t.name = \"%s\",\n\t\t.suits = \"%s\",\n\t\t.sql =\n", number, name, $3
}

{
	if ($0 ~ /[^ -~\t]/)
		fail("line " FNR ": only ASCII")
	gsub(/\\/, "\\\\")
	gsub(/"/, "\\\"")
	gsub(/\t/, "\\t")
	gsub(/\?\?/, "?\\?")
	printf "\t\t\t\"%s\\n\"\n", $0
}

END {
	if (failed)
		exit 1
	print "\t},\n\t{0},\n};\n"
	print "const struct migration *migrate_all(void)\n{\n\treturn migrations;\n}"
}
