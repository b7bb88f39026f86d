/* Characters a person does not see, or that make text read differently from what it is. */
#ifndef OPS_CORE_YAML_GLYPH_H
#define OPS_CORE_YAML_GLYPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point of the UTF-8 sequence of len bytes (utf8_sequence() found them valid). */
uint32_t glyph_decode(const uint8_t *p, size_t len);

/* U+200C and U+200D: they join signs in some scripts and in emoji. */
bool glyph_is_joiner(uint32_t c);

/* Controls above ASCII, zero width, direction marks, fillers, tags, noncharacters, other line and
 * paragraph ends; joiners too. */
bool glyph_is_hidden(uint32_t c);

#endif
