#include "agent/probes/note.h"

#include <errno.h>
#include <stdbool.h>

int note_encode(const struct note *note, uint8_t *out, size_t cap)
{
	struct wire_writer w;

	if (note->section.len > NOTE_MAX_SECTION || note->id.len > NOTE_MAX_ID ||
		note->json.len > NOTE_MAX_JSON)
		return -EMSGSIZE;
	wire_writer_init(&w, out, cap);
	wire_put_u8(&w, note->kind);
	wire_put_u8(&w, note->level);
	wire_put_u32(&w, note->interval_ms);
	wire_put_u64(&w, note->time_us);
	wire_put_str(&w, note->section);
	wire_put_str(&w, note->id);
	wire_put_str(&w, note->json);
	return wire_writer_finish(&w);
}

static bool is_kind(uint8_t kind)
{
	return (kind >= NOTE_RESET && kind <= NOTE_AGAIN) || kind == NOTE_VERIFIED ||
	       kind == NOTE_ENDED;
}

int note_decode(const void *data, size_t n, struct note *ret_note)
{
	struct wire_reader r;
	struct note note;

	wire_reader_init(&r, data, n);
	note.kind = wire_get_u8(&r);
	note.level = wire_get_u8(&r);
	note.interval_ms = wire_get_u32(&r);
	note.time_us = wire_get_u64(&r);
	note.section = wire_get_str(&r);
	note.id = wire_get_str(&r);
	note.json = wire_get_str(&r);
	if (wire_reader_finish(&r) != 0 || !is_kind(note.kind) || note.level > LEVEL_UNKNOWN ||
		note.section.len > NOTE_MAX_SECTION || note.id.len > NOTE_MAX_ID ||
		note.json.len > NOTE_MAX_JSON)
		return -EBADMSG;
	*ret_note = note;
	return 0;
}

const char *level_name(enum level level)
{
	static const char *const names[] = {"ok", "warn", "bad", "unknown"};

	return names[level];
}

enum level level_worse(enum level a, enum level b)
{
	static const uint8_t rank[] = {
		[LEVEL_OK] = 0, [LEVEL_UNKNOWN] = 1, [LEVEL_WARN] = 2, [LEVEL_BAD] = 3};

	return rank[a] >= rank[b] ? a : b;
}
