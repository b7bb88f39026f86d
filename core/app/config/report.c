#include "core/app/config/report.h"

#include <stdio.h>

void report_print(const struct config_report *report)
{
	for (size_t i = 0; i < report->n_warnings; i++)
		fprintf(stderr, "ops-dashboard: warning: %s\n", report->warnings[i]);
	for (size_t i = 0; i < report->n_problems; i++)
		fprintf(stderr, "ops-dashboard: %s\n", report->problems[i]);
}
