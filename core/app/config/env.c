#include "core/app/config/env.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/app/limits.h"
#include "core/base/file.h"

static const char *lookup(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return *envp + n + 1;
	}
	return NULL;
}

static const char *lookup_line(const struct env *env, const char *name)
{
	for (size_t i = 0; i < env->n_lines; i++) {
		if (strcmp(env->lines[i].name, name) == 0)
			return env->lines[i].value;
	}
	return NULL;
}

static bool name_is_valid(const char *name, size_t n)
{
	if (n == 0 || isdigit((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	}
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static int parse_line(struct env *env, const char *line, size_t n, unsigned number, struct err *err)
{
	const char *eq, *value;
	size_t name_len;
	char *name;

	while (n > 0 && is_blank(line[0]))
		line++, n--;
	while (n > 0 && is_blank(line[n - 1]))
		n--;
	if (n == 0 || line[0] == '#')
		return 0;
	eq = memchr(line, '=', n);
	name_len = eq != NULL ? (size_t)(eq - line) : 0;
	if (!name_is_valid(line, name_len))
		return err_set(err, -EINVAL, "line %u: expected NAME=VALUE", number);
	value = eq + 1;
	n -= name_len + 1;
	if (n > 0 && (value[0] == '"' || value[0] == '\'')) {
		if (n < 2 || value[n - 1] != value[0])
			return err_set(err, -EINVAL, "line %u: the quote is not closed", number);
		value++;
		n -= 2;
	}
	if (env->n_lines == ENV_MAX_LINES)
		return err_set(err, -E2BIG, "more than %d lines", ENV_MAX_LINES);
	name = xstrndup(line, name_len);
	if (lookup_line(env, name) != NULL) {
		err_set(err, -EINVAL, "line %u: %s is given twice", number, name);
		free(name);
		return -EINVAL;
	}
	env->lines[env->n_lines++] = (struct env_line){name, xstrndup(value, n)};
	return 0;
}

int env_parse(struct env *env, const char *text, size_t len, struct err *err)
{
	unsigned number = 0;

	if (memchr(text, '\0', len) != NULL)
		return err_set(err, -EINVAL, "holds a NUL byte");
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t n = end != NULL ? (size_t)(end - text) : len;
		int rc = parse_line(env, text, n, ++number, err);

		if (rc < 0)
			return rc;
		text += n;
		len -= n;
		if (end != NULL)
			text++, len--;
	}
	return 0;
}

int env_init(struct env *env, char *const envp[], struct err *err)
{
	const char *path = lookup(envp, "ENV_FILE");
	struct buf buf;
	int rc;

	memset(env, 0, sizeof(*env));
	env->envp = envp;
	if (path == NULL || *path == '\0')
		return 0;
	buf_init(&buf, LIMIT_ENV_FILE_BYTES);
	rc = file_read(AT_FDCWD, path, &buf, err);
	if (rc == 0 && buf.len != 0) {
		rc = env_parse(env, (const char *)buf.data, buf.len, err);
		if (rc < 0)
			err_wrap(err, "%s", path);
	}
	if (rc < 0)
		err_wrap(err, "ENV_FILE");
	mem_wipe(buf.data, buf.len);
	buf_fini(&buf);
	return rc;
}

void env_fini(struct env *env)
{
	for (size_t i = 0; i < env->n_lines; i++) {
		mem_wipe(env->lines[i].value, strlen(env->lines[i].value));
		free(env->lines[i].name);
		free(env->lines[i].value);
	}
	env->n_lines = 0;
}

static int get_file(const char *name, const char *path, char **ret_value, struct err *err)
{
	struct buf buf;
	int rc;

	buf_init(&buf, LIMIT_CONFIG_VALUE_BYTES);
	rc = file_read(AT_FDCWD, path, &buf, err);
	if (rc == -EMSGSIZE)
		err_set(err, rc, "%s: longer than %d bytes", path, LIMIT_CONFIG_VALUE_BYTES);
	if (rc == 0 && buf.len > 0 && buf.data[buf.len - 1] == '\n')
		buf.len--;
	if (rc == 0 && buf.len > 0 && memchr(buf.data, '\0', buf.len) != NULL)
		rc = err_set(err, -EINVAL, "%s holds a NUL byte", path);
	if (rc == 0 && buf.len == 0)
		rc = err_set(err, -EINVAL, "%s is empty", path);
	if (rc == 0)
		*ret_value = xstrndup((const char *)buf.data, buf.len);
	else
		err_wrap(err, "%s_FILE", name);
	mem_wipe(buf.data, buf.len);
	buf_fini(&buf);
	return rc;
}

int env_get(const struct env *env, const char *name, char **ret_value, struct err *err)
{
	char *file_name = xasprintf("%s_FILE", name);
	const char *value = lookup(env->envp, name), *path = lookup(env->envp, file_name);
	int rc = 0;

	/* The environment as a whole wins: a path there is not overruled by a line of ENV_FILE. */
	if (value == NULL && path == NULL) {
		value = lookup_line(env, name);
		path = lookup_line(env, file_name);
	}
	free(file_name);
	if (value != NULL && *value == '\0')
		value = NULL;
	if (path != NULL && *path == '\0')
		path = NULL;
	*ret_value = NULL;
	if (value != NULL && path != NULL)
		rc = err_set(err, -EINVAL, "%s and %s_FILE are both given", name, name);
	else if (path != NULL)
		rc = get_file(name, path, ret_value, err);
	else if (value != NULL && strlen(value) > LIMIT_CONFIG_VALUE_BYTES)
		rc = err_set(
			err, -EINVAL, "%s: longer than %d bytes", name, LIMIT_CONFIG_VALUE_BYTES);
	else if (value != NULL)
		*ret_value = xstrdup(value);
	return rc;
}
