#include "core/app/notify/notify_message.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/base/crypto.h"
#include "core/base/hex.h"
#include "core/base/json.h"
#include "core/base/uuid.h"

#define MAX_MESSAGE (64u << 10)
#define LINE_BYTES 76 /* of base64 in a mail (RFC 2045) */

static bool is_alarm(enum notify_on on)
{
	return on == NOTIFY_RUN_FAILED || on == NOTIFY_AGENT_LOST || on == NOTIFY_STATUS_BAD;
}

static bool is_relief(enum notify_on on)
{
	return on == NOTIFY_RUN_RECOVERED || on == NOTIFY_AGENT_BACK || on == NOTIFY_STATUS_OK;
}

void notify_message_ntfy(
	const struct notify_target *target, const struct notify_event *event, struct buf *out)
{
	const char *tag = is_alarm(event->on)	 ? "rotating_light"
			  : is_relief(event->on) ? "white_check_mark"
						 : "bell";
	struct json json;

	json_init(&json, out);
	json_open_object(&json);
	json_kv_str(&json, "topic", target->topic);
	json_kv_str(&json, "title", event->title);
	json_kv_str(&json, "message", event->text);
	json_kv_uint(&json, "priority", target->priority);
	json_key(&json, "tags");
	json_open_array(&json);
	json_str(&json, tag);
	json_close_array(&json);
	json_kv_str(&json, "click", event->link);
	json_close_object(&json);
}

void notify_message_webhook(const struct notify_event *event, uint64_t count, struct buf *out)
{
	struct json json;

	json_init(&json, out);
	json_open_object(&json);
	json_kv_str(&json, "event", notify_on_name(event->on));
	json_kv_str(&json, "host", event->host);
	json_kv_str(&json, "title", event->title);
	json_kv_str(&json, "text", event->text);
	json_kv_str(&json, "link", event->link);
	json_kv_uint(&json, "time_us", event->time_us);
	json_kv_uint(&json, "count", count);
	json_kv_str(&json, "run", event->run[0] != '\0' ? event->run : NULL);
	json_kv_str(&json, "name", event->name[0] != '\0' ? event->name : NULL);
	json_kv_str(&json, "section", event->section[0] != '\0' ? event->section : NULL);
	json_close_object(&json);
}

void notify_message_sign(
	const char *secret, const char *timestamp, const struct buf *body, char out[72])
{
	uint8_t mac[CRYPTO_SHA256_BYTES];
	struct buf text;

	buf_init(&text, MAX_MESSAGE + 64);
	buf_printf(&text, "%s.", timestamp);
	buf_append(&text, body->data, body->len);
	if (buf_err(&text) < 0)
		abort(); /* messages are small */
	crypto_hmac_sha256(secret, strlen(secret), text.data, text.len, mac);
	buf_fini(&text);
	memcpy(out, "sha256=", 7);
	hex_encode(mac, sizeof(mac), out + 7);
}

/* ---- mail ---- */

/* Base64 in lines of at most line bytes, each ended by eol; the last one too when all_end. */
static void put_base64(const char *text, size_t n, struct buf *out)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t column = 0;

	for (size_t i = 0; i < n; i += 3) {
		uint32_t v = (uint32_t)(uint8_t)text[i] << 16;

		if (i + 1 < n)
			v |= (uint32_t)(uint8_t)text[i + 1] << 8;
		if (i + 2 < n)
			v |= (uint8_t)text[i + 2];
		buf_append_byte(out, (uint8_t)letters[v >> 18]);
		buf_append_byte(out, (uint8_t)letters[v >> 12 & 63]);
		buf_append_byte(out, i + 1 < n ? (uint8_t)letters[v >> 6 & 63] : '=');
		buf_append_byte(out, i + 2 < n ? (uint8_t)letters[v & 63] : '=');
		column += 4;
		if (column == LINE_BYTES && i + 3 < n) {
			buf_append_str(out, "\r\n");
			column = 0;
		}
	}
}

/* RFC 2047: words of at most 75 bytes that hold whole characters. */
static void put_subject(const char *text, struct buf *out)
{
	size_t n = strlen(text);

	buf_append_str(out, "Subject:");
	for (size_t at = 0; at < n;) {
		size_t len = MIN(n - at, 42u);

		while (at + len < n && len > 1 && ((uint8_t)text[at + len] & 0xc0) == 0x80)
			len--;
		buf_append_str(out, " =?UTF-8?B?");
		put_base64(text + at, len, out);
		buf_append_str(out, "?=\r\n");
		at += len;
	}
}

void notify_message_mail(const struct notify_target *target, const struct notify_event *event,
	const char *id, struct buf *out)
{
	time_t now = (time_t)(clock_wall_us() / CLOCK_SECOND_US);
	const char *domain = strchr(target->from, '@');
	char date[64];
	struct tm tm;
	char *body;

	gmtime_r(&now, &tm);
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm);
	buf_printf(out, "Date: %s\r\nFrom: Ops Dashboard <%s>\r\n", date, target->from);
	for (size_t i = 0; i < target->to.n; i++)
		buf_printf(out, "%s%s%s", i == 0 ? "To: " : ",\r\n ", target->to.items[i],
			i + 1 == target->to.n ? "\r\n" : "");
	put_subject(event->title, out);
	buf_printf(out, "Message-ID: <%s%s>\r\n", id, domain != NULL ? domain : "@ops-dashboard");
	buf_append_str(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
			    "Content-Type: text/plain; charset=utf-8\r\n"
			    "Content-Transfer-Encoding: base64\r\n\r\n");
	body = xasprintf("%s\n%s\n", event->text, event->link);
	put_base64(body, strlen(body), out);
	free(body);
	buf_append_str(out, "\r\n");
}

/* ---- sending ---- */

struct post {
	struct outgoing_request request;
	struct buf body;
	char lines[5][NOTIFY_MAX_SECRET + 64];
	const char *headers[5];
};

static void post_header(struct post *post, const char *name, const char *value)
{
	size_t i = post->request.n_headers++;

	snprintf(post->lines[i], sizeof(post->lines[i]), "%s: %s", name, value);
	post->headers[i] = post->lines[i];
}

static void fill_webhook(struct post *post, const struct notify_target *target,
	const struct notify_event *event, uint64_t count, const char *id)
{
	char timestamp[32], signature[72];

	notify_message_webhook(event, count, &post->body);
	snprintf(timestamp, sizeof(timestamp), "%" PRIu64, clock_wall_us() / CLOCK_SECOND_US);
	notify_message_sign(target->secret, timestamp, &post->body, signature);
	post_header(post, "X-Ops-Timestamp", timestamp);
	post_header(post, "X-Ops-Delivery", id);
	post_header(post, "X-Ops-Signature", signature);
}

static void fill_ntfy(
	struct post *post, const struct notify_target *target, const struct notify_event *event)
{
	char bearer[NOTIFY_MAX_SECRET + 16];

	notify_message_ntfy(target, event, &post->body);
	if (target->secret == NULL)
		return;
	snprintf(bearer, sizeof(bearer), "Bearer %s", target->secret);
	post_header(post, "Authorization", bearer);
	mem_wipe(bearer, sizeof(bearer));
}

struct outgoing_call *notify_message_send(struct outgoing *outgoing,
	const struct notify_target *target, const struct notify_event *event, uint64_t count,
	outgoing_fn cb, void *arg)
{
	struct post *post = xcalloc(1, sizeof(*post));
	struct outgoing_call *call;
	char id[UUID_TEXT_BYTES];
	struct uuid uuid;

	uuid_v7(&uuid);
	uuid_format(&uuid, id);
	buf_init(&post->body, MAX_MESSAGE);
	post->request.url = target->url;
	post->request.ca_file = target->ca_file;
	post->request.headers = post->headers;
	if (target->kind == NOTIFY_MAIL) {
		notify_message_mail(target, event, id, &post->body);
		post->request.from = target->from;
		post->request.recipients = (const char *const *)target->to.items;
		post->request.n_recipients = target->to.n;
		post->request.user = target->user;
		post->request.password = target->secret;
		post->request.plain = target->plain;
	} else {
		post_header(post, "Content-Type", "application/json");
		post_header(post, "User-Agent", "ops-dashboard/" OPS_VERSION);
		if (target->kind == NOTIFY_WEBHOOK)
			fill_webhook(post, target, event, count, id);
		else
			fill_ntfy(post, target, event);
	}
	if (buf_err(&post->body) < 0)
		abort(); /* texts are bounded, the maximum is far above */
	post->request.body = post->body.data;
	post->request.body_len = post->body.len;
	call = outgoing_send(outgoing, &post->request, cb, arg);
	buf_fini(&post->body);
	mem_wipe(post->lines, sizeof(post->lines));
	free(post);
	return call;
}

bool notify_message_arrived(const struct outgoing_result *result)
{
	return result->err == 0 && result->status >= 200 && result->status < 300;
}

bool notify_message_is_temporary(const struct outgoing_result *result)
{
	if (result->err == -EINVAL)
		return false;
	if (result->err == -EACCES) /* SMTP: 4xx is "later", 5xx is "no" (RFC 5321, 4.2.1) */
		return result->status < 500;
	if (result->err != 0)
		return true;
	return result->status >= 500 || result->status == 408 || result->status == 425 ||
	       result->status == 429;
}

void notify_message_where(const struct notify_target *target, char *out, size_t cap)
{
	const char *host = strstr(target->url, "://");

	host = host != NULL ? host + 3 : target->url;
	snprintf(out, cap, "%.*s", (int)strcspn(host, "/?#"), host);
}
