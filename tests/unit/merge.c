/* SPDX-License-Identifier: MIT */
/* Listings that a guest may answer, and merges of VMs that are tables of files. */
#include "files/files.h"
#include "vm/channel.h"

#include "test.h"

static nova_error_t *error;

/* --- listings --- */

static int add_page(nova_files_t *files, const char *text, bool *ret_more)
{
	struct guest_message said;
	AUTO_FREE char *payload = strdup(text);
	int code = guest_message_read(payload, strlen(payload), &said, &error);
	*ret_more = code == 0 && said.more;
	return code < 0 ? code : files_add_page(files, &said, &error);
}

START_TEST(pages_are_put_together)
{
	nova_files_t *files = calloc(1, sizeof(*files));
	bool more;
	ck_ok(add_page(files,
		"{\"entries\":[[\"d\",\"d\",493,0,5,\"\"],[\"d/"
		"x\",\"f\",420,3,6,\"00112233445566ff\"]],\"more\":true}",
		&more));
	ck_assert(more);
	ck_ok(add_page(files,
		"{\"entries\":[[\"d/y\",\"l\",511,0,7,\"../"
		"z\"],[\"d-\",\"o\",384,0,8,\"\"],[\"e\",\"f\",0,1,0,\"\"]],\"more\":false}",
		&more));
	ck_assert(!more);
	ck_assert_uint_eq(nova_files_count(files), 5);
	ck_assert_uint_eq(nova_files_digest(files, 1), 0x00112233445566ffu);
	ck_assert_uint_eq(nova_files_digest(files, 4), 0);
	ck_assert_str_eq(nova_files_target(files, 2), "../z");
	ck_assert_str_eq(nova_files_target(files, 1), "");
	ck_assert_int_eq(nova_files_kind(files, 3), NOVA_FILE_OTHER);
	ck_assert_uint_eq(nova_files_mtime_us(files, 2), 7);
	nova_files_free(files);
	nova_files_free(NULL);
	ck_assert_uint_eq(nova_files_count(NULL), 0);
}
END_TEST

START_TEST(a_guest_that_lies_is_not_believed)
{
	static const char *const entries[] = {
		"7",
		"[]",
		"[\"a\"]",
		"{}",
		"[1,\"f\",0,0,0,\"\"]",
		"[\"a\",\"f\",0,0,0]",
		"[\"a\",\"f\",0,0,0,7]",
		/* no path */
		"[\"\",\"f\",0,0,0,\"\"]",
		"[\"/etc/passwd\",\"f\",0,0,0,\"\"]",
		"[\"../x\",\"f\",0,0,0,\"\"]",
		"[\"..\",\"d\",0,0,0,\"\"]",
		"[\"a/../../x\",\"f\",0,0,0,\"\"]",
		"[\"a//b\",\"f\",0,0,0,\"\"]",
		"[\"a/\",\"d\",0,0,0,\"\"]",
		"[\"./a\",\"f\",0,0,0,\"\"]",
		"[\"a\\u0000b\",\"f\",0,0,0,\"\"]",
		/* no kind, no numbers, no digest */
		"[\"a\",\"x\",0,0,0,\"\"]",
		"[\"a\",\"\",0,0,0,\"\"]",
		"[\"a\",\"fd\",0,0,0,\"\"]",
		"[\"a\",\"f\",-1,0,0,\"\"]",
		"[\"a\",\"f\",4096,0,0,\"\"]",
		"[\"a\",\"f\",0,-1,0,\"\"]",
		"[\"a\",\"f\",0,0,-1,\"\"]",
		"[\"a\",\"f\",0,0,0,\"12\"]",
		"[\"a\",\"f\",0,0,0,\"0011223344556677889\"]",
		"[\"a\",\"f\",0,0,0,\"zz11223344556677\"]",
		"[\"a\",\"l\",0,0,0,\"\"]",
		"[\"a\",\"l\",0,0,0,\"x\\u0000y\"]",
		/* in no directory, behind what is not, twice */
		"[\"a/b\",\"f\",0,0,0,\"\"]",
		"[\"f/b\",\"f\",0,0,0,\"\"]",
		"[\"A\",\"f\",0,0,0,\"\"]",
		"[\"f\",\"f\",0,0,0,\"\"]",
	};
	for (size_t i = 0; i < ARRAY_LEN(entries); i++) {
		nova_files_t *files = calloc(1, sizeof(*files));
		bool more;
		AUTO_FREE char *text = str_format(
			"{\"entries\":[[\"f\",\"f\",0,0,0,\"\"],%s],\"more\":false}", entries[i]);
		ck_fails_with(NOVA_EAGENT, "entry 1", add_page(files, text, &more));
		nova_files_free(files);
	}
	static const char *const pages[] = { "{}", "{\"entries\":{}}",
		"{\"entries\":[],\"more\":true}" };
	for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
		nova_files_t *files = calloc(1, sizeof(*files));
		bool more;
		ck_fails(NOVA_EAGENT, add_page(files, pages[i], &more));
		nova_files_free(files);
	}
}
END_TEST

START_TEST(a_listing_without_end_is_broken_off)
{
	nova_files_t *files = calloc(1, sizeof(*files));
	int code = 0;
	for (unsigned i = 0; code == 0; i++) {
		char entries[64];
		snprintf(entries, sizeof(entries), "[[\"%08u\",\"f\",0,0,0,\"\"]]", i);
		struct guest_message said = {
			.entries = { entries, strlen(entries) },
			.more = true,
		};
		code = files_add_page(files, &said, i < FILES_MOST ? NULL : &error);
	}
	ck_assert_uint_eq(nova_files_count(files), FILES_MOST);
	ck_fails_with(NOVA_ETOOBIG, "100000", code);
	nova_files_free(files);
}
END_TEST

/* --- a guest's answers --- */

static const char *const *answers; /* the next ones, in this order */
static uint64_t answer_ns;         /* that each takes */

#define STATUS ",\"status\":\"ok\"" /* of every answer */

int __wrap_vm_request(nova_vm_t *vm, int type, json_t *payload, uint32_t timeout_ms, uint64_t *took,
	const struct stop *stop, struct vm_answer *ret, nova_error_t **err);
int __wrap_vm_request(nova_vm_t *vm, int type, json_t *payload, uint32_t timeout_ms, uint64_t *took,
	const struct stop *stop, struct vm_answer *ret, nova_error_t **err)
{
	(void)type, (void)timeout_ms, (void)stop;
	if (took)
		*took += answer_ns;
	ck_assert_ptr_nonnull(payload);
	json_decref(payload);
	if (!*answers)
		return nova_fail(err, NOVA_EAGENT, "no more is said");
	const char *text = *answers++;
	size_t len = strlen(text) + strlen(STATUS);
	ret->frame = malloc(sizeof(*ret->frame) + len + 1);
	*ret->frame = (struct proto_frame){
		.type = NOVA_MSG_RESP, .payload = ret->frame->text, .payload_len = len
	};
	const char *status = STATUS;
	snprintf(ret->frame->text, len + 1, "%.*s%s}", (int)strlen(text) - 1, text,
		&status[text[1] == '}']);
	len = ret->frame->payload_len = strlen(ret->frame->text);
	int code = guest_message_read(ret->frame->payload, len, &ret->said, err);
	if (code == 0)
		code = vm_done(ret, err);
	return code < 0 ? nova_wrap(err, code, "microVM %s", vm->id) : 0;
}

static int read_with(const char *const *said, size_t most)
{
	struct nova_vm vm = { .id = "a-guest" };
	void *data = NULL;
	size_t len = 0;
	answers = said;
	int code = nova_vm_read_file(&vm, "/tmp/x",
		&(nova_file_read_opts){ sizeof(nova_file_read_opts), .max_size = most }, &data,
		&len, &error);
	ck_assert((code == 0) == (data != NULL));
	nova_free(data);
	return code;
}

#define SAID(...) ((const char *const[]){ __VA_ARGS__, NULL })

START_TEST(a_read_takes_what_was_promised_and_nothing_else)
{
	ck_ok(read_with(SAID("{\"size\":3,\"mtime_us\":1,\"base64\":\"YWJj\"}"), 0));
	ck_ok(read_with(SAID("{\"size\":0,\"base64\":\"\"}"), 0));
	static const char *const nonsense[] = { "{}", "{\"size\":3}",
		"{\"size\":3,\"base64\":\"YW%j\"}" };
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++)
		ck_fails_with(NOVA_EAGENT, "'/tmp/x' of microVM a-guest",
			read_with(SAID(nonsense[i]), 0));
	/* More or less than it says, or another file in the middle. */
	ck_fails_with(
		NOVA_EBUSY, "changed", read_with(SAID("{\"size\":2,\"base64\":\"YWJj\"}"), 0));
	ck_fails_with(
		NOVA_EBUSY, "changed", read_with(SAID("{\"size\":4,\"base64\":\"YWJj\"}"), 0));
	ck_fails_with(
		NOVA_EAGENT, "\"size\"", read_with(SAID("{\"size\":-1,\"base64\":\"YWJj\"}"), 0));
	ck_fails_with(NOVA_EAGENT, "\"base64\"", read_with(SAID("{\"size\":3,\"base64\":7}"), 0));
	ck_fails_with(
		NOVA_ETOOBIG, "at most 2 ", read_with(SAID("{\"size\":3,\"base64\":\"YWJj\"}"), 2));
	ck_fails_with(NOVA_EINVAL, "microVM a-guest: 'x': no",
		read_with(SAID("{\"code\":\"invalid\",\"error\":\"'x': no\"}"), 0));

	const size_t coded_len = ((size_t)PROTO_FILE_PIECE + 2) / 3 * 4;
	AUTO_FREE char *coded = malloc(coded_len + 1);
	memset(coded, 'A', coded_len);
	strcpy(coded + coded_len - 2, "==");
	AUTO_FREE char *first = str_format(
		"{\"size\":%u,\"mtime_us\":5,\"base64\":\"%s\"}", PROTO_FILE_PIECE + 3, coded);
	char good[80], later[80], longer[80];
	snprintf(good, sizeof(good), "{\"size\":%u,\"mtime_us\":5,\"base64\":\"YWJj\"}",
		PROTO_FILE_PIECE + 3);
	snprintf(later, sizeof(later), "{\"size\":%u,\"mtime_us\":6,\"base64\":\"YWJj\"}",
		PROTO_FILE_PIECE + 3);
	snprintf(longer, sizeof(longer), "{\"size\":%u,\"mtime_us\":5,\"base64\":\"YWJj\"}",
		PROTO_FILE_PIECE + 4);
	ck_ok(read_with(SAID(first, good), 0));
	ck_fails_with(NOVA_EBUSY, "changed", read_with(SAID(first, later), 0));
	ck_fails_with(NOVA_EBUSY, "changed", read_with(SAID(first, longer), 0));
	ck_fails_with(NOVA_EAGENT, "no more", read_with(SAID(first), 0));
}
END_TEST

int __real_nova_vm_list_files(nova_vm_t *vm, const char *directory, uint32_t depth,
	const nova_wait_opts *wait, nova_files_t **ret, nova_error_t **err);

START_TEST(a_listing_is_asked_for_until_there_is_no_more)
{
	struct nova_vm vm = { .id = "a-guest" };
	nova_files_t *files = NULL;
	answers = SAID("{\"entries\":[[\"a\",\"d\",0,0,0,\"\"]],\"more\":true}",
		"{\"entries\":[[\"a/b\",\"f\",0,0,0,\"\"]],\"more\":false}");
	ck_ok(__real_nova_vm_list_files(&vm, "/tmp", 0, NULL, &files, &error));
	ck_assert_uint_eq(nova_files_count(files), 2);
	nova_files_free(files);
	answers = SAID("{\"entries\":[[\"a\",\"d\",0,0,0,\"\"]],\"more\":true}",
		"{\"entries\":[[\"a\",\"d\",0,0,0,\"\"]],\"more\":true}");
	/* it would go on for ever */
	ck_fails_with(NOVA_EAGENT, "'/tmp' of microVM a-guest",
		__real_nova_vm_list_files(&vm, "/tmp", 0, NULL, &files, &error));
}
END_TEST

START_TEST(a_guest_that_lists_one_entry_at_a_time_is_not_waited_for_for_days)
{
	struct nova_vm vm = { .id = "a-guest" };
	nova_files_t *files = NULL;
	answers = SAID("{\"entries\":[[\"a\",\"f\",0,0,0,\"\"]],\"more\":true}",
		"{\"entries\":[[\"b\",\"f\",0,0,0,\"\"]],\"more\":true}",
		"{\"entries\":[[\"c\",\"f\",0,0,0,\"\"]],\"more\":false}");
	answer_ns = 301000000000u;
	ck_fails_with(NOVA_EAGENT, "10 minutes",
		__real_nova_vm_list_files(&vm, "/tmp", 0, NULL, &files, &error));
	ck_assert_ptr_null(files);
	answer_ns = 0;
}
END_TEST

/* --- VMs --- */

/* What stands for a VM: names and contents of files, "path=content", "path/" and "path>target",
 * with " @time" for another time than 1. */
struct double_vm {
	struct nova_vm vm; /* first */
	char lines[20][64];
	size_t count;
};

static int freed, pieces_until_loss; /* 0: never */

static void add_line(struct double_vm *d, const char *line)
{
	ck_assert_uint_lt(d->count, ARRAY_LEN(d->lines));
	snprintf(d->lines[d->count++], sizeof(d->lines[0]), "%s", line);
}

static void set_up(struct double_vm *d, const char *id, const char *const *lines)
{
	*d = (struct double_vm){ .count = 0 };
	snprintf(d->vm.id, sizeof(d->vm.id), "%s", id);
	pthread_mutex_init(&d->vm.lock, NULL);
	for (size_t i = 0; lines[i]; i++)
		add_line(d, lines[i]);
}

static struct file parse(const char *line, const char **ret_content)
{
	const char *mark = strpbrk(line, "=>"), *at = strstr(line, " @");
	size_t len = strlen(line) - (at ? strlen(at) : 0);
	struct file f = { .mode = 0644, .mtime_us = at ? strtoull(at + 2, NULL, 10) : 1 };
	f.kind = !mark ? NOVA_FILE_DIRECTORY : *mark == '=' ? NOVA_FILE_REGULAR : NOVA_FILE_LINK;
	f.path = strndup(line, mark ? (size_t)(mark - line) : len - 1);
	size_t content = mark ? len - (size_t)(mark + 1 - line) : 0;
	f.target = f.kind == NOVA_FILE_LINK ? strndup(mark + 1, content) : strdup("");
	f.size = f.kind == NOVA_FILE_REGULAR ? content : 0;
	if (f.kind == NOVA_FILE_REGULAR) {
		uint64_t hash = 5381;
		for (size_t i = 0; i < content; i++)
			hash = hash * 33 + (uint8_t)mark[1 + i];
		snprintf(f.digest, sizeof(f.digest), "%016llx", (unsigned long long)hash);
	}
	*ret_content = mark ? mark + 1 : "";
	return f;
}

static int order_of_files(const void *a, const void *b)
{
	return proto_path_order(((const struct file *)a)->path, ((const struct file *)b)->path);
}

int __wrap_nova_vm_list_files(nova_vm_t *vm, const char *directory, uint32_t depth,
	const nova_wait_opts *wait, nova_files_t **ret, nova_error_t **err);
int __wrap_nova_vm_list_files(nova_vm_t *vm, const char *directory, uint32_t depth,
	const nova_wait_opts *wait, nova_files_t **ret, nova_error_t **err)
{
	struct double_vm *d = (struct double_vm *)vm;
	const char *content;
	(void)wait;
	ck_assert_uint_eq(depth, 0);
	if (strcmp(directory, "/tmp") != 0)
		return nova_fail(err, NOVA_ENOTFOUND, "microVM %s: '%s': No such file or directory",
			vm->id, directory);
	nova_files_t *files = calloc(1, sizeof(*files));
	files->items = calloc(d->count + 1, sizeof(*files->items));
	for (; files->count < d->count; files->count++)
		files->items[files->count] = parse(d->lines[files->count], &content);
	qsort(files->items, files->count, sizeof(*files->items), order_of_files);
	*ret = files;
	return 0;
}

static size_t find(const struct double_vm *d, const char *path)
{
	size_t len = strlen(path), i = 0;
	while (i < d->count &&
		(strncmp(d->lines[i], path, len) != 0 || !strchr("=>/", d->lines[i][len]) ||
			(d->lines[i][len] == '/' && d->lines[i][len + 1] &&
				d->lines[i][len + 1] != ' ')))
		i++;
	return i;
}

static int lose_in_time(nova_vm_t *vm, nova_error_t **err)
{
	return pieces_until_loss && --pieces_until_loss == 0 ?
		       nova_fail(err, NOVA_ELOST, "microVM %s is dead", vm->id) :
		       0;
}

int __wrap_vm_file_piece(nova_vm_t *vm, const char *path, const struct file *expected,
	uint64_t offset, const struct stop *stop, struct buf *out, nova_error_t **err);
int __wrap_vm_file_piece(nova_vm_t *vm, const char *path, const struct file *expected,
	uint64_t offset, const struct stop *stop, struct buf *out, nova_error_t **err)
{
	struct double_vm *d = (struct double_vm *)vm;
	(void)stop;
	size_t at = find(d, path + 5);
	const char *content;
	ck_assert_msg(at < d->count && offset == 0, "%s", path);
	struct file f = parse(d->lines[at], &content);
	ck_assert_uint_eq(f.size, expected->size);
	ck_assert_int_eq(buf_append(out, content, f.size), 0);
	free(f.path);
	free(f.target);
	return lose_in_time(vm, err);
}

/* As strict as a file system: nothing without its directory, and no directory goes that holds
 * something. */
int __wrap_vm_file_change(nova_vm_t *vm, const char *path, const struct file_change *c,
	const struct stop *stop, nova_error_t **err);
int __wrap_vm_file_change(nova_vm_t *vm, const char *path, const struct file_change *c,
	const struct stop *stop, nova_error_t **err)
{
	struct double_vm *d = (struct double_vm *)vm;
	(void)stop;
	const char *name = path + 5, *slash = strrchr(name, '/');
	char line[64];
	ck_assert(str_starts(path, "/tmp/"));
	size_t at = find(d, name);
	if (!c->file)
		ck_assert_msg(at < d->count, "%s is not there", path);
	bool was_directory = at < d->count && !strpbrk(d->lines[at], "=>");
	if (at < d->count) {
		bool stays = c->file && was_directory;
		ck_assert_msg(!c->file || was_directory == (c->file->kind == NOVA_FILE_DIRECTORY),
			"%s is in the way", path);
		if (!stays)
			memmove(d->lines[at], d->lines[--d->count], sizeof(d->lines[0]));
		if (was_directory && !c->file)
			for (size_t i = 0; i < d->count; i++)
				ck_assert_msg(strncmp(d->lines[i], name, strlen(name)) ||
						      d->lines[i][strlen(name)] != '/',
					"%s holds %s", name, d->lines[i]);
		if (stays)
			return lose_in_time(vm, err);
	}
	if (!c->file)
		return lose_in_time(vm, err);
	if (slash) {
		char parent[64];
		snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
		size_t above = find(d, parent);
		ck_assert_msg(above < d->count && !strpbrk(d->lines[above], "=>"),
			"%s has no directory", path);
	}
	bool link = c->file->kind == NOVA_FILE_LINK, file = c->file->kind == NOVA_FILE_REGULAR;
	snprintf(line, sizeof(line), "%s%s%.*s @%llu", name,
		link ? ">" :
		file ? "=" :
		       "/",
		link ? (int)strlen(c->file->target) : (int)c->len,
		link   ? c->file->target :
		c->len ? (const char *)c->data :
			 "",
		(unsigned long long)c->file->mtime_us);
	add_line(d, line);
	return lose_in_time(vm, err);
}

int __wrap_nova_vm_fork(nova_vm_t *vm, size_t count, const nova_wait_opts *wait, nova_vm_t **ret,
	nova_error_t **err);
int __wrap_nova_vm_fork(nova_vm_t *vm, size_t count, const nova_wait_opts *wait, nova_vm_t **ret,
	nova_error_t **err)
{
	(void)err;
	(void)wait;
	ck_assert_uint_eq(count, 1);
	struct double_vm *child = malloc(sizeof(*child));
	*child = *(struct double_vm *)vm;
	ret[0] = &child->vm;
	return 0;
}

void __wrap_nova_vm_free(nova_vm_t *vm);
void __wrap_nova_vm_free(nova_vm_t *vm)
{
	freed += vm != NULL;
	free(vm);
}

int __wrap_host_check_process(const nova_host_t *host, nova_error_t **err);
int __wrap_host_check_process(const nova_host_t *host, nova_error_t **err)
{
	(void)host, (void)err;
	return 0;
}

/* --- merges --- */

#define LINES(...) ((const char *const[]){ __VA_ARGS__ })

struct scene {
	struct double_vm parent, branches[3];
	nova_vm_t *list[3], *merged;
	nova_merge_t *report;
};

static void scene_begin(
	struct scene *s, const char *const *parent, const char *const *a, const char *const *b)
{
	*s = (struct scene){ .merged = NULL };
	freed = pieces_until_loss = 0;
	set_up(&s->parent, "parent", parent);
	set_up(&s->branches[0], "a", a);
	set_up(&s->branches[1], "b", b);
	for (size_t i = 0; i < 3; i++)
		s->list[i] = &s->branches[i].vm;
}

static int scene_merge(struct scene *s, uint32_t on_conflict)
{
	const nova_merge_opts opts = { sizeof(opts), .branches = s->list, .branch_count = 2,
		.on_conflict = on_conflict };
	return nova_vm_merge(&s->parent.vm, &opts, &s->merged, &s->report, &error);
}

/* The merged VM holds these files, in this order, and nothing else. */
static void scene_holds(struct scene *s, const char *expected)
{
	nova_files_t *files;
	AUTO_BUF struct buf text = BUF_INIT(4096);
	ck_ok(__wrap_nova_vm_list_files(s->merged, "/tmp", 0, NULL, &files, &error));
	for (size_t i = 0; i < files->count; i++) {
		const struct double_vm *d = (const struct double_vm *)s->merged;
		const char *line = d->lines[find(d, files->items[i].path)],
			   *at = strstr(line, " @");
		buf_append(&text, line, at ? (size_t)(at - line) : strlen(line));
		buf_append_str(&text, " ");
	}
	ck_assert_str_eq(text.len ? (buf_append(&text, "", 1), (char *)text.data) : "", expected);
	nova_files_free(files);
}

static void scene_holds_lines(struct scene *s, const char *const *lines)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	for (; *lines; lines++) {
		buf_append_str(&text, *lines);
		buf_append_str(&text, " ");
	}
	buf_append(&text, "", 1);
	scene_holds(s, (char *)text.data);
}

/* "+path:branch ~path:branch -path:branch !path:branch " */
static void scene_reports(struct scene *s, const char *expected)
{
	AUTO_BUF struct buf text = BUF_INIT(4096);
	for (size_t i = 0; i < nova_merge_count(s->report); i++) {
		AUTO_FREE char *item =
			str_format("%c%s:%d ", "?+~-!"[nova_merge_kind(s->report, i)],
				nova_merge_path(s->report, i) + 5, nova_merge_branch(s->report, i));
		ck_assert(str_starts(nova_merge_path(s->report, i), "/tmp/"));
		buf_append_str(&text, item);
	}
	buf_append(&text, "", 1);
	ck_assert_str_eq((char *)text.data, expected);
}

static void scene_end(struct scene *s)
{
	nova_merge_free(s->report);
	free(s->merged);
	s->merged = NULL;
	s->report = NULL;
}

START_TEST(different_paths_and_equal_changes_are_no_conflict)
{
	struct scene s;
	scene_begin(&s,
		LINES("keep=1", "both=1", "gone=1", "d/", "d/x=1", "e/", "e/y=1", "turn=1", "l>old",
			NULL),
		LINES("keep=1", "both=2 @9", "d/", "d/x=7", "e/", "e/y=1", "new=a", "n/", "n/m/",
			"n/m/o=1", "turn/", "turn/in=1", "l>old", NULL),
		LINES("keep=1 @5", "both=2 @3", "gone=1", "d/", "d/x=1", "d/z=2", "e>keep",
			"turn=1", "l>new", NULL));
	ck_ok(scene_merge(&s, NOVA_MERGE_REFUSE));
	scene_holds(&s,
		"both=2 d/ d/x=7 d/z=2 e>keep keep=1 l>new n/ n/m/ n/m/o=1 new=a turn/ turn/in=1 ");
	scene_reports(&s, "~both:0 ~d/x:0 +d/z:1 ~e:1 -e/y:1 -gone:0 ~l:1 +n:0 +n/m:0 +n/m/o:0 "
			  "+new:0 ~turn:0 +turn/in:0 ");
	ck_assert_uint_eq(nova_merge_conflicts(s.report), 0);
	ck_assert_uint_eq(s.parent.count, 9); /* as it was */
	ck_assert_str_eq(nova_merge_path(s.report, 99) ? "path" : "none", "none");
	ck_assert(nova_merge_kind(s.report, 99) == 0 && nova_merge_branch(s.report, 99) == -1);
	ck_assert_int_eq(freed, 0);
	scene_end(&s);
}
END_TEST

/* Two branches that do not agree: what remains when the latest, and when the first of them has its
 * way. */
static const struct {
	const char *const *parent, *const *a, *const *b;
	const char *refused, *latest, *first;
} disputes[] = {
	{ LINES("p=1", NULL), LINES("p=2 @5", NULL), LINES("p=3 @6", NULL), "!p:-1 ", "p=3 ",
		"p=2 " },
	{ LINES("p=1", NULL), LINES("p=2 @6", NULL), LINES("p=3 @6", NULL), "!p:-1 ", "p=2 ",
		"p=2 " },
	{ LINES("p=1", NULL), LINES(NULL), LINES("p=3", NULL), "!p:-1 ", "p=3 ", "" },
	{ LINES("p=1", NULL), LINES("p=3", NULL), LINES(NULL), "!p:-1 ", "p=3 ", "p=3 " },
	{ LINES(NULL), LINES("p=2 @7", NULL), LINES("p=3 @6", NULL), "!p:-1 ", "p=2 ", "p=2 " },
	{ LINES(NULL), LINES("p=2 @3", NULL), LINES("p/ @6", "p/q=1", NULL), "!p:-1 ", "p/ p/q=1 ",
		"p=2 " },
	{ LINES(NULL), LINES("p=2 @8", NULL), LINES("p/ @6", "p/q=1", NULL), "!p:-1 ", "p=2 ",
		"p=2 " },
	{ LINES("l>a", NULL), LINES("l>b", NULL), LINES("l>c @9", NULL), "!l:-1 ", "l>c ", "l>b " },
	/* a directory is removed, and something put into it */
	{ LINES("d/", "d/old=1", NULL), LINES(NULL),
		LINES("d/ @4", "d/old=1", "d/x/", "d/x/y=1", NULL), "!d:-1 ", "d/ d/x/ d/x/y=1 ",
		"" },
	{ LINES("d/", "d/old=1", NULL), LINES("d/ @4", "d/old=1", "d/x=1", NULL), LINES(NULL),
		"!d:-1 ", "d/ d/x=1 ", "d/ d/x=1 " },
	{ LINES("d/", "d/old=1", NULL), LINES("d=file @9", NULL), LINES("d/ @4", "d/old=2", NULL),
		"!d:-1 !d/old:-1 ", "d=file ", "d=file " },
	{ LINES("d/", "d/old=1", NULL), LINES("d/ @4", "d/old=2", NULL), LINES("d>x @3", NULL),
		"!d:-1 !d/old:-1 ", "d/ d/old=2 ", "d/ d/old=2 " },
	{ LINES("d/", "d/e/", "d/e/f=1", NULL), LINES(NULL),
		LINES("d/ @2", "d/e/ @2", "d/e/f=2", NULL), "!d:-1 !d/e:-1 !d/e/f:-1 ",
		"d/ d/e/ d/e/f=2 ", "" },
};

START_TEST(a_conflict_is_refused_or_decided_as_asked)
{
	struct scene s;
	scene_begin(&s, disputes[_i].parent, disputes[_i].a, disputes[_i].b);
	s.merged = NULL;
	ck_fails_with(NOVA_EEXIST, "nothing was merged", scene_merge(&s, NOVA_MERGE_REFUSE));
	ck_assert_ptr_null(s.merged);
	ck_assert_int_eq(freed, 1);
	scene_reports(&s, disputes[_i].refused);
	ck_assert_uint_gt(nova_merge_conflicts(s.report), 0);
	nova_merge_free(s.report);
	ck_ok(scene_merge(&s, NOVA_MERGE_LATEST));
	scene_holds(&s, disputes[_i].latest);
	ck_assert_uint_gt(nova_merge_conflicts(s.report), 0);
	scene_end(&s);
	ck_ok(scene_merge(&s, NOVA_MERGE_FIRST));
	scene_holds(&s, disputes[_i].first);
	scene_end(&s);
	ck_ok(scene_merge(&s, NOVA_MERGE_INTERSECTION));
	scene_holds_lines(&s, disputes[_i].parent);
	ck_assert_uint_gt(nova_merge_conflicts(s.report), 0);
	scene_end(&s);
}
END_TEST

START_TEST(an_intersection_has_what_all_branches_have_done_and_nothing_else)
{
	struct scene s;
	scene_begin(&s,
		LINES("all=1", "d/", "d/x=1", "e/", "e/y=1", "gone=1", "half=1", "keep=1", "l>a",
			"one=1", "t=1", "u/", NULL),
		LINES("all=2 @9", "d/", "d/new=5", "d/x=1", "e=file", "keep=1", "l>b", "n/",
			"n/m=1", "n/o=1", "one=2", "t=2", "u/", "u/a=1", NULL),
		LINES("all=2 @3", "d/", "d/new=5", "d/x=1", "e=file", "half=1", "keep=1 @5", "l>b",
			"n/", "n/m=1", "n/o=2", "one=1", "t=3", "u/", "u/b=1", NULL));
	ck_ok(scene_merge(&s, NOVA_MERGE_INTERSECTION));
	scene_holds(&s, "all=2 d/ d/new=5 d/x=1 e=file half=1 keep=1 l>b n/ n/m=1 one=1 t=1 u/ ");
	scene_reports(&s, "~all:0 +d/new:0 ~e:0 -e/y:0 -gone:0 ~l:0 +n:0 +n/m:0 !n/o:-1 !t:-1 ");
	ck_assert_uint_eq(nova_merge_conflicts(s.report), 2);
	ck_assert_uint_eq(s.parent.count, 12); /* as it was */
	scene_end(&s);
}
END_TEST

START_TEST(deletions_that_agree_or_do_not_touch_are_no_conflict)
{
	struct scene s;
	scene_begin(&s, LINES("d/", "d/a=1", "d/b=1", "x=1", NULL), LINES(NULL),
		LINES("d/", "d/a=1", NULL));
	ck_ok(scene_merge(&s, NOVA_MERGE_REFUSE)); /* b has removed less of what a has removed */
	scene_holds(&s, "");
	scene_reports(&s, "-d:0 -d/a:0 -d/b:0 -x:0 ");
	scene_end(&s);
}
END_TEST

START_TEST(a_branch_that_dies_in_the_middle_leaves_no_merged_vm)
{
	struct scene s;
	int after = 1;
	for (;; after++) {
		scene_begin(&s, LINES("p=1", "q=1", NULL), LINES("p=2", "q=1", "d/", "d/r=1", NULL),
			LINES("p=1", NULL));
		pieces_until_loss = after;
		int code = scene_merge(&s, NOVA_MERGE_REFUSE);
		if (code == 0)
			break;
		ck_fails_with(NOVA_ELOST, "is dead", code);
		ck_assert(!s.merged && !s.report);
		ck_assert_int_eq(freed, 1);
		ck_assert_uint_eq(s.parent.count, 2);
	}
	ck_assert_int_eq(after, 7); /* each of the six steps was the last one once */
	scene_holds(&s, "d/ d/r=1 p=2 ");
	scene_end(&s);
}
END_TEST

START_TEST(bad_arguments_are_refused_before_a_fork)
{
	struct scene s;
	scene_begin(&s, LINES("p=1", NULL), LINES("p=1", NULL), LINES("p=1", NULL));
	nova_vm_t *none[1] = { NULL };
	const nova_merge_opts bad[] = { { sizeof(*bad), NULL, 2 }, { sizeof(*bad), none, 1 },
		{ sizeof(*bad), s.list, 0 }, { sizeof(*bad), s.list, MERGE_MOST + 1 } };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_fails_with(NOVA_EINVAL, "branches",
			nova_vm_merge(&s.parent.vm, &bad[i], &s.merged, NULL, &error));
	nova_merge_opts opts = { sizeof(opts), .branches = s.list, .branch_count = 2 };
	ck_fails(NOVA_EINVAL, nova_vm_merge(NULL, &opts, &s.merged, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_vm_merge(&s.parent.vm, NULL, &s.merged, NULL, &error));
	ck_fails(NOVA_EINVAL, nova_vm_merge(&s.parent.vm, &opts, NULL, NULL, &error));
	opts.on_conflict = 4;
	ck_fails_with(NOVA_EINVAL, "on_conflict is 4",
		nova_vm_merge(&s.parent.vm, &opts, &s.merged, NULL, &error));
	opts.on_conflict = 0;
	opts.directory = "/tmp/../etc";
	ck_fails_with(NOVA_EINVAL, "directory",
		nova_vm_merge(&s.parent.vm, &opts, &s.merged, NULL, &error));
	ck_assert_int_eq(freed, 0);
	opts.directory = "/missing";
	ck_fails_with(NOVA_ENOTFOUND, "/missing",
		nova_vm_merge(&s.parent.vm, &opts, &s.merged, NULL, &error));
	ck_assert_int_eq(freed, 1);
	opts.directory = NULL;
	ck_ok(nova_vm_merge(&s.parent.vm, &opts, &s.merged, NULL, &error));
	scene_holds(&s, "p=1 ");
	scene_end(&s);
}
END_TEST

static Suite *merge_suite(void)
{
	Suite *suite = suite_create("merge");
	TCase *tc = tcase_create("merge");
	tcase_add_test(tc, pages_are_put_together);
	tcase_add_test(tc, a_guest_that_lies_is_not_believed);
	tcase_add_test(tc, a_listing_without_end_is_broken_off);
	tcase_add_test(tc, a_listing_is_asked_for_until_there_is_no_more);
	tcase_add_test(tc, a_guest_that_lists_one_entry_at_a_time_is_not_waited_for_for_days);
	tcase_add_test(tc, a_read_takes_what_was_promised_and_nothing_else);
	tcase_add_test(tc, different_paths_and_equal_changes_are_no_conflict);
	tcase_add_loop_test(tc, a_conflict_is_refused_or_decided_as_asked, 0, ARRAY_LEN(disputes));
	tcase_add_test(tc, an_intersection_has_what_all_branches_have_done_and_nothing_else);
	tcase_add_test(tc, deletions_that_agree_or_do_not_touch_are_no_conflict);
	tcase_add_test(tc, a_branch_that_dies_in_the_middle_leaves_no_merged_vm);
	tcase_add_test(tc, bad_arguments_are_refused_before_a_fork);
	suite_add_tcase(suite, tc);
	return suite;
}

TEST_MAIN(merge_suite)
