#include "core/net/outgoing_curl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define LIBRARY "libcurl.so.4" /* deploy/image/build.sh copies it by this name */

/* ret_function is where a pointer to a function is kept, of whatever type. */
static bool find(void *library, const char *name, void *ret_function, struct err *err)
{
	void *symbol = dlsym(library, name);

	memcpy(ret_function, &symbol, sizeof(symbol));
	if (symbol == NULL)
		err_set(err, -ELIBACC, LIBRARY " has no %s", name);
	return symbol != NULL;
}

int outgoing_curl_load(struct outgoing_curl *ret_curl, struct err *err)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	struct outgoing_curl curl = {0};
	bool found = true;

	if (library == NULL)
		return err_set(err, -ELIBACC, "nothing can be sent: %s", dlerror());
#define FIND(name) found = found && find(library, "curl_" #name, &curl.name, err);
	OUTGOING_CURL_FUNCTIONS(FIND)
#undef FIND
	if (!found)
		return -ELIBACC;
	if (curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_set(err, -ELIBACC, LIBRARY " cannot be used");
	*ret_curl = curl;
	return 0;
}
