/* SPDX-License-Identifier: MIT */
/*
 * What worker.js cannot do in JavaScript, as a library of Node-API that it loads. It is linked with
 * nothing: the interpreter has OpenSSL, Node-API and the C library. Their declarations are those of
 * Node's node_api.h and OpenSSL's rand.h, which are not needed to build it.
 */
#include <stddef.h>
#include <stdlib.h>

typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env env, napi_callback_info info);

int napi_create_function(napi_env env, const char *name, size_t len, napi_callback call, void *data,
	napi_value *ret);
int napi_set_named_property(napi_env env, napi_value object, const char *name, napi_value value);
int napi_get_cb_info(napi_env env, napi_callback_info info, size_t *argc, napi_value *argv,
	napi_value *ret_this, void **data);
int napi_get_value_string_utf8(
	napi_env env, napi_value value, char *out, size_t size, size_t *ret_len);
int RAND_poll(void);

/* OpenSSL's generator reads the kernel's again, and those of all threads follow. */
static napi_value renew(napi_env env, napi_callback_info info)
{
	(void)env, (void)info;
	RAND_poll();
	return NULL;
}

/* setenv() would keep every value that it was ever given. */
static napi_value name_request(napi_env env, napi_callback_info info)
{
	static char variable[160] = "NOVA_REQUEST_ID=";
	size_t argc = 1;
	napi_value id = NULL;
	char *value = variable + sizeof("NOVA_REQUEST_ID=") - 1;
	napi_get_cb_info(env, info, &argc, &id, NULL, NULL);
	napi_get_value_string_utf8(env, id, value, variable + sizeof(variable) - value, NULL);
	putenv(variable);
	return NULL;
}

static void add(napi_env env, napi_value exports, const char *name, napi_callback call)
{
	napi_value function;
	if (napi_create_function(env, name, (size_t)-1, call, NULL, &function) == 0)
		napi_set_named_property(env, exports, name, function);
}

__attribute__((visibility("default"))) napi_value napi_register_module_v1(
	napi_env env, napi_value exports);
napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
	add(env, exports, "renew", renew);
	add(env, exports, "nameRequest", name_request);
	return exports;
}
