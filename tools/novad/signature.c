/* SPDX-License-Identifier: MIT */
/*
 * Requests that are signed as Amazon's services want it (Signature Version 4). The secret of a key
 * is derived from a key of this server, so that nothing is stored. What is refused is refused in
 * Amazon's order and by its codes, which clients know.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>

#include "http.h"

#define ALGORITHM  "AWS4-HMAC-SHA256"
#define TERMINATOR "aws4_request"
#define SERVICE    "lambda"
#define SKEW_S     300
#define HASH       32
#define PARTS_MAX  64 /* headers that are signed, parameters of the query */

#define INCOMPLETE   "IncompleteSignatureException"
#define INVALID      "InvalidSignatureException"
#define UNRECOGNIZED "UnrecognizedClientException"

/* --- the key of the server, from which secrets are derived --- */

/* A link, so that nobody finds half of it. */
static bool make_key(const char *path)
{
	unsigned char key[HASH];
	char text[2 * HASH + 2] = "", *draft;
	if (access(path, F_OK) == 0)
		return true;
	if (gnutls_rnd(GNUTLS_RND_KEY, key, sizeof(key)) != 0)
		return false;
	hex_of(text, key, sizeof(key));
	text[2 * HASH] = '\n';
	if (asprintf(&draft, "%s.%d", path, (int)getpid()) < 0)
		need(NULL);
	int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool done = fd >= 0 && write(fd, text, 2 * HASH + 1) == 2 * HASH + 1 && fsync(fd) == 0 &&
		    (link(draft, path) == 0 || access(path, F_OK) == 0);
	if (fd >= 0) {
		close(fd);
		unlink(draft);
	}
	gnutls_memset(key, 0, sizeof(key));
	gnutls_memset(text, 0, sizeof(text));
	free(draft);
	return done;
}

static bool read_key(int fd, unsigned char key[HASH])
{
	char text[2 * HASH + 2] = "";
	size_t len = HASH;
	ssize_t n = read(fd, text, sizeof(text));
	gnutls_datum_t hex = { (unsigned char *)text, 2 * HASH };
	bool done = (n == 2 * HASH || (n == 2 * HASH + 1 && text[2 * HASH] == '\n')) &&
		    gnutls_hex_decode(&hex, key, &len) == 0 && len == HASH;
	gnutls_memset(text, 0, sizeof(text));
	return done;
}

bool signing_key_open(const char *path, unsigned char key[HASH], log_fn log)
{
	struct stat is;
	bool done = false;
	if (!make_key(path)) {
		log_line(log, NOVA_LOG_ERROR, "cannot make the signing key '%s': %m", path);
		return false;
	}
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &is) != 0)
		log_line(log, NOVA_LOG_ERROR, "cannot read the signing key '%s': %m", path);
	else if (is.st_mode & 077)
		log_line(log, NOVA_LOG_ERROR,
			"others may read or write the signing key '%s': chmod 600 changes that",
			path);
	else if (!read_key(fd, key))
		log_line(log, NOVA_LOG_ERROR, "'%s' is no signing key of %d hexadecimal digits",
			path, 2 * HASH);
	else
		done = true;
	if (fd >= 0)
		close(fd);
	return done;
}

void signing_secret(
	const unsigned char key[HASH], const struct key *of, char secret[SIGNING_SECRET_MAX])
{
	unsigned char mac[HASH];
	char text[200], hex[2 * HASH + 1];
	struct bytes out = { 0 };
	hex_of(hex, of->hash, sizeof(of->hash));
	snprintf(text, sizeof(text), "secret access key\n%s\n%s", of->name, hex);
	gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, HASH, text, strlen(text), mac);
	base64_write(&out, mac, 30); /* 40 characters, as Amazon's have */
	snprintf(secret, SIGNING_SECRET_MAX, "%s", out.data);
	gnutls_memset(out.data, 0, out.len);
	gnutls_memset(mac, 0, sizeof(mac));
	bytes_free(&out);
}

/* --- what is said in the header --- */

/* Texts lie in `text`. */
struct signature {
	char *text, *scope;
	const char *id, *date, *region, *service, *terminator;
	char *headers[PARTS_MAX];
	size_t headers_count;
	char *signed_headers; /* as given */
	const char *value, *time;
};

static bool refuse(struct exchange *x, const char *type, const char *text)
{
	exchange_problem(x, 403, type, "%s", text);
	return false;
}

bool signature_is_there(const struct exchange *x)
{
	const char *given = exchange_header(x, "Authorization");
	return given && !strncmp(given, "AWS4-", 5);
}

static bool take_pair(struct signature *s, char *pair)
{
	char *value = strchr(pair, '=');
	if (!value)
		return false;
	*value++ = 0;
	if (!strcmp(pair, "Credential"))
		s->scope = value;
	else if (!strcmp(pair, "SignedHeaders"))
		s->signed_headers = value;
	else if (!strcmp(pair, "Signature"))
		s->value = value;
	return true;
}

static bool take_pairs(struct exchange *x, struct signature *s)
{
	char why[300];
	char *rest = s->text, *pair, *algorithm = strsep(&rest, " ");
	bool known = !strcmp(algorithm, ALGORITHM);
	while (known && (pair = strsep(&rest, ", ")) != NULL)
		if (*pair && !take_pair(s, pair)) {
			snprintf(why, sizeof(why),
				"'%.100s' not a valid key=value pair (missing equal-sign) in "
				"Authorization header.",
				pair);
			return refuse(x, INCOMPLETE, why);
		}
	if (!known) {
		snprintf(why, sizeof(why),
			"Unsupported AWS 'algorithm': '%.40s' (only " ALGORITHM " for now).",
			algorithm);
		return refuse(x, INCOMPLETE, why);
	}
	snprintf(why, sizeof(why), "%s%s%s%s",
		s->scope ? "" : "Authorization header requires 'Credential' parameter. ",
		s->value ? "" : "Authorization header requires 'Signature' parameter. ",
		s->signed_headers ? "" :
				    "Authorization header requires 'SignedHeaders' parameter. ",
		s->time ? "" :
			  "Authorization header requires existence of either a 'X-Amz-Date' or a "
			  "'Date' header. ");
	return !*why || refuse(x, INCOMPLETE, why);
}

/* -1: it is none. */
static time_t time_of(const char *text)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y%m%dT%H%M%SZ", &tm);
	return strlen(text) == 16 && end && !*end ? timegm(&tm) : -1;
}

static const char *write_time(char out[17], time_t time)
{
	struct tm tm;
	gmtime_r(&time, &tm);
	strftime(out, 17, "%Y%m%dT%H%M%SZ", &tm);
	return out;
}

static bool check_time(struct exchange *x, const struct signature *s)
{
	char why[300], edge[17], here[17];
	time_t now = time(NULL), then = time_of(s->time);
	if (then < 0) {
		snprintf(why, sizeof(why),
			"Date must be in ISO-8601 'basic format'. Got '%.40s'. See "
			"http://en.wikipedia.org/wiki/ISO_8601",
			s->time);
		return refuse(x, INCOMPLETE, why);
	}
	if (then >= now - SKEW_S && then <= now + SKEW_S)
		return true;
	bool early = then < now;
	write_time(edge, early ? now - SKEW_S : now + SKEW_S);
	snprintf(why, sizeof(why), "Signature %s: %s is %s %s (%s %c 5 min.)",
		early ? "expired" : "not yet current", s->time,
		early ? "now earlier than" : "still later than", edge, write_time(here, now),
		early ? '-' : '+');
	return refuse(x, INVALID, why);
}

/* --- which headers are signed --- */

static bool is_signed(const struct signature *s, const char *name)
{
	for (size_t i = 0; i < s->headers_count; i++)
		if (!strcasecmp(s->headers[i], name))
			return true;
	return false;
}

struct unsigned_header {
	const struct signature *signature;
	const char *name;
};

static enum MHD_Result look_for_unsigned(
	void *userdata, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct unsigned_header *found = userdata;
	(void)kind, (void)value;
	bool matters = !strcasecmp(name, "host") || !strncasecmp(name, "x-amz-", 6);
	if (!matters || is_signed(found->signature, name))
		return MHD_YES;
	found->name = name;
	return MHD_NO;
}

static bool check_headers(struct exchange *x, struct signature *s)
{
	char why[200], *rest = s->signed_headers, *name;
	struct unsigned_header found = { s, NULL };
	while (s->headers_count < PARTS_MAX && (name = strsep(&rest, ";")) != NULL)
		s->headers[s->headers_count++] = name;
	if (rest)
		return refuse(x, INCOMPLETE, "too many headers are signed");
	if (!is_signed(s, "host"))
		found.name = "Host";
	else
		MHD_get_connection_values(
			x->connection, MHD_HEADER_KIND, look_for_unsigned, &found);
	snprintf(why, sizeof(why), "'%.80s' must be a 'SignedHeader' in the AWS Authorization.",
		found.name ? found.name : "");
	return !found.name || refuse(x, INVALID, why);
}

/* --- for what, and whose it is --- */

static bool is_region(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return len && len <= 63 && !text[len];
}

static bool check_scope(struct exchange *x, struct signature *s)
{
	char why[700], *rest = s->scope;
	const char **parts[] = { &s->id, &s->date, &s->region, &s->service, &s->terminator };
	size_t count = 0;
	while (count < ARRAY_LEN(parts) && rest)
		*parts[count++] = strsep(&rest, "/");
	if (rest || count < ARRAY_LEN(parts))
		return refuse(x, INCOMPLETE,
			"Credential must have exactly 5 slash-delimited elements, e.g. "
			"keyid/date/region/service/term");
	snprintf(why, sizeof(why), "%s%s%s%s",
		is_region(s->region) ? "" : "Credential should be scoped to a valid region. ",
		strcmp(s->service, SERVICE) ?
			"Credential should be scoped to correct service: '" SERVICE "'. " :
			"",
		strcmp(s->terminator, TERMINATOR) ?
			"Credential should be scoped with a valid terminator: '" TERMINATOR "'. " :
			"",
		strncmp(s->date, s->time, 8) || strlen(s->date) != 8 ?
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of "
			"date from HTTP. " :
			"");
	return !*why || refuse(x, INVALID, why);
}

/* Tokens are of keys that Amazon gives for a time. */
static bool check_token(struct exchange *x)
{
	return !exchange_header(x, "X-Amz-Security-Token") ||
	       refuse(x, UNRECOGNIZED, SIGNATURE_UNKNOWN);
}

const char *signature_read(struct exchange *x)
{
	struct signature *s = need(calloc(1, sizeof(*s)));
	x->signature = s;
	s->text = need(strdup(exchange_header(x, "Authorization")));
	s->time = exchange_header(x, "X-Amz-Date");
	if (!s->time)
		s->time = exchange_header(x, "Date");
	bool fits = take_pairs(x, s) && check_time(x, s) && check_headers(x, s) &&
		    check_scope(x, s) && check_token(x);
	return fits ? s->id : NULL;
}

void signature_free(struct signature *s)
{
	if (!s)
		return;
	free(s->text);
	free(s);
}

/* --- what was signed --- */

static void add(struct bytes *out, const char *text)
{
	bytes_add(out, text, strlen(text));
}

static void add_encoded(struct bytes *out, const char *text, const char *kept)
{
	char code[4];
	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr(kept, *text)) {
			bytes_add(out, text, 1);
		} else {
			snprintf(code, sizeof(code), "%%%02X", (unsigned char)*text);
			add(out, code);
		}
}

/* By the name, then by the value: '=' comes before whatever a name may go on with. */
static int compare(const void *a, const void *b)
{
	const char *one = *(char *const *)a, *other = *(char *const *)b;
	while (*one && *one == *other)
		one++, other++;
	if ((*one == '=') != (*other == '='))
		return *one == '=' ? -1 : 1;
	return (unsigned char)*one - (unsigned char)*other;
}

/* "name=value", encoded anew: clients do not agree on what is to be encoded. A '+' is the blank
 * that the value has for whoever reads it then. NULL: it is malformed. */
static char *encoded_pair(char *pair)
{
	struct bytes out = { 0 };
	char *value = strchr(pair, '=');
	if (value)
		*value++ = 0;
	for (char *plus = value; plus && (plus = strchr(plus, '+')) != NULL;)
		*plus = ' ';
	if (!percent_read(pair) || (value && !percent_read(value)))
		return NULL;
	add_encoded(&out, pair, "-_.~");
	add(&out, "=");
	add_encoded(&out, value ? value : "", "-_.~");
	bytes_add(&out, "", 1);
	return out.data;
}

/* False: it has more parts than are signed, or one that is malformed. */
static bool add_query(struct bytes *out, const char *search)
{
	char *pairs[PARTS_MAX], *copy = need(strdup(search ? search : ""));
	char *rest = copy, *pair;
	size_t count = 0;
	bool fits = true;
	while (fits && (pair = strsep(&rest, "&")) != NULL) {
		if (!*pair)
			continue;
		fits = count < PARTS_MAX && (pairs[count] = encoded_pair(pair)) != NULL;
		count += fits;
	}
	qsort(pairs, count, sizeof(*pairs), compare);
	for (size_t i = 0; i < count; i++) {
		add(out, i ? "&" : "");
		add(out, pairs[i]);
		free(pairs[i]);
	}
	free(copy);
	return fits;
}

/* Without blanks at both ends, and with one where there are several. */
static void add_value(struct bytes *out, const char *value)
{
	value += strspn(value, " \t");
	while (*value) {
		size_t len = strcspn(value, " \t"), blanks = strspn(value + len, " \t");
		bytes_add(out, value, len);
		value += len + blanks;
		add(out, *value ? " " : "");
	}
}

struct signed_header {
	struct bytes *out;
	const char *name;
	size_t count;
};

static enum MHD_Result add_header(
	void *userdata, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct signed_header *header = userdata;
	(void)kind;
	if (strcasecmp(name, header->name) != 0)
		return MHD_YES;
	add(header->out, header->count++ ? "," : "");
	add_value(header->out, value ? value : "");
	return MHD_YES;
}

static void add_headers(struct bytes *out, const struct exchange *x, const struct signature *s)
{
	for (size_t i = 0; i < s->headers_count; i++) {
		struct signed_header header = { out, s->headers[i], 0 };
		add(out, s->headers[i]);
		add(out, ":");
		MHD_get_connection_values(x->connection, MHD_HEADER_KIND, add_header, &header);
		add(out, "\n");
	}
	add(out, "\n");
	for (size_t i = 0; i < s->headers_count; i++) {
		add(out, i ? ";" : "");
		add(out, s->headers[i]);
	}
	add(out, "\n");
}

static void hash_hex(char out[2 * HASH + 1], const void *data, size_t len)
{
	unsigned char hash[HASH];
	gnutls_hash_fast(GNUTLS_DIG_SHA256, data ? data : "", len, hash);
	hex_of(out, hash, sizeof(hash));
}

static bool add_request(struct bytes *out, const struct exchange *x, const struct signature *s,
	const char *body_hash)
{
	add(out, x->method);
	add(out, "\n");
	add_encoded(out, x->path, "-_.~/");
	add(out, "\n");
	bool fits = add_query(out, x->search);
	add(out, "\n");
	add_headers(out, x, s);
	add(out, body_hash);
	return fits;
}

/* --- the signature --- */

static void chain(unsigned char key[HASH], const char *text)
{
	unsigned char next[HASH];
	gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, HASH, text, strlen(text), next);
	memcpy(key, next, HASH);
}

static void sign(char out[2 * HASH + 1], const struct signature *s, const char *secret,
	const char *request_hash)
{
	unsigned char key[HASH];
	char first[SIGNING_SECRET_MAX + 4], text[400];
	int len = snprintf(first, sizeof(first), "AWS4%s", secret);
	gnutls_hmac_fast(GNUTLS_MAC_SHA256, first, (size_t)len, s->date, strlen(s->date), key);
	chain(key, s->region);
	chain(key, s->service);
	chain(key, s->terminator);
	snprintf(text, sizeof(text), ALGORITHM "\n%s\n%s/%s/%s/%s\n%s", s->time, s->date, s->region,
		s->service, s->terminator, request_hash);
	chain(key, text);
	hex_of(out, key, HASH);
	gnutls_memset(first, 0, sizeof(first));
	gnutls_memset(key, 0, sizeof(key));
}

static bool refuse_mismatch(struct exchange *x)
{
	return refuse(x, INVALID,
		"The request signature we calculated does not match the signature you provided. "
		"Check your AWS Secret Access Key and signing method. Consult the service "
		"documentation for details.");
}

bool signature_names_body(const struct exchange *x)
{
	return exchange_header(x, "X-Amz-Content-Sha256");
}

/* A body that says of itself that it is not signed, or is signed piece by piece, is none of these
 * routes; neither does a hash count that is not its own. */
bool signature_check_body(struct exchange *x)
{
	char hash[2 * HASH + 1];
	const char *given = exchange_header(x, "X-Amz-Content-Sha256");
	hash_hex(hash, x->body.data, x->body.len);
	return !given || !strcmp(given, hash) || refuse_mismatch(x);
}

bool signature_check(struct exchange *x, const char *secret)
{
	struct bytes request = { 0 };
	const struct signature *s = x->signature;
	const char *named = exchange_header(x, "X-Amz-Content-Sha256");
	char hash[2 * HASH + 1], body_hash[2 * HASH + 1], wanted[2 * HASH + 1];
	hash_hex(body_hash, x->body.data, x->body.len);
	bool fits = add_request(&request, x, s, named ? named : body_hash);
	hash_hex(hash, request.data, request.len);
	bytes_free(&request);
	sign(wanted, s, secret, hash);
	fits = fits && strlen(s->value) == 2 * HASH &&
	       gnutls_memcmp(s->value, wanted, 2 * HASH) == 0;
	gnutls_memset(wanted, 0, sizeof(wanted));
	return fits || refuse_mismatch(x);
}
