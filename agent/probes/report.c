#include "agent/probes/report.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/utf8.h"

void report_init(struct report *report)
{
	*report = (struct report){0};
	buf_init(&report->bytes, REPORT_MAX_BYTES);
}

void report_fini(struct report *report)
{
	buf_fini(&report->bytes);
	buf_fini(&report->now.values);
}

struct finding *report_begin(struct report *report, const char *id, const char *title)
{
	struct finding *finding = &report->now;

	*finding = (struct finding){.level = LEVEL_OK};
	snprintf(finding->id, sizeof(finding->id), "%s", id);
	snprintf(finding->title, sizeof(finding->title), "%s", title);
	buf_init(&finding->values, REPORT_MAX_VALUES);
	json_init(&finding->json, &finding->values);
	json_open_object(&finding->json);
	return finding;
}

static void put_bytes(struct buf *out, const void *data, size_t n)
{
	uint32_t len = (uint32_t)n;

	buf_append(out, &len, sizeof(len));
	buf_append(out, data, n);
}

/* One that does not fit is left out: the values of what follows may be smaller. */
void report_end(struct report *report)
{
	struct finding *finding = &report->now;
	size_t before = report->bytes.len;

	json_close_object(&finding->json);
	if (buf_err(&finding->values) == 0 && buf_err(&report->bytes) == 0) {
		buf_append_byte(&report->bytes, (uint8_t)finding->level);
		buf_append_byte(&report->bytes, finding->rise);
		buf_append_byte(&report->bytes, finding->fall);
		put_bytes(&report->bytes, finding->id, strlen(finding->id));
		put_bytes(&report->bytes, finding->title, strlen(finding->title));
		put_bytes(&report->bytes, finding->message, strlen(finding->message));
		put_bytes(&report->bytes, finding->code, strlen(finding->code));
		put_bytes(&report->bytes, finding->params, strlen(finding->params));
		put_bytes(&report->bytes, finding->values.data, finding->values.len);
	}
	if (buf_err(&report->bytes) != 0) {
		report->bytes.len = before;
		report->bytes.err = 0;
	}
	buf_fini(&finding->values);
	buf_init(&finding->values, 0);
}

static void put_signed(struct json *json, int64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, n);
	json_str(json, text);
}

static void put_unsigned(struct json *json, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, n);
	json_str(json, text);
}

/* The precision of a string: `.*` takes it from the arguments. */
static const char *read_precision(const char *at, int *ret_precision, va_list *args)
{
	char *end;

	*ret_precision = INT_MAX;
	if (at[0] != '.')
		return at;
	if (at[1] == '*') {
		*ret_precision = va_arg(*args, int);
		return at + 2;
	}
	*ret_precision = (int)strtol(at + 1, &end, 10);
	return end;
}

/* One conversion; at: behind its '%'. Returns what is behind it. */
static const char *put_param(struct json *json, const char *at, va_list *args)
{
	int precision, longs = 0;
	const char *text;

	at = read_precision(at, &precision, args);
	for (; *at == 'l'; at++)
		longs++;
	if (at[0] == 'z' && at[1] == 'u') {
		put_unsigned(json, va_arg(*args, size_t));
		return at + 2;
	}
	switch (*at) {
	case 'd':
		put_signed(json, longs == 0   ? va_arg(*args, int)
				 : longs == 1 ? va_arg(*args, long)
					      : va_arg(*args, long long));
		break;
	case 'u':
		put_unsigned(json, longs == 0	? va_arg(*args, unsigned)
				   : longs == 1 ? va_arg(*args, unsigned long)
						: va_arg(*args, unsigned long long));
		break;
	case 's':
		text = va_arg(*args, const char *);
		json_strn(json, text, strnlen(text, (size_t)precision));
		break;
	default:
		assert(*at == '%'); /* report.h says which there are */
	}
	return at + 1;
}

static void set_params(struct finding *finding, const char *fmt, va_list *args)
{
	struct json json;
	struct buf text;

	buf_init(&text, sizeof(finding->params) - 1);
	json_init(&json, &text);
	json_open_array(&json);
	for (const char *at = strchr(fmt, '%'); at != NULL; at = strchr(at, '%'))
		at = put_param(&json, at + 1, args);
	json_close_array(&json);
	if (buf_err(&text) == 0)
		memcpy(finding->params, text.data, text.len);
	else /* too much of it: the text has to do */
		finding->code[0] = '\0';
	finding->params[buf_err(&text) == 0 ? text.len : 0] = '\0';
	buf_fini(&text);
}

void finding_raise(
	struct finding *finding, enum level level, const char *code, const char *fmt, ...)
{
	va_list args;

	if (level_worse(finding->level, level) == finding->level)
		return;
	finding->level = level;
	va_start(args, fmt);
	vsnprintf(finding->message, sizeof(finding->message), fmt, args);
	va_end(args);
	snprintf(finding->code, sizeof(finding->code), "%s", code != NULL ? code : "");
	finding->params[0] = '\0';
	if (code == NULL)
		return;
	va_start(args, fmt);
	set_params(finding, fmt, &args);
	va_end(args);
}

void finding_tenths(struct finding *finding, const char *key, int64_t tenths)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%s%lld.%d", tenths < 0 ? "-" : "",
		(long long)llabs(tenths / 10), (int)llabs(tenths % 10));

	json_key(&finding->json, key);
	json_raw(&finding->json, text, (size_t)n);
}

static void copy_text(char *out, size_t cap, struct wire_str text)
{
	size_t n = MIN((size_t)text.len, cap - 1);

	memcpy(out, text.data, n);
	out[n] = '\0';
}

/* Values stand in the document as they came: they must not end before their text does. */
static bool is_object(struct wire_str text)
{
	/* our own numbers may be larger than what jansson has for whole ones */
	json_t *root =
		json_loadb(text.data, text.len, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, NULL);
	bool is = json_is_object(root);

	json_decref(root);
	return is;
}

/* An array of texts, and of nothing else: the page takes no status that has another in it. */
static bool are_texts(struct wire_str params)
{
	json_t *list = json_loadb(params.data, params.len, JSON_ALLOW_NUL, NULL), *text;
	bool are = json_is_array(list);
	size_t i;

	json_array_foreach(list, i, text) are = are && json_is_string(text);
	json_decref(list);
	return are;
}

/* Neither, or a code with its params. */
static bool is_code(struct wire_str code, struct wire_str params)
{
	return code.len == 0 ? params.len == 0
			     : code.len < REPORT_MAX_CODE && params.len < REPORT_MAX_PARAMS &&
				       are_texts(params);
}

int report_next(const uint8_t *data, size_t n, size_t *at, struct finding *ret_finding)
{
	struct wire_str id, title, message, code, params, values;
	struct wire_reader r;

	if (*at == n)
		return 0;
	wire_reader_init(&r, data + *at, n - *at);
	*ret_finding = (struct finding){.level = (enum level)wire_get_u8(&r)};
	ret_finding->rise = wire_get_u8(&r);
	ret_finding->fall = wire_get_u8(&r);
	id = wire_get_str(&r);
	title = wire_get_str(&r);
	message = wire_get_str(&r);
	code = wire_get_str(&r);
	params = wire_get_str(&r);
	values = wire_get_str(&r);
	if (r.failed || ret_finding->level > LEVEL_UNKNOWN || id.len == 0 ||
		id.len >= NOTE_MAX_ID || values.len < 2 || values.len > REPORT_MAX_VALUES ||
		!is_object(values) || !is_code(code, params))
		return -EBADMSG;
	copy_text(ret_finding->id, sizeof(ret_finding->id), id);
	copy_text(ret_finding->title, sizeof(ret_finding->title), title);
	copy_text(ret_finding->message, sizeof(ret_finding->message), message);
	copy_text(ret_finding->code, sizeof(ret_finding->code), code);
	copy_text(ret_finding->params, sizeof(ret_finding->params), params);
	buf_init(&ret_finding->values, REPORT_MAX_VALUES);
	buf_append(&ret_finding->values, values.data, values.len);
	*at = (size_t)(r.at - data);
	return 1;
}
