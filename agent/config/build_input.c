#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/config/build.h"
#include "core/base/mem.h"
#include "core/yaml/suggest.h"

/* Which keys mean something for which types. */
#define FOR(type) (1u << (type))
#define TEXTUAL                                                                                    \
	(FOR(INPUT_STRING) | FOR(INPUT_SLUG) | FOR(INPUT_PATH) | FOR(INPUT_HOST) |                 \
		FOR(INPUT_URL) | FOR(INPUT_SECRET))
#define RANGED (FOR(INPUT_INT) | FOR(INPUT_DURATION))

static void only_for(struct build *b, const struct input_spec *spec, unsigned types,
	const struct raw_pos *at, const char *name)
{
	if (at != NULL && (types & FOR(spec->type)) == 0)
		build_error_at(b, at, "'%s' has no meaning for the type %s", name,
			input_type_name(spec->type));
}

static const struct raw_pos *pos_of(const struct raw_text *text)
{
	return text != NULL ? &text->at : NULL;
}

static void check_keys(struct build *b, const struct raw_input *raw, const struct input_spec *spec)
{
	const struct raw_pos *values = raw->values != NULL ? &raw->values->at : NULL;
	const struct raw_pos *schemes = raw->schemes != NULL ? &raw->schemes->at : NULL;

	only_for(b, spec, RANGED, pos_of(raw->min), "min");
	only_for(b, spec, RANGED, pos_of(raw->max), "max");
	only_for(b, spec, TEXTUAL, pos_of(raw->max_length), "max_length");
	only_for(b, spec, TEXTUAL, pos_of(raw->pattern), "pattern");
	only_for(b, spec, FOR(INPUT_ENUM), values, "values");
	only_for(b, spec, FOR(INPUT_PATH), pos_of(raw->under), "under");
	only_for(b, spec, FOR(INPUT_URL), schemes, "schemes");
	only_for(b, spec, FOR(INPUT_STRING), pos_of(raw->allow_dash), "allow_dash");
}

static bool read_bound(struct build *b, const struct input_spec *spec, const struct raw_text *text,
	const char *name, int64_t *bound)
{
	if (text == NULL)
		return false;
	if (spec->type == INPUT_DURATION)
		*bound = (int64_t)build_duration(b, text, name, 0);
	else
		*bound = build_int(b, text, name, INT64_MIN, INT64_MAX, 0);
	return true;
}

static void read_values(struct build *b, const struct raw_input *raw, struct input_spec *spec)
{
	/* what no value may hold, whatever the list says */
	struct input_spec any = {.type = INPUT_STRING, .max_length = INPUT_DEFAULT_LENGTH};

	if (raw->values == NULL || raw->values->items_count == 0) {
		build_error(b, &raw->key, "input '%.48s' needs 'values': what may be chosen",
			raw->key.text);
		return;
	}
	if (raw->values->items_count > INPUT_MAX_VALUES) {
		build_error_at(b, &raw->values->at, "at most %d values", INPUT_MAX_VALUES);
		return;
	}
	spec->values = xcalloc(raw->values->items_count, sizeof(*spec->values));
	for (size_t i = 0; i < raw->values->items_count; i++) {
		const struct raw_text *item = &raw->values->items[i];
		struct err err;

		if (input_check(&any, item->text, strlen(item->text), &err) != 0)
			build_error(b, item, "value '%.40s' %s", item->text, err.msg);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(spec->values[j], item->text) == 0)
				build_error(b, item, "value '%.40s' is listed twice", item->text);
		}
		spec->values[spec->n_values++] = xstrdup(item->text);
	}
}

static void read_schemes(struct build *b, const struct raw_texts *raw, struct input_spec *spec)
{
	if (raw == NULL)
		return;
	if (raw->items_count == 0 || raw->items_count > INPUT_MAX_VALUES) {
		build_error_at(b, &raw->at, "'schemes' needs 1 to %d entries", INPUT_MAX_VALUES);
		return;
	}
	spec->schemes = xcalloc(raw->items_count, sizeof(*spec->schemes));
	for (size_t i = 0; i < raw->items_count; i++) {
		if (build_name_is_valid(b, &raw->items[i], "scheme", false, 16))
			spec->schemes[spec->n_schemes++] = xstrdup(raw->items[i].text);
	}
}

static void read_pattern(struct build *b, const struct raw_text *text, struct input_spec *spec)
{
	struct err err;

	spec->pattern = build_text(b, text, "pattern", INPUT_MAX_PATTERN_BYTES, false);
	if (spec->pattern != NULL && input_pattern_check(spec->pattern, &err) != 0) {
		build_error(b, text, "'pattern': %s", err.msg);
		free(spec->pattern);
		spec->pattern = NULL;
	}
}

static void read_default(struct build *b, const struct raw_input *raw, struct input_spec *spec)
{
	const struct raw_text *text = raw->default_value;
	bool required = build_bool(b, raw->required, "required", false);
	struct err err;
	char *value;

	if (text == NULL) {
		spec->required = required;
		if (!required &&
			(raw->required == NULL || strcmp(raw->required->text, "false") == 0))
			build_error(b, &raw->key,
				"input '%.48s' needs 'required: true' or a 'default'",
				raw->key.text);
		return;
	}
	if (required)
		build_error(b, text,
			"input '%.48s' has a default, so it cannot be required as well",
			raw->key.text);
	if (spec->type == INPUT_SECRET) {
		build_error(b, text, "a secret has no default");
		return;
	}
	value = input_complete(spec, text->text, strlen(text->text));
	if (input_check_text(spec, value, strlen(value), &err) != 0)
		build_error(b, text, "the default of '%.48s' %s", raw->key.text, err.msg);
	spec->default_value = xstrdup(text->text);
	free(value);
}

static void suggest_type(struct build *b, const struct raw_text *type)
{
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	suggest_init(&near, type->text, strlen(type->text));
	for (int i = INPUT_STRING; i <= INPUT_SECRET; i++)
		suggest_offer(&near, input_type_name((enum input_type)i));
	build_error(b, type, "unknown type '%.40s'%s", type->text, suggest_text(&near, text));
}

static void build_input(struct build *b, const struct raw_input *raw, struct input_spec *spec)
{
	build_name_is_valid(b, &raw->key, "input", false, BUILD_MAX_NAME);
	spec->name = xstrdup(raw->key.text);
	spec->max_length = INPUT_DEFAULT_LENGTH;
	if (input_type_parse(raw->type->text, &spec->type) != 0) {
		suggest_type(b, raw->type);
		return;
	}
	check_keys(b, raw, spec);
	spec->title = build_text(b, raw->title, "title", BUILD_MAX_TITLE, false);
	spec->description =
		build_text(b, raw->description, "description", BUILD_MAX_DESCRIPTION, true);
	spec->has_min = read_bound(b, spec, raw->min, "min", &spec->min);
	spec->has_max = read_bound(b, spec, raw->max, "max", &spec->max);
	if (spec->has_min && spec->has_max && spec->min > spec->max)
		build_error(b, raw->min, "'min' is above 'max'");
	spec->max_length = (uint32_t)build_int(
		b, raw->max_length, "max_length", 1, INPUT_MAX_VALUE_BYTES, INPUT_DEFAULT_LENGTH);
	read_pattern(b, raw->pattern, spec);
	spec->allow_dash = build_bool(b, raw->allow_dash, "allow_dash", false);
	if (spec->allow_dash && raw->pattern == NULL)
		build_error(b, raw->allow_dash, "'allow_dash' needs a 'pattern'");
	if (spec->type == INPUT_ENUM)
		read_values(b, raw, spec);
	read_schemes(b, raw->schemes, spec);
	spec->under = build_path(b, raw->under, "under");
	if (spec->type == INPUT_PATH && raw->under == NULL)
		build_error(b, &raw->key,
			"input '%.48s' needs 'under': the folder its path must stay in",
			raw->key.text);
	if (spec->type == INPUT_PATH && spec->under == NULL)
		return; /* said above; nothing more can be checked */
	read_default(b, raw, spec);
}

void build_inputs(struct build *b, const struct raw_inputs *raw, struct input_spec **ret_inputs,
	size_t *ret_n)
{
	if (raw == NULL)
		return;
	if (raw->items_count > CATALOG_MAX_INPUTS) {
		build_error_at(b, &raw->at, "at most %d inputs", CATALOG_MAX_INPUTS);
		return;
	}
	*ret_inputs = xcalloc(raw->items_count, sizeof(**ret_inputs));
	*ret_n = raw->items_count;
	for (size_t i = 0; i < raw->items_count; i++)
		build_input(b, &raw->items[i], &(*ret_inputs)[i]);
}

size_t build_find_input(struct build *b, const struct raw_text *at, const char *name,
	const struct input_spec *inputs, size_t n)
{
	char text[SUGGEST_TEXT_BYTES];
	struct suggest near;

	suggest_init(&near, name, strlen(name));
	for (size_t i = 0; i < n; i++) {
		if (inputs[i].name == NULL)
			continue;
		if (strcmp(inputs[i].name, name) == 0)
			return i;
		suggest_offer(&near, inputs[i].name);
	}
	build_error(b, at, "no input named '%.60s'%s", name, suggest_text(&near, text));
	return SIZE_MAX;
}
