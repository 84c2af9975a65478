/* SPDX-License-Identifier: MIT */
/* A module's file, looked at before it is loaded: the loader of the system would touch what is
 * behind its end, and run its code. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>

#include "module/module.h"

#define SEGMENTS_MOST 64u
#define NOTES_MOST    4096u

struct file {
	int fd;
	uint64_t size;
};

/* -ENOEXEC: there is no such part. */
static int read_at(const struct file *f, void *to, size_t len, uint64_t at)
{
	if (at > f->size || len > f->size - at)
		return -ENOEXEC;
	return sys_pread_all(f->fd, to, len, at);
}

static int read_header(const struct file *f, ElfW(Ehdr) * ret)
{
	int r = read_at(f, ret, sizeof(*ret), 0);
	if (r < 0)
		return r;
	if (memcmp(ret->e_ident, ELFMAG, SELFMAG) != 0 ||
		ret->e_ident[EI_CLASS] != (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
		ret->e_phentsize != sizeof(ElfW(Phdr)) || ret->e_phnum > SEGMENTS_MOST)
		return -ENOEXEC;
	/* They stand at the end, so that nothing is cut off when they are there. */
	uint64_t sections = (uint64_t)ret->e_shentsize * ret->e_shnum;
	return ret->e_shoff > f->size || sections > f->size - ret->e_shoff ? -ENOEXEC : 0;
}

static size_t padded(size_t len)
{
	return (len + 3) & ~(size_t)3;
}

/* Looks for ours among the notes of one segment. */
static bool find_note(const uint8_t *notes, size_t len, struct module_note *ret)
{
	const size_t head = offsetof(struct module_note, owner);
	for (size_t at = 0; len - at >= head;) {
		memcpy(ret, notes + at, head);
		size_t rest = len - at - head;
		if (ret->owner_len > rest || ret->text_len > rest)
			return false;
		size_t whole = head + padded(ret->owner_len) + padded(ret->text_len);
		if (whole > len - at)
			return false;
		if (whole == sizeof(*ret) &&
			!memcmp(notes + at + head, MODULE_OWNER, sizeof(MODULE_OWNER))) {
			memcpy(ret, notes + at, sizeof(*ret));
			return ret->type == MODULE_TYPE;
		}
		at += whole;
	}
	return false;
}

static int read_notes(const struct file *f, const ElfW(Phdr) * segment, struct module_note *ret)
{
	uint8_t notes[NOTES_MOST];
	if (segment->p_align > 4 ||
		segment->p_filesz > sizeof(notes)) /* of the compiler, which aligns its own to 8 */
		return -ENOENT;
	int r = read_at(f, notes, segment->p_filesz, segment->p_offset);
	return r < 0 ? r : find_note(notes, segment->p_filesz, ret) ? 0 : -ENOENT;
}

/* -ENOEXEC: it is no whole file of this kind; -ENOENT: it has no note of ours. */
static int read_note(const struct file *f, struct module_note *ret)
{
	ElfW(Ehdr) header;
	ElfW(Phdr) segments[SEGMENTS_MOST];
	int r = read_header(f, &header);
	if (r == 0)
		r = read_at(f, segments, header.e_phnum * sizeof(*segments), header.e_phoff);
	bool found = false;
	for (size_t i = 0; r == 0 && i < header.e_phnum; i++) {
		const ElfW(Phdr) *s = &segments[i];
		if (s->p_type == PT_LOAD &&
			(s->p_offset > f->size || s->p_filesz > f->size - s->p_offset))
			r = -ENOEXEC;
		int note =
			s->p_type == PT_NOTE && !found && r == 0 ? read_notes(f, s, ret) : -ENOENT;
		found |= note == 0;
		if (note < 0 && note != -ENOENT)
			r = note;
	}
	return r < 0 ? r : found ? 0 : -ENOENT;
}

static bool says(const char *field, size_t len, const char *text)
{
	return strnlen(field, len) == strlen(text) && !memcmp(field, text, strlen(text));
}

int module_check(const char *path, const char *name, nova_error_t **error)
{
	struct module_note note;
	struct stat st;
	AUTO_FD int fd = sys_open(path, O_RDONLY, 0);
	int r = fd < 0 ? fd : sys_fstat(fd, &st);
	if (r == 0)
		r = read_note(&(struct file){ fd, (uint64_t)st.st_size }, &note);
	if (r == -ENOEXEC)
		return nova_fail(error, NOVA_ECORRUPT,
			"'%s' is cut off, or no shared library of this kind of computer: install "
			"libnova's module anew",
			path);
	if (r == -ENOENT || (r == 0 && !says(note.name, sizeof(note.name), name)))
		return nova_fail(error, NOVA_ECORRUPT,
			"'%s' is not libnova's module for %s: install that anew", path, name);
	if (r < 0)
		return nova_fail_os(error, r, "libnova's module '%s'", path);
	if (says(note.version, sizeof(note.version), NOVA_VERSION_STRING))
		return 0;
	AUTO_FREE char *version =
		strndup(note.version, strnlen(note.version, sizeof(note.version)));
	return nova_fail(error, NOVA_EABI,
		"'%s' belongs to libnova %s, and this is " NOVA_VERSION_STRING
		": install both from the same build",
		path, version && text_is_utf8(version) ? version : "of another version");
}
