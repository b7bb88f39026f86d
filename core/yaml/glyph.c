#include "core/yaml/glyph.h"

#include "core/base/mem.h"

static const struct {
	uint32_t from, to;
} hidden[] = {
	{0x80, 0x9f},	    /* C1 controls; U+0085 ends a line in YAML 1.1 */
	{0xad, 0xad},	    /* soft hyphen */
	{0x34f, 0x34f},	    /* combining grapheme joiner */
	{0x61c, 0x61c},	    /* direction */
	{0x115f, 0x1160},   /* fillers */
	{0x17b4, 0x17b5},   /* inherent vowels, without a shape */
	{0x180b, 0x180e},   /* Mongolian selectors and separator */
	{0x200b, 0x200f},   /* zero width, joiners, direction */
	{0x2028, 0x202e},   /* line and paragraph ends, direction */
	{0x2060, 0x206f},   /* word joiner, invisible operators, direction */
	{0x3164, 0x3164},   /* filler */
	{0xfdd0, 0xfdef},   /* noncharacters */
	{0xfeff, 0xfeff},   /* byte order mark */
	{0xffa0, 0xffa0},   /* filler */
	{0xfff9, 0xfffb},   /* interlinear annotation */
	{0x1d173, 0x1d17a}, /* musical controls */
	{0xe0000, 0xe007f}, /* tags */
};

uint32_t glyph_decode(const uint8_t *p, size_t len)
{
	uint32_t c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

bool glyph_is_joiner(uint32_t c)
{
	return c == 0x200c || c == 0x200d;
}

bool glyph_is_hidden(uint32_t c)
{
	if (c < 0x80)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
		if (c >= hidden[i].from && c <= hidden[i].to)
			return true;
	}
	return (c & 0xfffe) == 0xfffe;
}
