/* The loader on real folders, and what `check` and `explain` print of the example catalogue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/config/catalog.h"
#include "agent/config/check.h"
#include "core/base/mem.h"

#define COMMANDS "version: 1\ncommands: { a: { title: A, exec: [/bin/true] } }\n"

static int set_up(void **state)
{
	char *dir = xstrdup("/tmp/test_load.XXXXXX");

	assert_non_null(mkdtemp(dir));
	*state = dir;
	return 0;
}

static int tear_down(void **state)
{
	char *command = xasprintf("rm -rf %s", (char *)*state);
	int rc = system(command);

	free(command);
	free(*state);
	return rc;
}

static void put(void *const *state, const char *name, const char *content)
{
	char *path = xasprintf("%s/%s", (const char *)*state, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(content, file);
	assert_int_equal(fchmod(fileno(file), 0644), 0);
	fclose(file);
	free(path);
}

static void make_dir(void *const *state, const char *name)
{
	char *path = xasprintf("%s/%s", (const char *)*state, name);

	assert_int_equal(mkdir(path, 0755), 0);
	free(path);
}

static struct catalog_opts everything_as_me(void)
{
	return (struct catalog_opts){.trusted_uid = geteuid(),
		.override_user = "nobody",
		.reserved_users = {"ops-agent", "ops-probe"}};
}

/* The catalogue, or NULL with the first error compared. */
static struct catalog *load(void *const *state, const char *error)
{
	struct catalog_opts opts = everything_as_me();
	struct catalog *catalog = NULL;
	struct config_errors errors;
	int rc = catalog_load(*state, &opts, &catalog, &errors);

	if (error == NULL) {
		if (rc != 0)
			fail_msg("%s", errors.lines[0]);
		return catalog;
	}
	assert_int_equal(rc, -EINVAL);
	assert_null(catalog);
	if (strstr(errors.lines[0], error) == NULL)
		fail_msg("'%s' is not in '%s'", error, errors.lines[0]);
	return NULL;
}

static void an_empty_folder_is_an_error(void **state)
{
	load(state, "commands.yml: is not there; without it nothing may run");
	put(state, "commands.yml", "");
	load(state, "commands.yml:1:1: is empty");
}

static void a_missing_folder_is_an_error(void **state)
{
	struct catalog_opts opts = everything_as_me();
	struct catalog *catalog = NULL;
	struct config_errors errors;

	(void)state;
	assert_int_equal(catalog_load("/nowhere/at/all", &opts, &catalog, &errors), -EINVAL);
	assert_string_equal(errors.lines[0], "/nowhere/at/all: No such file or directory");
}

static void files_others_can_write_are_refused(void **state)
{
	char *path = xasprintf("%s/commands.yml", (char *)*state);

	put(state, "commands.yml", COMMANDS);
	catalog_free(load(state, NULL));
	assert_int_equal(chmod(path, 0666), 0);
	load(state, "commands.yml (mode 0666) can be changed by others; chmod go-w");
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(chmod(*state, 0777), 0);
	load(state, "(mode 0777) can be changed by others; chmod go-w");
	free(path);
}

static void only_yml_files_are_flows(void **state)
{
	struct catalog *catalog;

	put(state, "commands.yml", COMMANDS);
	make_dir(state, "flows");
	put(state, "flows/b.yml", "version: 1\nid: b\ntitle: B\nsteps: [{ id: x, uses: a }]\n");
	put(state, "flows/a.yml", "version: 1\nid: z\ntitle: Z\nsteps: [{ id: x, uses: a }]\n");
	put(state, "flows/c.yml.example", "not: yaml: at all");
	put(state, "flows/.d.yml", "not: yaml: at all");
	catalog = load(state, NULL);
	assert_int_equal(catalog->n_flows, 2);
	assert_string_equal(catalog->flows[0].id, "z"); /* by file name */
	catalog_free(catalog);
	put(state, "flows/e.yaml", "version: 1\n");
	load(state, "flows/e.yaml: flows are read from *.yml; rename it, or move it away");
}

static void two_flows_cannot_share_a_name(void **state)
{
	put(state, "commands.yml", COMMANDS);
	make_dir(state, "flows");
	put(state, "flows/a.yml", "version: 1\nid: f\ntitle: A\nsteps: [{ id: x, uses: a }]\n");
	put(state, "flows/b.yml", "version: 1\nid: f\ntitle: B\nsteps: [{ id: x, uses: a }]\n");
	load(state, "flows/b.yml:2:5: another file has a flow 'f' already");
}

static void a_fifo_does_not_stop_the_loader(void **state)
{
	char *path = xasprintf("%s/commands.yml", (char *)*state);

	assert_int_equal(mkfifo(path, 0644), 0);
	load(state, "commands.yml: is not a file");
	free(path);
}

static void the_digest_covers_names_and_bytes(void **state)
{
	struct catalog *first, *second;

	put(state, "commands.yml", COMMANDS);
	make_dir(state, "flows");
	put(state, "flows/a.yml", "version: 1\nid: f\ntitle: A\nsteps: [{ id: x, uses: a }]\n");
	first = load(state, NULL);
	second = load(state, NULL);
	assert_string_equal(first->digest, second->digest);
	catalog_free(second);
	put(state, "flows/a.yml", "version: 1\nid: f\ntitle: A\nsteps: [{ id: x, uses: a }]\n#\n");
	second = load(state, NULL);
	assert_string_not_equal(first->digest, second->digest);
	catalog_free(second);
	put(state, "status.yml", "host: true\n");
	second = load(state, NULL);
	assert_string_not_equal(first->digest, second->digest);
	assert_true(second->has_status);
	catalog_free(second);
	catalog_free(first);
}

static void status_is_checked(void **state)
{
	put(state, "commands.yml", COMMANDS);
	put(state, "status.yml",
		"host: true\ninterval: 5s\ndocker: { socket: /run/docker.sock }\n"
		"units: [caddy.service, a@b.timer]\nrepositories: [/srv/app]\n"
		"certificates: [{ host: example.org, port: 443 }, { file: /etc/x.pem }]\n"
		"backups: [{ name: db, glob: /srv/*.dump, max_age: 26h, min_size: 1KiB }]\n"
		"urls: [{ url: 'https://example.org/', expect: 200 }]\n");
	catalog_free(load(state, NULL));
	put(state, "commands.yml",
		"version: 1\ncommands: { quick: { title: A, exec: [/bin/true] } }\n");
	put(state, "status.yml",
		"units: [a.service, { unit: b.timer, name: Nightly, action: quick }]\n"
		"repositories: [/srv/app, { path: /srv/web, action: quick }]\n"
		"certificates: [{ host: mail.example.org, starttls: smtp, action: quick }]\n"
		"urls: [{ url: 'https://example.org/', text: Welcome, action: quick }]\n"
		"backups: [{ name: db, glob: /srv/*.dump, verified_by: quick, action: quick }]\n"
		"actions: { host: quick, units: quick }\n");
	catalog_free(load(state, NULL));
	put(state, "status.yml", "units: [{ unit: a.service, action: quik }]\n");
	load(state,
		"status.yml:1:36: 'action' names no command or flow: 'quik' (did you mean quick?)");
	put(state, "status.yml", "backups: [{ name: a, glob: /b, verified_by: quack }]\n");
	load(state, "status.yml:1:45: 'verified_by' names no command or flow: 'quack'");
	put(state, "status.yml", "actions: { host: nothing.like.it }\n");
	load(state, "status.yml:1:18: 'action' names no command or flow: 'nothing.like.it'");
	put(state, "status.yml", "actions: { hosts: quick }\n");
	load(state, "status.yml:1:12: unknown key 'hosts' (did you mean host?)");
	put(state, "status.yml", "units: [{ name: x }]\n");
	load(state, "status.yml:1:9: 'units' needs the key 'unit'");
	put(state, "status.yml", "units: [[a.service]]\n");
	load(state, "status.yml:1:9: 'units' must be a mapping");
	put(state, "status.yml", "units: [a.service, { unit: a.service }]\n");
	load(state, "status.yml:1:28: 'a.service' is listed twice");
	put(state, "status.yml", "certificates: [{ host: a.b, starttls: pop3 }]\n");
	load(state, "status.yml:1:39: 'starttls' must be one of none, smtp, imap");
	put(state, "status.yml", "certificates: [{ file: /etc/x.pem, starttls: smtp }]\n");
	load(state, "status.yml:1:46: a certificate file has no 'starttls'");
	put(state, "status.yml", "units: [caddy]\n");
	load(state, "status.yml:1:9: 'caddy' is no unit name, such as caddy.service");
	put(state, "status.yml", "units: [caddy.serv]\n");
	load(state, "status.yml:1:9: 'caddy.serv' is no unit name");
	put(state, "status.yml", "certificates: [{ port: 443 }]\n");
	load(state, "status.yml:1:16: a certificate has 'host' (and 'port') or 'file'");
	put(state, "status.yml", "interval: 10ms\n");
	load(state, "status.yml:1:11: 'interval' must be at least 1s");
	put(state, "status.yml", "urls: [{ url: 'ftp://x' }]\n");
	load(state, "status.yml:1:15: 'url' must begin with https:// or http://");
	put(state, "status.yml", "unit: [a.service]\n");
	load(state, "status.yml:1:1: unknown key 'unit' (did you mean units?)");
}

static void accounts_are_looked_at(void **state)
{
	struct catalog_opts opts = {.trusted_uid = geteuid(),
		.run_user = "no-such-account",
		.reserved_users = {"no-such", NULL, "daemon"}};
	struct catalog *catalog = NULL;
	struct config_errors errors;

	put(state, "commands.yml",
		"version: 1\ncommands:\n"
		"  a: { title: A, exec: [/bin/true] }\n"
		"  b: { title: B, exec: [/bin/true] }\n"
		"  c: { title: C, exec: [/bin/true], user: daemon }\n"
		"  d: { title: D, exec: [/bin/true], user: nobody }\n"
		"  e: { title: E, exec: [/bin/true], user: nobodyy }\n");
	assert_int_equal(catalog_load(*state, &opts, &catalog, &errors), -EINVAL);
	assert_int_equal(errors.total, 3);
	assert_string_equal(errors.lines[0],
		"commands.yml: the default account 'no-such-account' does not exist on this "
		"machine; name another in 'defaults'");
	assert_string_equal(errors.lines[1],
		"commands.yml:5:43: the account 'daemon' belongs to the agent; commands run as "
		"another one");
	assert_string_equal(errors.lines[2],
		"commands.yml:7:43: the account 'nobodyy' does not exist on this machine");
}

static void programs_are_looked_at(void **state)
{
	put(state, "commands.yml",
		"version: 1\ncommands: { a: { title: A, exec: [/bin/no-such-program] } }\n");
	load(state, "commands.yml:2:35: /bin/no-such-program: No such file or directory");
	put(state, "commands.yml",
		"version: 1\ncommands: { a: { title: A, exec: [/etc/passwd] } }\n");
	load(state, "commands.yml:2:35: /etc/passwd is not executable; chmod +x");
}

/* ---- the examples ---- */

static void copy_examples(void *const *state)
{
	const char *dir = *state;
	char *command =
		xasprintf("set -e; cp -r '%s/deploy/ops-agent/examples' %s/etc; "
			  "cp -r '%s/deploy/ops-agent/libexec' %s/libexec; chmod -R go-w %s; "
			  "sed -i 's#/usr/local/libexec/ops#%s/libexec#' %s/etc/*.yml",
			OPS_SOURCE_ROOT, dir, OPS_SOURCE_ROOT, dir, dir, dir, dir);

	assert_int_equal(system(command), 0);
	free(command);
}

static void the_examples_are_valid(void **state)
{
	struct catalog_opts opts = everything_as_me();
	char *dir = xasprintf("%s/etc", (char *)*state);
	char *text = NULL, *problems = NULL;
	size_t n = 0, n_problems = 0;
	FILE *out = open_memstream(&text, &n);
	FILE *err_out = open_memstream(&problems, &n_problems);

	copy_examples(state);
	assert_int_equal(check_run(dir, &opts, out, err_out), CHECK_EXIT_OK);
	fclose(out);
	fclose(err_out);
	assert_string_equal(problems, "");
	assert_non_null(strstr(text, "pg.dump: Dump the database\n"));
	assert_non_null(strstr(text, "/libexec/demo-flood '${inputs.mib}'\n"));
	assert_non_null(strstr(text, "    input mib: int, min 1, max 4096, default 64\n"));
	assert_non_null(strstr(text, "backup (flow): Backup\n"));
	assert_non_null(strstr(text, "demo.parallel (flow): "));
	assert_non_null(strstr(text, "    step gate: waits for an approval, "));
	assert_non_null(strstr(text, " commands, 2 flows, status.yml in "));
	free(text);
	free(problems);
	free(dir);
}

static void the_examples_for_other_software_are_valid_too(void **state)
{
	struct catalog_opts opts = everything_as_me();
	char *dir = xasprintf("%s/etc", (char *)*state);
	char *command =
		xasprintf("set -e; cd %s; cat commands.*.yml.example >> commands.yml; "
			  "sed -i 's#/usr/bin/\\(caddy\\|docker\\|curl\\|systemctl\\)#/bin/true#' "
			  "commands.yml; "
			  "for f in flows/*.example; do mv $f ${f%%.example}; done",
			dir);
	struct catalog *catalog = NULL;
	struct config_errors errors;

	copy_examples(state);
	assert_int_equal(system(command), 0);
	if (catalog_load(dir, &opts, &catalog, &errors) != 0)
		fail_msg("%s", errors.lines[0]);
	assert_int_equal(catalog->n_flows, 4);
	catalog_free(catalog);
	free(command);
	free(dir);
}

static void explain_says_what_would_run_or_what_is_wrong(void **state)
{
	struct catalog_opts opts = everything_as_me();
	char *dir = xasprintf("%s/etc", (char *)*state);
	char *good[] = {xstrdup("label=it works")};
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	copy_examples(state);
	assert_int_equal(
		check_explain(dir, &opts, "backup", good, 1, out, out), CHECK_EXIT_BAD_INPUT);
	fflush(out);
	assert_string_equal(
		text, "label: may hold only letters, digits, '.', '_' and '-' (A-Z, a-z, 0-9)\n");
	rewind(out);
	strcpy(good[0], "label=weekly");
	assert_int_equal(check_explain(dir, &opts, "backup", good, 1, out, out), CHECK_EXIT_OK);
	fflush(out);
	assert_non_null(strstr(text, " --label=weekly '--run=${run.id}'\n"));
	assert_non_null(strstr(text, " '--file=${steps.dump.outputs.path}' "));
	assert_non_null(strstr(text, "    environment PGSERVICEFILE, PGAPPNAME\n"));
	assert_non_null(strstr(text, "    user nobody, folder /, timeout 30m, kill after 10s\n"));
	rewind(out);
	assert_int_equal(
		check_explain(dir, &opts, "bakcup", NULL, 0, out, out), CHECK_EXIT_BAD_INPUT);
	strcpy(good[0], "label");
	assert_int_equal(check_explain(dir, &opts, "backup", good, 1, out, out), CHECK_EXIT_USAGE);
	fclose(out);
	free(text);
	free(good[0]);
	free(dir);
}

static void files_that_only_look_as_if_they_counted_are_errors(void **state)
{
	put(state, "commands.yml", COMMANDS);
	put(state, "status.yaml", "");
	load(state, "status.yaml: is not read; rename it to status.yml, or move it away");
	make_dir(state, "flows");
	put(state, "flows/a.yaml.yaml", "");
	load(state, "flows/a.yaml.yaml: flows are read from *.yml; rename it, or move it away");
}

static void the_folders_of_path_are_looked_at(void **state)
{
	put(state, "commands.yml",
		"version: 1\ncommands: { a: { title: A, exec: [/bin/true], env: { PATH: "
		"\"/usr/bin:/tmp\" } } }\n");
	load(state, "commands.yml:2:60: PATH: /tmp takes files of others");
	put(state, "commands.yml",
		"version: 1\ncommands: { a: { title: A, exec: [/bin/true], env: { PATH: "
		"\"/usr/bin:/opt/no-such-folder\" } } }\n");
	catalog_free(load(state, NULL));
}

/* Two whole sets change places while they are read: each load sees one of them, never a mixture. */
static void a_set_that_is_swapped_while_it_is_read_is_never_mixed(void **state)
{
	char *here = xasprintf("%s/here", (char *)*state),
	     *there = xasprintf("%s/there", (char *)*state);
	char seen[2][CATALOG_DIGEST_TEXT_BYTES] = {"", ""};
	struct catalog_opts opts = everything_as_me();
	size_t loads[2] = {0, 0};
	pid_t swapper;

	for (int i = 0; i < 2; i++) {
		const char *set = i == 0 ? "here" : "there";
		const char *id = i == 0 ? "a" : "b";
		char *commands = xasprintf("%s/commands.yml", set);

		make_dir(state, set);
		for (int j = 0; j < 4; j++) {
			char *name = xasprintf("%s/flows/f%d.yml", set, j);
			char *flow = xasprintf(
				"version: 1\nid: f%d\ntitle: F\nsteps: [{ id: s, uses: %s }]\n", j,
				id);

			if (j == 0) {
				char *folder = xasprintf("%s/flows", set);

				make_dir(state, folder);
				free(folder);
			}
			put(state, name, flow);
			free(name);
			free(flow);
		}
		put(state, commands,
			i == 0 ? COMMANDS
			       : "version: 1\ncommands: { b: { title: A, exec: [/bin/true] } }\n");
		free(commands);
	}
	swapper = fork();
	if (swapper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			if (renameat2(AT_FDCWD, here, AT_FDCWD, there, RENAME_EXCHANGE) != 0)
				_exit(1);
			usleep(50);
		}
	}
	for (int i = 0; i < 400; i++) {
		struct catalog *catalog = NULL;
		struct config_errors errors;

		if (catalog_load(here, &opts, &catalog, &errors) != 0) {
			if (strstr(errors.lines[0], "changes while it is read") == NULL)
				fail_msg("a mixture was seen: %s", errors.lines[0]);
			continue;
		}
		loads[strcmp(catalog->commands[0].id, "b") == 0]++;
		strcpy(seen[strcmp(catalog->commands[0].id, "b") == 0], catalog->digest);
		catalog_free(catalog);
	}
	kill(swapper, SIGKILL);
	assert_int_equal(waitpid(swapper, NULL, 0), swapper);
	assert_true(loads[0] + loads[1] > 0);
	assert_string_not_equal(seen[0], seen[1]);
	free(here);
	free(there);
}

/* The line of `check` that begins with this word. */
static void digest_of(void *const *state, const char *word, char digest[65])
{
	struct catalog_opts opts = everything_as_me();
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);
	const char *line;

	assert_int_equal(check_run(*state, &opts, out, out), CHECK_EXIT_OK);
	fclose(out);
	line = strstr(text, word);
	assert_non_null(line);
	assert_int_equal(sscanf(line + strlen(word), "%64s", digest), 1);
	free(text);
}

/* What cannot change what is executed does not change the digest of the shapes; all else does. */
static void the_digest_of_shapes_tells_whether_an_edit_matters(void **state)
{
	static const char base[] = "{ title: A, exec: [/bin/true, \"${inputs.n}\"], inputs: { n: { "
				   "type: int, max: 5, default: 1 } } }";
	static const struct {
		const char *command;
		bool same;
	} edits[] = {
		{"{ title: B, timeout: 5s, confirm: true, exec: [/bin/true, \"${inputs.n}\"], "
		 "inputs: { n: { type: int, max: 5, default: 2, title: N } } } # told",
			true},
		{"{ title: A, exec: [/bin/true, \"${inputs.n}\"], inputs: { n: { type: int, max: "
		 "6, default: 1 } } }",
			false},
		{"{ title: A, exec: [/bin/true, \"--n=${inputs.n}\"], inputs: { n: { type: int, "
		 "max: 5, default: 1 } } }",
			false},
		{"{ title: A, cwd: /tmp, exec: [/bin/true, \"${inputs.n}\"], inputs: { n: { type: "
		 "int, max: 5, default: 1 } } }",
			false},
		{"{ title: A, env: { A: b }, exec: [/bin/true, \"${inputs.n}\"], inputs: { n: { "
		 "type: int, max: 5, default: 1 } } }",
			false},
	};
	char shapes[65], files[65], then[65];
	char *text = xasprintf("version: 1\ncommands:\n  a: %s\n", base);

	put(state, "commands.yml", text);
	free(text);
	digest_of(state, "\nargv ", shapes);
	digest_of(state, "\nconfig ", files);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		text = xasprintf("version: 1\ncommands:\n  a: %s\n", edits[i].command);
		put(state, "commands.yml", text);
		free(text);
		digest_of(state, "\nargv ", then);
		if ((strcmp(then, shapes) == 0) != edits[i].same)
			fail_msg("%s", edits[i].command);
		digest_of(state, "\nconfig ", then);
		assert_string_not_equal(then, files);
	}
}

static void secrets_and_limits_are_shown_and_secrets_kept(void **state)
{
	struct catalog_opts opts = everything_as_me();
	char *text = NULL, *yaml = xasprintf("version: 1\ncommands:\n  a:\n    title: A\n"
					     "    exec: [/bin/true]\n    env: { B: c }\n"
					     "    secrets: { PW: %s/pw }\n"
					     "    limits: { memory: 1MiB, cpu: 50%%, pids: 7 }\n",
				   (char *)*state);
	char *secret = xasprintf("%s/pw", (char *)*state);
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	put(state, "commands.yml", yaml);
	put(state, "pw", "correct-horse");
	assert_int_equal(chmod(secret, 0600), 0);
	make_dir(state, "flows");
	put(state, "flows/f.yml",
		"version: 1\nid: f\ntitle: F\nsteps:\n"
		"  - { id: one, uses: a, retry: { limit: 2, delay: 5s }, continue_on_error: true "
		"}\n"
		"  - { id: two, approve: { prompt: Sure? } }\n"
		"  - { id: three, uses: a, needs: [one, two], if: \"always()\" }\n");
	if (check_run(*state, &opts, out, out) != CHECK_EXIT_OK) {
		fclose(out);
		fail_msg("%s", text);
	}
	fclose(out);
	assert_non_null(strstr(text, "    environment B c\n"));
	assert_non_null(strstr(text, "    environment PW is secret, from /tmp/"));
	assert_null(strstr(text, "correct-horse"));
	assert_non_null(strstr(text, "    at most 1048576 bytes of memory\n    at most 50% of a "
				     "processor\n    at most 7 processes and threads\n"));
	assert_non_null(strstr(text, "    step one: a, tried again 2 times after 5s, may fail\n"));
	assert_non_null(
		strstr(text, "    step two: waits for an approval, after one\n        Sure?\n"));
	assert_non_null(strstr(text, "    step three: a, after one and two, if always()\n"));
	free(text);
	free(yaml);
	free(secret);
}

static void files_of_secrets_are_looked_at(void **state)
{
	static const struct {
		const char *content; /* NULL: there is no file */
		mode_t mode;
		const char *error; /* NULL: it is good */
	} cases[] = {
		{"correct-horse\n", 0600, NULL},
		{"correct-horse\n", 0400, NULL},
		{"12345678", 0600, NULL},
		{NULL, 0, "No such file"},
		{"correct-horse\n", 0640, "must be a file that only its owner may read; chmod 600"},
		{"correct-horse\n", 0604, "must be a file that only its owner may read"},
		{"1234567 \t\r\n", 0600, "has fewer than 8 bytes, so it cannot be masked"},
		{"", 0600, "has fewer than 8 bytes"},
	};
	char *yaml = xasprintf("version: 1\ncommands:\n  a:\n    title: A\n"
			       "    exec: [/bin/true]\n    secrets: { PW: %s/pw }\n",
		(char *)*state);
	char *secret = xasprintf("%s/pw", (char *)*state);
	char *big = xcalloc(1, 4098);

	put(state, "commands.yml", yaml);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		unlink(secret);
		if (cases[i].content != NULL) {
			put(state, "pw", cases[i].content);
			assert_int_equal(chmod(secret, cases[i].mode), 0);
		}
		catalog_free(load(state, cases[i].error));
		if (cases[i].error != NULL)
			catalog_free(load(state, "commands.yml:6:20: "));
	}
	memset(big, 'x', 4097);
	put(state, "pw", big);
	assert_int_equal(chmod(secret, 0600), 0);
	catalog_free(load(state, "has more than 4096 bytes"));
	unlink(secret);
	assert_int_equal(mkdir(secret, 0700), 0);
	catalog_free(load(state, "must be a file that only its owner may read"));
	rmdir(secret);
	if (geteuid() == 0) {
		put(state, "pw", "correct-horse");
		assert_int_equal(chmod(secret, 0600), 0);
		assert_int_equal(chown(secret, 65534, 65534), 0);
		catalog_free(load(state, "belongs to uid 65534"));
	}
	free(big);
	free(yaml);
	free(secret);
}

static void check_shows_groups_rates_schedules_and_accounts(void **state)
{
	struct catalog_opts opts = everything_as_me();
	char *text = NULL, *accounts;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	put(state, "commands.yml",
		"version: 1\ngroups: { backup: { max_concurrent: 2, queue: 5 }, idle: { "
		"max_concurrent: 1 } }\n"
		"commands:\n"
		"  a: { title: A, exec: [/bin/true], group: backup, max_rate: { limit: 3, per: 5m "
		"} }\n"
		"  b: { title: B, exec: [/bin/false] }\n");
	make_dir(state, "flows");
	put(state, "flows/f.yml",
		"version: 1\nid: f\ntitle: F\ntimeout: 2h\n"
		"concurrency: { group: nightly, on_conflict: queue }\n"
		"schedule:\n"
		"  - { cron: \"15 3 * * *\", timezone: Asia/Kolkata, catch_up: 6h }\n"
		"  - { cron: \"@yearly\" }\n"
		"  - { cron: \"0 0 30 2 *\" }\n"
		"steps:\n  - { id: one, uses: a }\n");
	if (check_run(*state, &opts, out, out) != CHECK_EXIT_OK) {
		fclose(out);
		fail_msg("%s", text);
	}
	fclose(out);
	assert_non_null(strstr(text, "    group backup\n    at most 3 starts in 5m\n"));
	assert_non_null(
		strstr(text, "    timeout 2h\n    one at a time in nightly; another one is queued\n"
			     "    schedule 15 3 * * * Asia/Kolkata, catches up for 6h; next 2"));
	assert_non_null(strstr(text, " 03:15+05:30, 2"));
	assert_non_null(strstr(text, "-01-01 00:00+00:00, 2"));
	assert_non_null(strstr(text, "    schedule @yearly UTC; next 2"));
	assert_non_null(strstr(text,
		"group backup: 2 at a time, 5 may wait\ngroup idle: 1 at a time, 0 may wait\n"));
	accounts = xasprintf("user %s: a b\n2 commands, 1 flow in ", opts.override_user);
	assert_non_null(strstr(text, accounts));
	/* the digests are what they were: the last lines */
	assert_non_null(strstr(strstr(text, accounts), "\nargv    "));
	free(accounts);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_empty_folder_is_an_error),
		TEST(a_missing_folder_is_an_error),
		TEST(files_others_can_write_are_refused),
		TEST(only_yml_files_are_flows),
		TEST(two_flows_cannot_share_a_name),
		TEST(a_fifo_does_not_stop_the_loader),
		TEST(the_digest_covers_names_and_bytes),
		TEST(status_is_checked),
		TEST(accounts_are_looked_at),
		TEST(programs_are_looked_at),
		TEST(the_examples_are_valid),
		TEST(the_examples_for_other_software_are_valid_too),
		TEST(explain_says_what_would_run_or_what_is_wrong),
		TEST(the_digest_of_shapes_tells_whether_an_edit_matters),
		TEST(secrets_and_limits_are_shown_and_secrets_kept),
		TEST(files_of_secrets_are_looked_at),
		TEST(check_shows_groups_rates_schedules_and_accounts),
		TEST(files_that_only_look_as_if_they_counted_are_errors),
		TEST(the_folders_of_path_are_looked_at),
		TEST(a_set_that_is_swapped_while_it_is_read_is_never_mixed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
