/* What may stand where a run is named. */
#ifndef OPS_CORE_APP_RUNS_RUNREF_H
#define OPS_CORE_APP_RUNS_RUNREF_H

#include <stdbool.h>

/* A UUID in its canonical form, or a decimal number. */
bool runref_is_valid(const char *text);

#endif
