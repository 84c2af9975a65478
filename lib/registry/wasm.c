/* SPDX-License-Identifier: MIT */
/*
 * The look at a module of WebAssembly: whether it is whole, imports nothing that no guest has, and
 * exports what a call runs. Its functions, and all of its text form, are looked at by the compiler,
 * in the guest.
 */
#include "registry/internal.h"

#define NAME_SIZE 64 /* of a name as it is shown; longer ones are cut */

enum { SECTION_IMPORT = 2, SECTION_EXPORT = 7, SECTIONS = 13 };
enum { KIND_FUNCTION, KIND_TABLE, KIND_MEMORY, KIND_GLOBAL, KIND_TAG };

struct reader {
	const struct code *code;
	uint64_t at, end;
	bool bad; /* something led beyond the end */
};

static uint8_t read_byte(struct reader *r)
{
	uint8_t byte = 0;
	r->bad |= r->at >= r->end || !code_read(r->code, &byte, 1, r->at);
	r->at++;
	return byte;
}

/* LEB128 */
static uint64_t read_number(struct reader *r)
{
	uint64_t number = 0;
	for (unsigned shift = 0; shift < 64 && !r->bad; shift += 7) {
		uint8_t byte = read_byte(r);
		number |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return number;
	}
	r->bad = true;
	return 0;
}

static void read_name(struct reader *r, char name[NAME_SIZE])
{
	uint64_t len = read_number(r);
	size_t shown = len < NAME_SIZE ? (size_t)len : NAME_SIZE - 1;
	name[0] = 0;
	r->bad |= len > r->end - r->at || !code_read(r->code, name, shown, r->at);
	if (r->bad)
		return;
	name[shown] = 0;
	for (char *at = name; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	r->at += len;
}

static void skip_limits(struct reader *r)
{
	uint8_t flags = read_byte(r);
	read_number(r);
	if (flags & 1)
		read_number(r);
}

static void skip_type(struct reader *r)
{
	uint8_t kind = read_byte(r);
	if (kind == KIND_TABLE || kind == KIND_GLOBAL || kind == KIND_TAG)
		read_byte(r);
	if (kind == KIND_TABLE || kind == KIND_MEMORY)
		skip_limits(r);
	else if (kind == KIND_FUNCTION || kind == KIND_TAG)
		read_number(r);
	else
		read_byte(r);
}

/* "module.name" of the first import that is not of WASI; "": there is none. */
static void find_stranger(struct reader *r, char ret[2 * NAME_SIZE])
{
	char module[NAME_SIZE], name[NAME_SIZE];
	for (uint64_t left = read_number(r); left && !r->bad && !*ret; left--) {
		read_name(r, module);
		read_name(r, name);
		skip_type(r);
		if (!r->bad && strcmp(module, "wasi_snapshot_preview1") != 0 &&
			strcmp(module, "wasi_unstable") != 0)
			snprintf(ret, 2 * NAME_SIZE, "%s.%s", module, name);
	}
}

static bool find_start(struct reader *r)
{
	char name[NAME_SIZE];
	bool found = false;
	for (uint64_t left = read_number(r); left && !r->bad && !found; left--) {
		read_name(r, name);
		found = read_byte(r) == KIND_FUNCTION && !strcmp(name, "_start");
		read_number(r);
	}
	return found && !r->bad;
}

/* Each section: a byte that tells which, its length, its content. */
static bool look(const struct code *code, char stranger[2 * NAME_SIZE], bool *ret_starts)
{
	struct reader r = { code, 8, code->len, false };
	while (r.at < r.end) {
		uint8_t id = read_byte(&r);
		uint64_t len = read_number(&r);
		if (r.bad || id > SECTIONS || len > r.end - r.at)
			return false;
		struct reader content = { code, r.at, r.at + len, false };
		if (id == SECTION_IMPORT)
			find_stranger(&content, stranger);
		else if (id == SECTION_EXPORT)
			*ret_starts = find_start(&content);
		if (content.bad)
			return false;
		r.at += len;
	}
	return true;
}

/* --- the text form, which compilers take as well, and judge --- */

static bool is_text(const struct code *code)
{
	char head[4096];
	size_t len = code->len < sizeof(head) ? code->len : sizeof(head), at = 0;
	if (!code_read(code, head, len, 0))
		return false;
	while (at < len && head[at] && strchr(" \t\r\n", head[at]))
		at++;
	return at < len && (head[at] == '(' || head[at] == ';');
}

static bool text_names_start(const struct code *code)
{
	static const char name[] = "\"_start\"";
	char block[4096];
	for (uint64_t at = 0; at < code->len; at += sizeof(block) - sizeof(name)) {
		uint64_t left = code->len - at;
		size_t len = left < sizeof(block) ? (size_t)left : sizeof(block);
		if (!code_read(code, block, len, at))
			return false;
		if (memmem(block, len, name, sizeof(name) - 1))
			return true;
	}
	return false;
}

/* --- both --- */

static const char no_start[] = "exports no function _start, which is what a call runs";

int code_check_wasm(const struct code *code, const struct runtime *runtime, nova_error_t **error)
{
	char head[8], stranger[2 * NAME_SIZE] = "", why[3 * NAME_SIZE];
	bool starts = false;
	if (is_text(code))
		return text_names_start(code) ? 0 : code_refuse(code, runtime, no_start, error);
	if (!code_read(code, head, sizeof(head), 0) || memcmp(head, "\0asm", 4) != 0)
		return code_refuse(code, runtime, "is not a WebAssembly module", error);
	if (head[6] == 1)
		return 0; /* a component, which wasmtime runs, too */
	if (!look(code, stranger, &starts))
		return code_refuse(code, runtime,
			"is a damaged WebAssembly module: a section leads beyond its end", error);
	if (*stranger) {
		snprintf(why, sizeof(why), "imports %s, and there is nothing but WASI to import",
			stranger);
		return code_refuse(code, runtime, why, error);
	}
	return starts ? 0 : code_refuse(code, runtime, no_start, error);
}
