/* What is wrong with the configuration, for a person: on standard error. */
#ifndef OPS_CORE_APP_CONFIG_REPORT_H
#define OPS_CORE_APP_CONFIG_REPORT_H

#include "core/app/config/config.h"

void report_print(const struct config_report *report);

#endif
