/* Reason phrases (RFC 9110, 15). */
#ifndef OPS_CORE_WEB_STATUS_H
#define OPS_CORE_WEB_STATUS_H

/* "Not Found"; "Unknown" for a status that is never sent. */
const char *status_phrase(unsigned status);

#endif
