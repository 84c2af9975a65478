/* SPDX-License-Identifier: MIT */
/* The certificate: read from files, or made and signed by itself at the first start. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include "novad.h"

#define LIFE_S (365L * 24 * 3600)

static bool failed(log_fn log, const char *what, const char *path, int code)
{
	log_line(log, NOVA_LOG_ERROR, "%s '%s': %s", what, path, gnutls_strerror(code));
	return false;
}

/* --- making one --- */

static void add_name(gnutls_x509_crt_t certificate, const char *name)
{
	gnutls_x509_crt_set_subject_alt_name(
		certificate, GNUTLS_SAN_DNSNAME, name, (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

static void add_names(gnutls_x509_crt_t certificate, const struct words *more)
{
	char host[256] = "localhost";
	static const unsigned char loopback4[] = { 127, 0, 0, 1 };
	static const unsigned char loopback6[16] = { [15] = 1 };
	gethostname(host, sizeof(host) - 1);
	gnutls_x509_crt_set_dn_by_oid(
		certificate, GNUTLS_OID_X520_COMMON_NAME, 0, host, (unsigned)strlen(host));
	add_name(certificate, host);
	add_name(certificate, "localhost");
	for (size_t i = 0; i < more->count; i++)
		add_name(certificate, more->at[i]);
	gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, loopback4,
		sizeof(loopback4), GNUTLS_FSAN_APPEND);
	gnutls_x509_crt_set_subject_alt_name(certificate, GNUTLS_SAN_IPADDRESS, loopback6,
		sizeof(loopback6), GNUTLS_FSAN_APPEND);
}

static int sign(gnutls_x509_crt_t certificate, gnutls_x509_privkey_t key, const struct words *more)
{
	unsigned char serial[16];
	gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));
	serial[0] &= 0x7f;
	gnutls_x509_crt_set_version(certificate, 3);
	gnutls_x509_crt_set_serial(certificate, serial, sizeof(serial));
	gnutls_x509_crt_set_activation_time(certificate, time(NULL) - 3600);
	gnutls_x509_crt_set_expiration_time(certificate, time(NULL) + LIFE_S);
	gnutls_x509_crt_set_basic_constraints(certificate, 0, -1);
	gnutls_x509_crt_set_key_usage(certificate, GNUTLS_KEY_DIGITAL_SIGNATURE);
	gnutls_x509_crt_set_key_purpose_oid(certificate, GNUTLS_KP_TLS_WWW_SERVER, 0);
	add_names(certificate, more);
	gnutls_x509_crt_set_key(certificate, key);
	return gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0);
}

static bool write_new(const char *path, const gnutls_datum_t *text, mode_t mode, log_fn log)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	bool done = fd >= 0 && write(fd, text->data, text->size) == (ssize_t)text->size &&
		    fsync(fd) == 0;
	if (!done)
		log_line(log, NOVA_LOG_ERROR, "cannot write '%s': %m", path);
	if (fd >= 0)
		close(fd);
	return done;
}

static bool make(
	const char *certificate_path, const char *key_path, const struct words *more, log_fn log)
{
	gnutls_x509_crt_t certificate;
	gnutls_x509_privkey_t key;
	gnutls_datum_t text = { 0 }, secret = { 0 };
	gnutls_x509_crt_init(&certificate);
	gnutls_x509_privkey_init(&key);
	int code = gnutls_x509_privkey_generate(
		key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (code == 0)
		code = sign(certificate, key, more);
	if (code == 0)
		code = gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text);
	if (code == 0)
		code = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &secret);
	/* The key goes first: a certificate alone would be taken for a lost key. */
	bool done = code == 0 ? write_new(key_path, &secret, 0600, log) &&
					write_new(certificate_path, &text, 0644, log) :
				failed(log, "cannot make the certificate", certificate_path, code);
	if (done)
		log_line(log, NOVA_LOG_INFO, "made a certificate: '%s'", certificate_path);
	gnutls_free(text.data);
	gnutls_free(secret.data);
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_crt_deinit(certificate);
	return done;
}

/* --- reading it --- */

static char *load(const char *path, const char *what, log_fn log)
{
	gnutls_datum_t text;
	if (access(path, R_OK) != 0) {
		log_line(log, NOVA_LOG_ERROR, "cannot read the %s '%s': %m", what, path);
		return NULL;
	}
	int code = gnutls_load_file(path, &text);
	if (code != 0) {
		log_line(log, NOVA_LOG_ERROR, "cannot read the %s '%s': %s", what, path,
			gnutls_strerror(code));
		return NULL;
	}
	char *copy = need(strndup((char *)text.data, text.size));
	gnutls_free(text.data);
	return copy;
}

static void fingerprint(struct tls *tls, gnutls_x509_crt_t certificate)
{
	unsigned char digest[32];
	size_t len = sizeof(digest);
	if (gnutls_x509_crt_get_fingerprint(certificate, GNUTLS_DIG_SHA256, digest, &len) == 0)
		hex_of(tls->fingerprint, digest, len);
}

/* Looked at now, so that it is not the first client who finds out. */
static bool check(struct tls *tls, const char *path, log_fn log)
{
	gnutls_certificate_credentials_t both;
	gnutls_x509_crt_t certificate;
	gnutls_datum_t text = { (unsigned char *)tls->certificate,
		(unsigned)strlen(tls->certificate) };
	gnutls_datum_t key = { (unsigned char *)tls->key, (unsigned)strlen(tls->key) };
	gnutls_certificate_allocate_credentials(&both);
	int code = gnutls_certificate_set_x509_key_mem(both, &text, &key, GNUTLS_X509_FMT_PEM);
	gnutls_certificate_free_credentials(both);
	if (code < 0)
		return failed(log, "the certificate and its key cannot be used", path, code);
	gnutls_x509_crt_init(&certificate);
	gnutls_x509_crt_import(certificate, &text, GNUTLS_X509_FMT_PEM);
	fingerprint(tls, certificate);
	if (gnutls_x509_crt_get_expiration_time(certificate) < time(NULL))
		log_line(log, NOVA_LOG_WARN, "the certificate '%s' has expired", path);
	gnutls_x509_crt_deinit(certificate);
	return true;
}

static char *path_in(const char *directory, const char *name)
{
	char *path;
	if (asprintf(&path, "%s/%s", directory, name) < 0)
		need(NULL);
	return path;
}

bool tls_open(struct tls *tls, const struct settings *settings, const char *directory, log_fn log)
{
	bool own = !settings->tls_cert;
	char *certificate = own ? path_in(directory, "tls.cert.pem") : NULL;
	char *key = own ? path_in(directory, "tls.key.pem") : NULL;
	const char *certificate_path = own ? certificate : settings->tls_cert;
	const char *key_path = own ? key : settings->tls_key;
	bool missing = own && access(certificate, F_OK) != 0 && access(key, F_OK) != 0;
	bool done = !missing || make(certificate, key, &settings->hosts, log);
	if (done)
		tls->certificate = load(certificate_path, "certificate", log);
	if (tls->certificate)
		tls->key = load(key_path, "key of the certificate", log);
	done = tls->key && check(tls, certificate_path, log);
	free(certificate);
	free(key);
	return done;
}

void tls_free(struct tls *tls)
{
	if (tls->key)
		gnutls_memset(tls->key, 0, strlen(tls->key));
	free(tls->key);
	free(tls->certificate);
	*tls = (struct tls){ 0 };
}
