/* GET /api/v1/runs/{id}/log/search: a log searched for text, an expression or errors. */
#ifndef OPS_CORE_APP_LOGS_SEARCH_H
#define OPS_CORE_APP_LOGS_SEARCH_H

#include "core/web/request.h"

void search_get(struct request *req);

#endif
