#include "core/app/notify/notify_command.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>
#include <uv.h>

#include "core/app/config/config.h"
#include "core/app/config/report.h"
#include "core/app/notify/notify_message.h"

struct run {
	uv_loop_t loop;
	struct outgoing *outgoing;
	size_t n_left;
	int rc;
};

struct sent {
	struct run *run;
	const char *target;
};

static void on_closed(void *arg)
{
	(void)arg;
}

/* A target has taken the test, or has not. */
static void on_answer(const struct outgoing_result *result, void *arg)
{
	struct sent *sent = arg;
	bool ok = notify_message_arrived(result);

	printf("%s: %s: %s\n", sent->target, ok ? "ok" : "failed", result->message);
	if (!ok)
		sent->run->rc = EX_UNAVAILABLE;
	sent->run->n_left--;
}

/* Time to see whether all have answered: closing is not allowed from within their callbacks. */
static void on_look(uv_timer_t *timer)
{
	struct run *run = timer->data;

	if (run->n_left > 0)
		return;
	uv_close((uv_handle_t *)timer, NULL);
	outgoing_close(run->outgoing, on_closed, NULL);
}

static int send_all(const struct config *cfg, const char *only)
{
	struct sent sent[NOTIFY_MAX_TARGETS];
	struct run run = {.rc = 0};
	struct notify_words words = {
		.language = cfg->notify->language, .origin = cfg->public_origin};
	char host[65] = "";
	uv_timer_t look;

	gethostname(host, sizeof(host) - 1);
	words.host = host;
	if (uv_loop_init(&run.loop) < 0)
		return EX_OSERR;
	run.outgoing = outgoing_open(&run.loop);
	for (size_t i = 0; i < cfg->notify->n_targets; i++) {
		const struct notify_target *target = &cfg->notify->targets[i];
		struct notify_event event = {0};

		if (only != NULL && strcmp(only, target->name) != 0)
			continue;
		sent[i] = (struct sent){&run, target->name};
		notify_text_test(&words, target->name, &event);
		run.n_left++;
		notify_message_send(run.outgoing, target, &event, 1, on_answer, &sent[i]);
	}
	uv_timer_init(&run.loop, &look);
	look.data = &run;
	uv_timer_start(&look, on_look, 0, 20);
	uv_run(&run.loop, UV_RUN_DEFAULT);
	uv_loop_close(&run.loop);
	return run.rc;
}

int command_notify_test(char *const envp[], const char *target)
{
	struct config_report report;
	struct config cfg;
	int rc = EX_CONFIG;

	if (config_load_notify(envp, &cfg, &report) < 0) {
		report_print(&report);
	} else if (cfg.notify == NULL) {
		fputs("ops-dashboard: NOTIFY_FILE is not given: there is nobody to tell\n", stderr);
	} else if (target != NULL && notify_conf_target(cfg.notify, target) == NULL) {
		fprintf(stderr,
			"ops-dashboard: NOTIFY_FILE names no target '%s'; there are:", target);
		for (size_t i = 0; i < cfg.notify->n_targets; i++)
			fprintf(stderr, " %s", cfg.notify->targets[i].name);
		fputc('\n', stderr);
		rc = EX_USAGE;
	} else {
		rc = send_all(&cfg, target);
	}
	config_fini(&cfg);
	return rc;
}
