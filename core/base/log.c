#include "core/base/log.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/base/json.h"

#define LOG_MAX_LINE 4096

static struct {
	enum log_level level;
	enum log_format format;
	bool is_buffered;
} setup = {LOG_LEVEL_INFO, LOG_FORMAT_TEXT, false};

/* What waits for log_flush(). Part of the log's setup: there is one standard error. */
static uint8_t pending[16u << 10];
static size_t n_pending;

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const level_columns[] = {" debug ", " info  ", " warn  ", " error "};

void log_setup(enum log_level level, enum log_format format)
{
	setup.level = level;
	setup.format = format;
}

int log_parse_level(const char *text, enum log_level *ret_level)
{
	for (unsigned i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

int log_parse_format(const char *text, enum log_format *ret_format)
{
	if (strcmp(text, "text") == 0)
		*ret_format = LOG_FORMAT_TEXT;
	else if (strcmp(text, "json") == 0)
		*ret_format = LOG_FORMAT_JSON;
	else
		return -EINVAL;
	return 0;
}

/* Times within a second differ in its fraction only. */
static void write_time(struct buf *buf)
{
	static _Thread_local char text[] = "2026-11-23T22:31:27.";
	static _Thread_local time_t said;
	uint64_t now = clock_wall_us();
	time_t seconds = (time_t)(now / CLOCK_SECOND_US);
	uint8_t fraction[] = "000000Z";
	struct tm tm;

	if (seconds != said) {
		gmtime_r(&seconds, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &tm);
		said = seconds;
	}
	now %= CLOCK_SECOND_US;
	for (int i = 5; i >= 0; i--, now /= 10)
		fraction[i] = (uint8_t)('0' + now % 10);
	buf_append(buf, text, sizeof(text) - 1);
	buf_append(buf, fraction, 7);
}

static bool is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		if (*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || (unsigned char)*s >= 0x7f)
			return false;
	}
	return true;
}

static void write_text_value(struct buf *buf, const char *s)
{
	struct json quoted;

	if (is_plain(s)) {
		buf_append_str(buf, s);
		return;
	}
	json_init(&quoted, buf);
	json_str(&quoted, s);
}

static void write_text_line(struct buf *buf, enum log_level level, const struct log_kv *kvs)
{
	write_time(buf);
	buf_append_str(buf, level_columns[level]);
	buf_append_str(buf, kvs[0].str);
	for (const struct log_kv *kv = kvs + 1; kv->key != NULL; kv++) {
		buf_append_byte(buf, ' ');
		buf_append_str(buf, kv->key);
		buf_append_byte(buf, '=');
		if (kv->str != NULL)
			write_text_value(buf, kv->str);
		else
			buf_append_int(buf, kv->num);
	}
}

static void write_json_line(struct buf *buf, enum log_level level, const struct log_kv *kvs)
{
	struct json json;

	json_init(&json, buf);
	json_open_object(&json);
	json_key(&json, "time");
	buf_append_byte(buf, '"');
	write_time(buf);
	buf_append_byte(buf, '"');
	json.after_key = false;
	json_kv_str(&json, "level", level_names[level]);
	for (const struct log_kv *kv = kvs; kv->key != NULL; kv++) {
		if (kv->str != NULL)
			json_kv_str(&json, kv->key, kv->str);
		else
			json_kv_int(&json, kv->key, kv->num);
	}
	json_close_object(&json);
}

/* Of a line that would not fit only what it was about, so that it stays valid JSON. */
static void write_cut_json_line(struct buf *buf, enum log_level level, const struct log_kv *kvs)
{
	struct log_kv event[] = {kvs[0], LOG_END};

	buf_reset(buf);
	write_json_line(buf, level, event);
	if (buf_err(buf) != 0)
		return;
	buf->len--; /* its closing brace */
	buf_append_str(buf, ",\"cut\":true}");
}

static void write_out(const void *data, size_t n)
{
	ssize_t written;

	do {
		written = write(STDERR_FILENO, data, n);
	} while (written < 0 && errno == EINTR);
}

void log_set_buffered(bool is_buffered)
{
	log_flush();
	setup.is_buffered = is_buffered;
}

void log_flush(void)
{
	if (n_pending > 0)
		write_out(pending, n_pending);
	n_pending = 0;
}

void log_emit(enum log_level level, const struct log_kv *kvs)
{
	struct buf buf;

	if (level < setup.level)
		return;
	buf_init(&buf, LOG_MAX_LINE);
	if (setup.format == LOG_FORMAT_JSON)
		write_json_line(&buf, level, kvs);
	else
		write_text_line(&buf, level, kvs);
	if (buf.err != 0 && setup.format == LOG_FORMAT_JSON)
		write_cut_json_line(&buf, level, kvs);
	buf.max = LOG_MAX_LINE + 1;
	buf.err = 0; /* a line that was too long goes out cut */
	buf_append_byte(&buf, '\n');
	if (setup.is_buffered && level < LOG_LEVEL_WARN && buf.len <= sizeof(pending)) {
		if (n_pending + buf.len > sizeof(pending))
			log_flush();
		memcpy(pending + n_pending, buf.data, buf.len);
		n_pending += buf.len;
	} else {
		log_flush();
		write_out(buf.data, buf.len);
	}
	buf_fini(&buf);
}
