/*
 * One line per event on standard error: `2026-11-23T22:31:27.123456Z info http.request path=/ …` or
 * one JSON object. Values are escaped, so a line is always one line. Secrets and what commands
 * write are never logged. Layers base, proto, net, db and web log at debug level only; whoever
 * decides what an error means logs it, once.
 *
 *	log_info(LOG_EV("agent.connected"), LOG_STR("socket", path), LOG_INT("attempt", n));
 */
#ifndef OPS_BASE_LOG_H
#define OPS_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/mem.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
};

enum log_format {
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

struct log_kv {
	const char *key; /* NULL ends the list */
	const char *str; /* NULL: the number is the value */
	int64_t num;
};

#define LOG_EV(event)                                                                              \
	{                                                                                          \
		"event", (event), 0                                                                \
	}
#define LOG_STR(key, value)                                                                        \
	{                                                                                          \
		(key), (value) != NULL ? (value) : "", 0                                           \
	}
#define LOG_INT(key, value)                                                                        \
	{                                                                                          \
		(key), NULL, (int64_t)(value)                                                      \
	}
#define LOG_END                                                                                    \
	{                                                                                          \
		NULL, NULL, 0                                                                      \
	}

#define log_debug(...) log_emit(LOG_LEVEL_DEBUG, (const struct log_kv[]){__VA_ARGS__, LOG_END})
#define log_info(...) log_emit(LOG_LEVEL_INFO, (const struct log_kv[]){__VA_ARGS__, LOG_END})
#define log_warn(...) log_emit(LOG_LEVEL_WARN, (const struct log_kv[]){__VA_ARGS__, LOG_END})
#define log_error(...) log_emit(LOG_LEVEL_ERROR, (const struct log_kv[]){__VA_ARGS__, LOG_END})

/* Level and format for the whole process; info and text until called. */
void log_setup(enum log_level level, enum log_format format);
/* Parses debug, info, warn or error (text or json); -EINVAL otherwise. */
MUSTCHECK int log_parse_level(const char *text, enum log_level *ret_level);
MUSTCHECK int log_parse_format(const char *text, enum log_format *ret_format);
/* Whether lines below warn may wait for log_flush(), so that what one turn of a loop says is one
 * write(2). For a process with one thread that logs, which flushes before it waits and at its end;
 * a line of warn or error takes those before it along. */
void log_set_buffered(bool is_buffered);
void log_flush(void);
/* One write(2) to standard error, or later with others; lines past 4 KiB are cut. */
void log_emit(enum log_level level, const struct log_kv *kvs);

#endif
