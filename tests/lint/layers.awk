# Dependencies point one way (CONTRIBUTING.md, "Layers"). Input: the C sources. Fails on an #include
# that the table does not allow, on *_internal.h of another folder, and on a third-party API outside
# the place that owns it.
BEGIN {
	allow["proto"] = "proto"
	allow["core/base"] = "core/base"
	allow["core/yaml"] = "core/yaml core/base"
	allow["core/net"] = "core/net core/base proto"
	allow["core/web"] = "core/web core/net core/base proto"
	allow["core/db"] = "core/db core/net core/base proto"
	allow["core/agentlink"] = "core/agentlink core/net core/base proto"
	allow["core/app"] = "core/app core/web core/db core/agentlink core/net core/yaml core/base proto"
	allow["core"] = "core/app core/web core/db core/agentlink core/net core/base proto"
	allow["agent/config"] = "agent/config agent/run core/yaml core/base proto"
	allow["agent/run"] = "agent/run agent/config core/base proto"
	allow["agent/runner"] = "agent/runner agent/run agent/config core/base proto"
	allow["agent/monitor"] = "agent/monitor agent/run agent/config core/base proto"
	allow["agent/worker"] = "agent/worker agent/probes agent/monitor agent/run agent/config core/net core/base proto"
	allow["agent/relay"] = "agent/relay core/base"
	allow["agent/probes"] = "agent/probes agent/relay agent/config core/net core/base proto"
	allow["agent/ctl"] = "agent/ctl core/net core/base proto"
	allow["agent"] = "agent agent/probes agent/relay agent/config agent/run agent/runner agent/monitor agent/worker core/yaml core/base proto"

	owner["libpq-fe.h"] = "core/db"
	owner["llhttp.h"] = "core/web agent/probes/engine.c"
	owner["wslay/wslay.h"] = "core/web"
	owner["mbedtls/"] = "core/base/crypto.c core/net/tls.c core/net/tlscheck.c"
	owner["yaml.h"] = "core/yaml"
	owner["cyaml/cyaml.h"] = "agent/config"
	owner["curl/curl.h"] = "core/net/outgoing_curl.h"
	owner["jansson.h"] = "core/app core/agentlink core/main.c agent/ctl agent/probes/engine.c agent/probes/container_json.c agent/probes/report.c agent/probes/updater.c"
	owner["systemd/sd-journal.h"] = "agent/probes"
	owner["uv.h"] = "core agent/worker"
}

function folder(path, parts, n) {
	n = split(path, parts, "/")
	return n > 2 ? parts[1] "/" parts[2] : parts[1]
}

function directory(path) {
	sub(/\/[^\/]*$/, "", path)
	return path
}

function under(path, list, names, n, i) {
	n = split(list, names, " ")
	for (i = 1; i <= n; i++)
		if (path == names[i] || index(path, names[i] "/") == 1)
			return 1
	return 0
}

function listed(word, list) {
	return index(" " list " ", " " word " ") > 0
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
	split($0, q, "\"")
	to = folder(q[2])
	from = folder(FILENAME)
	if (q[2] !~ /\//)
		next
	if (!listed(to, allow[from])) {
		printf "%s:%d: %s may not include %s\n", FILENAME, FNR, from, q[2]
		bad = 1
	}
	if (q[2] ~ /_internal\.h$/ && directory(q[2]) != directory(FILENAME)) {
		printf "%s:%d: %s is for its own folder\n", FILENAME, FNR, q[2]
		bad = 1
	}
}

/^[ \t]*#[ \t]*include[ \t]*</ {
	name = $0
	sub(/^[^<]*</, "", name)
	sub(/>.*/, "", name)
	for (api in owner)
		if ((name == api || (api ~ /\/$/ && index(name, api) == 1)) && !under(FILENAME, owner[api])) {
			printf "%s:%d: <%s> belongs to %s\n", FILENAME, FNR, name, owner[api]
			bad = 1
		}
}

END {
	exit bad
}
