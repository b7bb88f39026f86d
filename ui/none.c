/* What a daemon that was built without the page serves instead of it (-Dui=none). */
#include "core/web/asset.h"

static const char page[] = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
			   "<title>Ops</title></head><body><p>This ops-dashboard was built without its "
			   "page (-Dui=none). Its API is at /api/v1.</p></body></html>\n";

const struct asset ui_assets[] = {
	{.path = "/index.html",
		.mime = "text/html; charset=utf-8",
		.etag = "none",
		.raw = {(const uint8_t *)page, sizeof(page) - 1}},
};
const size_t ui_assets_count = sizeof(ui_assets) / sizeof(ui_assets[0]);
const char ui_assets_hash[] = "none";
