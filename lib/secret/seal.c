/* SPDX-License-Identifier: MIT */
/*
 * AES-256-GCM: nonce, ciphertext, tag. The name and the key's id are authenticated with the value,
 * so that nobody who can write to the store gives one secret the name of another.
 */
#include "module/crypto.h"
#include "secret/secret.h"

#define LABEL "nova secret 1"

struct sealer {
	OSSL_LIB_CTX *context; /* of our own: see module/crypto.h */
	EVP_CIPHER *cipher;
};

int sealer_new(struct sealer **ret_sealer, nova_error_t **error)
{
	int code = crypto_load(error);
	struct sealer *s = code == 0 ? calloc(1, sizeof(*s)) : NULL;
	if (code < 0)
		return code;
	if (!s)
		return nova_oom(error);
	OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	s->context = OSSL_LIB_CTX_new();
	s->cipher = s->context ? EVP_CIPHER_fetch(s->context, "AES-256-GCM", NULL) : NULL;
	if (!s->cipher) {
		sealer_free(s);
		return nova_oom(error);
	}
	*ret_sealer = s;
	return 0;
}

void sealer_free(struct sealer *sealer)
{
	if (!sealer)
		return;
	EVP_CIPHER_free(sealer->cipher);
	OSSL_LIB_CTX_free(sealer->context);
	free(sealer);
}

/* One run of the cipher, either way. */
struct run {
	EVP_CIPHER_CTX *context;
	const struct secret_record *record;
	bool seals;
};

static bool update(const struct run *run, uint8_t *out, const void *data, size_t len)
{
	int done = 0;
	return !len || EVP_CipherUpdate(run->context, out, &done, data, (int)len) == 1;
}

static bool begin(const struct run *run, const struct sealer *sealer, const struct secret_key *key,
	const uint8_t nonce[SECRET_NONCE])
{
	const char *name = run->record->name;
	return run->context &&
	       EVP_CipherInit_ex2(
		       run->context, sealer->cipher, key->bytes, nonce, run->seals, NULL) == 1 &&
	       update(run, NULL, LABEL, sizeof(LABEL)) &&
	       update(run, NULL, key->id, sizeof(key->id)) && update(run, NULL, name, strlen(name));
}

static bool end(const struct run *run, uint8_t *out)
{
	int done = 0;
	return EVP_CipherFinal_ex(run->context, out, &done) == 1;
}

static bool seal_into(const struct sealer *sealer, const struct run *run,
	const struct secret_key *key, const void *value, size_t len, uint8_t *sealed)
{
	uint8_t *text = sealed + SECRET_NONCE, *tag = text + len;
	return begin(run, sealer, key, sealed) && update(run, text, value, len) && end(run, tag) &&
	       EVP_CIPHER_CTX_ctrl(run->context, EVP_CTRL_AEAD_GET_TAG, SECRET_TAG, tag) == 1;
}

int seal(struct sealer *sealer, const struct secret_key *key, const void *value, size_t len,
	struct secret_record *ret, nova_error_t **error)
{
	ret->key_id = strdup(key->id);
	ret->sealed_len = len + SECRET_SEAL;
	ret->sealed = malloc(ret->sealed_len);
	if (!ret->key_id || !ret->sealed)
		return nova_oom(error);
	int r = random_bytes(ret->sealed, SECRET_NONCE);
	if (r < 0)
		return nova_fail_os(error, r, "random numbers for a secret");
	const struct run run = { EVP_CIPHER_CTX_new(), ret, true };
	bool well = seal_into(sealer, &run, key, value, len, ret->sealed);
	EVP_CIPHER_CTX_free(run.context);
	return well ? 0 : nova_oom(error);
}

int unseal(struct sealer *sealer, const struct secret_key *key, const struct secret_record *record,
	void *out, nova_error_t **error)
{
	const struct run run = { EVP_CIPHER_CTX_new(), record, false };
	uint8_t *sealed = record->sealed;
	size_t len = record->sealed_len - SECRET_SEAL;
	uint8_t *text = sealed + SECRET_NONCE, *tag = text + len;
	bool begun = begin(&run, sealer, key, sealed) && update(&run, out, text, len) &&
		     EVP_CIPHER_CTX_ctrl(run.context, EVP_CTRL_AEAD_SET_TAG, SECRET_TAG, tag) == 1;
	bool well = begun && end(&run, (uint8_t *)out + len);
	EVP_CIPHER_CTX_free(run.context);
	if (!begun)
		return nova_oom(error);
	return well ? 0 :
		      nova_fail(error, NOVA_ECORRUPT,
			      "secret '%s' is damaged, or was sealed by another name: set it anew",
			      record->name);
}
