#include "agent/runner/secrets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/secret_file.h"
#include "core/base/log.h"

static void wipe_free(char *text)
{
	if (text != NULL)
		mem_wipe(text, strlen(text));
	free(text);
}

void secrets_fini(struct secrets *secrets)
{
	for (size_t i = 0; i < secrets->n; i++)
		wipe_free(secrets->items[i]);
	free(secrets->items);
	mask_unref(secrets->mask);
	*secrets = (struct secrets){0};
}

static int check(const struct secrets *secrets, size_t n, struct err *err)
{
	if (n < MASK_MIN_SECRET)
		return err_set(err, -EINVAL, "has fewer than %d bytes, so it cannot be masked",
			MASK_MIN_SECRET);
	if (n > MASK_MAX_SECRET)
		return err_set(err, -EINVAL, "has more than %d bytes", MASK_MAX_SECRET);
	if (secrets->n == MASK_MAX_SECRETS)
		return err_set(err, -ENOSPC, "is more than the %d secrets that a run may have",
			MASK_MAX_SECRETS);
	return 0;
}

int secrets_add(struct secrets *secrets, const char *value, struct err *err)
{
	struct mask *mask;
	int rc;

	for (size_t i = 0; i < secrets->n; i++) {
		if (strcmp(secrets->items[i], value) == 0)
			return 0;
	}
	rc = check(secrets, strlen(value), err);
	if (rc != 0)
		return rc;
	if (secrets->items == NULL)
		secrets->items = xcalloc(MASK_MAX_SECRETS, sizeof(*secrets->items));
	secrets->items[secrets->n] = xstrdup(value);
	mask = mask_new((const char *const *)secrets->items, secrets->n + 1);
	if (mask == NULL) {
		wipe_free(secrets->items[secrets->n]);
		secrets->items[secrets->n] = NULL;
		return err_set(err, -ENOSPC, "is too large together with the run's other secrets");
	}
	mask_unref(secrets->mask);
	secrets->mask = mask;
	secrets->n++;
	return 0;
}

int secrets_add_file(struct secrets *secrets, const char *path, uid_t trusted_uid, char **ret_value,
	struct err *err)
{
	struct err own = {0};
	char *value = secret_file_read(path, trusted_uid, err);

	if (value == NULL)
		return err->code;
	if (secrets_add(secrets, value, &own) == 0) {
		*ret_value = value;
		return 0;
	}
	secret_file_free(value);
	return err_set(err, own.code, "%s %s", path, own.msg);
}

static void add_quietly(struct secrets *secrets, const struct plan_step *step, uid_t trusted_uid)
{
	struct err err = {0};
	char *value;

	for (size_t i = 0; i < step->n_inputs; i++) {
		const struct plan_input *input = &step->inputs[i];

		if (input->present && input->spec.type == INPUT_SECRET &&
			input->value.ref == PLAN_LITERAL &&
			secrets_add(secrets, input->value.prefix, &err) != 0)
			log_debug(LOG_EV("secret.not_yet"), LOG_STR("error", err.msg));
	}
	for (size_t i = 0; i < step->n_env; i++) {
		if (step->env[i].secret_path == NULL)
			continue;
		if (secrets_add_file(
			    secrets, step->env[i].secret_path, trusted_uid, &value, &err) == 0)
			wipe_free(value);
		else
			log_debug(LOG_EV("secret.not_yet"), LOG_STR("error", err.msg));
	}
}

void secrets_add_plan(struct secrets *secrets, const struct plan *plan, uid_t trusted_uid)
{
	for (size_t i = 0; i < plan->n_steps; i++)
		add_quietly(secrets, &plan->steps[i], trusted_uid);
}
