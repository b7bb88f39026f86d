/*
 * A notification as the request that carries it: JSON for ntfy (publish as JSON,
 * https://docs.ntfy.sh/publish/#publish-as-json), signed JSON for a webhook, RFC 5322 for a mail.
 *
 * A webhook's headers: X-Ops-Timestamp (Unix seconds), X-Ops-Delivery (a UUID) and X-Ops-Signature,
 * which is "sha256=" and the hex HMAC-SHA-256 of timestamp, '.', body. The receiver checks the
 * signature and refuses an old timestamp, so that nothing can be sent to it again later.
 */
#ifndef OPS_CORE_APP_NOTIFY_NOTIFY_MESSAGE_H
#define OPS_CORE_APP_NOTIFY_NOTIFY_MESSAGE_H

#include "core/app/notify/notify_text.h"
#include "core/net/outgoing.h"

/* Sends it; cb as outgoing_send() says. count: how many events it stands for. */
struct outgoing_call *notify_message_send(struct outgoing *outgoing,
	const struct notify_target *target, const struct notify_event *event, uint64_t count,
	outgoing_fn cb, void *arg);

/* Whether the target took it. */
bool notify_message_arrived(const struct outgoing_result *result);
/* Whether the same message may well arrive later. */
bool notify_message_is_temporary(const struct outgoing_result *result);
/* Host and port of a target's address, for a person. */
void notify_message_where(const struct notify_target *target, char *out, size_t cap);

/* The parts, for tests. */
void notify_message_ntfy(
	const struct notify_target *target, const struct notify_event *event, struct buf *out);
void notify_message_webhook(const struct notify_event *event, uint64_t count, struct buf *out);
void notify_message_mail(const struct notify_target *target, const struct notify_event *event,
	const char *id, struct buf *out);
/* "sha256=…" of 71 bytes and a NUL. */
void notify_message_sign(
	const char *secret, const char *timestamp, const struct buf *body, char out[72]);

#endif
