/*
 * libcurl's functions, found at run time: it and the libraries that come with it cost a megabyte,
 * which a daemon that sends nothing does not pay. Only core/net/outgoing*.c know of it.
 *
 * Types are those of <curl/curl.h>; a function missing here is one line more.
 */
#ifndef OPS_CORE_NET_OUTGOING_CURL_H
#define OPS_CORE_NET_OUTGOING_CURL_H

#include <curl/curl.h>

#include "core/base/err.h"
#include "core/base/mem.h"

#define OUTGOING_CURL_FUNCTIONS(X)                                                                 \
	X(global_init)                                                                             \
	X(easy_init)                                                                               \
	X(easy_setopt)                                                                             \
	X(easy_perform)                                                                            \
	X(easy_getinfo)                                                                            \
	X(easy_strerror)                                                                           \
	X(easy_cleanup)                                                                            \
	X(multi_init)                                                                              \
	X(multi_setopt)                                                                            \
	X(multi_assign)                                                                            \
	X(multi_add_handle)                                                                        \
	X(multi_remove_handle)                                                                     \
	X(multi_info_read)                                                                         \
	X(multi_socket_action)                                                                     \
	X(multi_cleanup)

struct outgoing_curl {
#define OUTGOING_CURL_MEMBER(name) __typeof__(curl_##name) *name;
	OUTGOING_CURL_FUNCTIONS(OUTGOING_CURL_MEMBER)
#undef OUTGOING_CURL_MEMBER
};

/* Loads libcurl and begins it, blocking: in a thread. It stays for as long as the process lives. 0;
 * -ELIBACC with a text when it cannot be had, and ret_curl is untouched. */
MUSTCHECK int outgoing_curl_load(struct outgoing_curl *ret_curl, struct err *err);

#endif
