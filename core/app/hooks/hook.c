#include "core/app/hooks/hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/crypto.h"
#include "core/base/hex.h"

/* Whether text is the hex of mac. */
static bool is_mac(const char *text, const uint8_t mac[CRYPTO_SHA256_BYTES])
{
	uint8_t given[CRYPTO_SHA256_BYTES] = {0};
	bool ok = hex_decode(text, strlen(text), given, sizeof(given)) == 0;

	return crypto_equal(given, mac, sizeof(given)) && ok;
}

bool hook_signature_is_right(
	const struct hook_head *head, const char *secret, const void *body, size_t len)
{
	static const char nobody[] = "a hook that there is not has this key";
	const char *key = secret != NULL ? secret : nobody;
	const char *hub = head->hub_signature, *forge = head->forge_signature;
	uint8_t mac[CRYPTO_SHA256_BYTES];
	bool ok = secret != NULL && (hub != NULL || forge != NULL);

	crypto_hmac_sha256(key, strlen(key), body, len, mac);
	if (hub != NULL)
		ok = is_mac(strncmp(hub, "sha256=", 7) == 0 ? hub + 7 : "", mac) && ok;
	if (forge != NULL)
		ok = is_mac(forge, mac) && ok;
	mem_wipe(mac, sizeof(mac));
	return ok;
}

const json_t *hook_pointer(const json_t *doc, const char *pointer)
{
	while (doc != NULL && *pointer == '/') {
		char token[512];
		size_t n = 0;

		for (pointer++; *pointer != '\0' && *pointer != '/'; pointer++) {
			char c = *pointer;

			if (c == '~')
				c = *++pointer == '1' ? '/' : '~';
			if (n + 1 == sizeof(token))
				return NULL;
			token[n++] = c;
		}
		token[n] = '\0';
		if (json_is_array(doc)) {
			/* an index: digits without a leading zero */
			if (n == 0 || n > 6 || strspn(token, "0123456789") != n ||
				(n > 1 && token[0] == '0'))
				return NULL;
			doc = json_array_get(doc, strtoul(token, NULL, 10));
		} else {
			doc = json_object_get(doc, token);
		}
	}
	return doc;
}

bool hook_is_meant(const struct notify_hook *hook, const struct hook_head *head, const json_t *doc,
	char *reason, size_t cap)
{
	const char *ref = json_string_value(json_object_get(doc, "ref"));

	if (hook->events.n == 0 && head->event != NULL && strcmp(head->event, "ping") == 0)
		snprintf(reason, cap, "a ping starts nothing");
	else if (hook->events.n > 0 && head->event == NULL)
		snprintf(reason, cap, "the call names no event");
	else if (hook->events.n > 0 && !notify_list_matches(&hook->events, head->event))
		snprintf(reason, cap, "the event %.60s is none of this hook's", head->event);
	else if (hook->refs.n > 0 && ref == NULL)
		snprintf(reason, cap, "the call names no ref");
	else if (hook->refs.n > 0 && !notify_list_matches(&hook->refs, ref))
		snprintf(reason, cap, "the ref %.100s is none of this hook's", ref);
	else if (hook->refs.n > 0 && json_is_true(json_object_get(doc, "deleted")))
		snprintf(reason, cap, "the ref %.100s was deleted", ref);
	else
		return true;
	return false;
}

json_t *hook_inputs(const struct notify_hook *hook, const json_t *doc, struct hook_problem *problem)
{
	json_t *inputs = json_object();

	for (size_t i = 0; i < hook->n_inputs; i++) {
		const struct notify_input *input = &hook->inputs[i];
		const json_t *found =
			input->pointer != NULL ? hook_pointer(doc, input->pointer) : NULL;

		problem->input = input->name;
		if (json_is_null(found))
			found = NULL;
		if (found == NULL && input->value == NULL) {
			snprintf(problem->message, sizeof(problem->message),
				"the call holds nothing at %.120s", input->pointer);
		} else if (found == NULL) {
			json_object_set_new(inputs, input->name, json_string(input->value));
			continue;
		} else if (json_is_string(found) || json_is_integer(found) ||
			   json_is_boolean(found)) {
			json_object_set_new(inputs, input->name, json_deep_copy(found));
			continue;
		} else {
			snprintf(problem->message, sizeof(problem->message),
				"what stands at %.120s is no text, integer or boolean",
				input->pointer);
		}
		json_decref(inputs);
		return NULL;
	}
	return inputs;
}
