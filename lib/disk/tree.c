/* SPDX-License-Identifier: MIT */
/* Reads a source into a tree: names, modes, sizes and link targets, sorted, checked. No content
 * yet. */
#include <errno.h>
#include <fcntl.h>

#include "disk/disk.h"

#define ABOUT_CODE "function" /* the log's name for what somebody can change in their code */

struct walk {
	struct disk_tree *tree;
	const struct stat *except;
	bool keep_modes;
	bool below; /* what is found now lies below the source */
	struct logger log;
	nova_error_t **error;
};

static void node_free(struct disk_node *node)
{
	while (node) {
		struct disk_node *next = node->next;
		node_free(node->child); /* as deep as the walk went, which is bounded */
		free(node->name);
		free(node->target);
		free(node);
		node = next;
	}
}

void disk_tree_free(struct disk_tree *tree)
{
	node_free(tree->root);
	tree->root = NULL;
	fd_close(STEAL_FD(tree->fd));
	fd_close(STEAL_FD(tree->below));
}

char *disk_node_path(const struct disk_node *node)
{
	if (!node->parent)
		return strdup("/");
	AUTO_FREE char *path = strdup(node->name);
	for (node = node->parent; path && node->parent; node = node->parent) {
		char *longer = path_join(node->name, path);
		free(path);
		path = longer;
	}
	if (path)
		disk_make_readable(path);
	return STEAL(path);
}

static struct disk_node *node_add(
	struct disk_tree *tree, struct disk_node *parent, const char *name, mode_t mode)
{
	struct disk_node *node = calloc(1, sizeof(*node));
	if (!node || !(node->name = strdup(name))) {
		free(node);
		return NULL;
	}
	node->mode = (uint16_t)mode;
	node->parent = parent;
	node->inode = parent ? EXT2_GOOD_OLD_FIRST_INO + tree->nodes - 1 : EXT2_ROOT_INO;
	tree->nodes++;
	if (!parent) {
		tree->root = node;
		return node;
	}
	parent->subdirs += S_ISDIR(mode);
	return node;
}

static int refuse(struct walk *w, const struct disk_node *node, int code, const char *why)
{
	AUTO_FREE char *path = disk_node_path(node);
	return path ? nova_fail(w->error, code, "'%s' %s", path, why) : nova_oom(w->error);
}

static int refuse_os(struct walk *w, const struct disk_node *node, int r, const char *what)
{
	AUTO_FREE char *path = disk_node_path(node);
	return path ? nova_fail_os(w->error, r, "%s '%s'", what, path) : nova_oom(w->error);
}

/* One line about what is taken otherwise than it lies there; without memory it is left out. */
static void tell(const struct walk *w, const struct disk_node *node, const char *what)
{
	AUTO_FREE char *path = w->log.fn ? disk_node_path(node) : NULL;
	if (path)
		log_warn(&w->log, ABOUT_CODE, "'%s' %s", path, what);
}

static unsigned depth_of(const struct disk_node *node)
{
	unsigned depth = 0;
	for (; node->parent; node = node->parent)
		depth++;
	return depth;
}

static bool is_lost(const struct disk_node *node)
{
	return !node->parent->parent && !strcmp(node->name, DISK_LOST);
}

static void remember(struct disk_node *node, const struct stat *st)
{
	node->device = st->st_dev;
	node->file = st->st_ino;
	node->mtime_ns = timespec_to_ns(&st->st_mtim);
}

static int walk_directory(struct walk *w, struct disk_node *node, int dir);

/* By its text alone. What an absolute one leads to is the guest's, as for .venv/bin/python. */
static bool leads_out(const char *target, unsigned depth)
{
	if (*target == '/')
		return false;
	while (*target) {
		size_t len = strcspn(target, "/");
		bool up = len == 2 && !memcmp(target, "..", 2), stays = len == 1 && *target == '.';
		if (up && !depth)
			return true;
		depth += up ? -1u : !stays;
		target += len;
		target += strspn(target, "/");
	}
	return false;
}

static int walk_link(struct walk *w, struct disk_node *node, int dir)
{
	int r = sys_readlinkat(dir, node->name, &node->target);
	if (r < 0)
		return refuse_os(w, node, r, "cannot read the symbolic link");
	node->size = strlen(node->target);
	if (node->size >= DISK_BLOCK)
		return refuse(
			w, node, NOVA_EINVAL, "is a symbolic link with a target that is too long");
	if (leads_out(node->target, depth_of(node) - 1))
		tell(w, node,
			"is a link that leads out of the code: in the guest there is nothing of "
			"yours");
	return 0;
}

static int walk_subdirectory(struct walk *w, struct disk_node *node, int dir)
{
	if (depth_of(node) > DISK_MAX_DEPTH)
		return refuse(w, node, NOVA_EINVAL, "lies more than 100 directories deep");
	AUTO_FD int fd = sys_openat(dir, node->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
	if (fd == -EACCES && is_lost(node)) {
		/* the source is a file system of its own, and this is none of its files */
		node->file = 0;
		return 0;
	}
	if (fd < 0)
		return refuse_os(w, node, fd, "cannot open the directory");
	struct stat st;
	int r = sys_fstat(fd, &st);
	if (r < 0)
		return refuse_os(w, node, r, "cannot look at the directory");
	remember(node, &st);
	return walk_directory(w, node, fd);
}

static int walk_node(struct walk *w, struct disk_node *node, const struct stat *st, int dir)
{
	if (!disk_name_ok(node->name))
		return refuse(w, node, NOVA_EINVAL, "has a name of more than 255 bytes");
	remember(node, st);
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		node->size = (uint64_t)st->st_size;
		return 0;
	case S_IFLNK:
		return walk_link(w, node, dir);
	default:
		return walk_subdirectory(w, node, dir);
	}
}

/* What the owner may read or execute everybody may: the function's user is another one. */
static mode_t kept_mode(const struct walk *w, mode_t mode)
{
	if (S_ISLNK(mode))
		return S_IFLNK | 0777;
	mode_t owner = mode & (S_IRUSR | S_IXUSR);
	return w->keep_modes ? mode : mode | owner >> 3 | owner >> 6;
}

/* NULL: it can be in an image. */
static const char *cannot_be_kept(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
		return NULL;
	case S_IFSOCK:
		return "is a socket, and left out";
	case S_IFIFO:
		return "is a FIFO, and left out";
	default:
		return "is a device, and left out";
	}
}

static int walk_name(struct walk *w, struct disk_node *parent, int dir, const char *name,
	struct disk_node ***tail)
{
	struct stat st;
	int r = sys_lstatat(dir, name, &st);
	if (r < 0)
		return refuse_os(w, parent, r, "cannot look at a file in");
	if (w->except && st.st_dev == w->except->st_dev && st.st_ino == w->except->st_ino)
		return 0;
	const char *left_out = cannot_be_kept(st.st_mode);
	if (left_out) {
		const struct disk_node shown = { .name = (char *)name, .parent = parent };
		tell(w, &shown, left_out);
		return 0;
	}
	if (w->tree->nodes >= DISK_MAX_NODES)
		return nova_fail(w->error, NOVA_ETOOBIG,
			"more than %u files are too many for one image", DISK_MAX_NODES);
	struct disk_node *node = node_add(w->tree, parent, name, kept_mode(w, st.st_mode));
	if (!node)
		return nova_oom(w->error);
	node->below = w->below;
	**tail = node;
	*tail = &node->next;
	if (is_lost(node) && !S_ISDIR(st.st_mode))
		return refuse(w, node, NOVA_EINVAL,
			"must be a directory: ext4 keeps that name for itself");
	return walk_node(w, node, &st, dir);
}

static struct disk_node *child_of(const struct disk_node *node, const char *name)
{
	struct disk_node *child = node->child;
	while (child && strcmp(child->name, name) != 0)
		child = child->next;
	return child;
}

/* The source has something of that name: directories become one, of all else its own is taken. */
static int walk_both(struct walk *w, struct disk_node *node, int below)
{
	struct stat st;
	int r = is_lost(node) ? 0 : sys_lstatat(below, node->name, &st);
	if (r < 0 || is_lost(node))
		return r < 0 ? refuse_os(w, node, r, "cannot look at what lies below") : 0;
	if (S_ISDIR(node->mode) && S_ISDIR(st.st_mode)) {
		AUTO_FD int fd =
			sys_openat(below, node->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
		if (fd < 0)
			return refuse_os(w, node, fd, "cannot open below the directory");
		node->merged = true;
		return walk_directory(w, node, fd);
	}
	tell(w, node, "hides one of the same name that lies below it");
	return 0;
}

static int walk_directory(struct walk *w, struct disk_node *node, int dir)
{
	char **names = NULL;
	int count = fs_list_at(dir, &names);
	if (count < 0)
		return refuse_os(w, node, count, "cannot read the directory");
	struct disk_node **tail = &node->child;
	while (*tail) /* behind lost+found, and what the source has */
		tail = &(*tail)->next;
	bool both = w->below && !node->below;
	int r = 0;
	for (int i = 0; i < count && r == 0; i++) {
		struct disk_node *there = both ? child_of(node, names[i]) : NULL;
		r = there ? walk_both(w, there, dir) : walk_name(w, node, dir, names[i], &tail);
	}
	strv_free(names, (size_t)count);
	return r;
}

static int walk_file(struct walk *w, const nova_disk_opts *opts, const struct stat *st)
{
	const char *name = opts->entry_name ? opts->entry_name : "handler";
	if (!disk_name_ok(name) || !strcmp(name, DISK_LOST))
		return nova_fail(w->error, NOVA_EINVAL,
			"the entry name of a code disk must be one plain file name");
	struct disk_node *node = node_add(w->tree, w->tree->root, name, S_IFREG | 0755);
	if (!node)
		return nova_oom(w->error);
	w->tree->root->child->next = node;
	w->tree->is_file = true;
	if (st) {
		remember(node, st);
		node->size = (uint64_t)st->st_size;
	} else {
		node->data = opts->data;
		node->size = opts->data_len;
	}
	return 0;
}

/* e2fsck misses the directory when it is not there. */
static int add_lost(struct walk *w)
{
	struct stat st;
	bool in_source = w->tree->fd >= 0 && !w->tree->is_file;
	if (in_source && sys_lstatat(w->tree->fd, DISK_LOST, &st) == 0 &&
		!cannot_be_kept(st.st_mode))
		return 0;
	mode_t mode = kept_mode(w, S_IFDIR | 0700);
	struct disk_node *lost = node_add(w->tree, w->tree->root, DISK_LOST, mode);
	w->tree->root->child = lost;
	return lost ? 0 : nova_oom(w->error);
}

static int open_source(struct walk *w, const nova_disk_opts *opts, struct stat *st)
{
	/* Without O_NONBLOCK a FIFO would wait for its writer. */
	w->tree->fd = sys_open(opts->source, O_RDONLY | O_NONBLOCK, 0);
	if (w->tree->fd < 0)
		return nova_fail_os(w->error, w->tree->fd, "cannot open '%s'", opts->source);
	int r = sys_fstat(w->tree->fd, st);
	if (r < 0)
		return nova_fail_os(w->error, r, "cannot look at '%s'", opts->source);
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
		return nova_fail(w->error, NOVA_EINVAL, "'%s' is neither a file nor a directory",
			opts->source);
	if (w->except && st->st_dev == w->except->st_dev && st->st_ino == w->except->st_ino)
		return nova_fail(w->error, NOVA_EINVAL,
			"'%s' cannot be both the source and the image", opts->source);
	w->tree->is_file = S_ISREG(st->st_mode);
	return 0;
}

static int walk_source(struct walk *w, const nova_disk_opts *opts, const struct stat *st)
{
	if (!opts->source)
		return walk_file(w, opts, NULL);
	if (w->tree->is_file)
		return walk_file(w, opts, st);
	remember(w->tree->root, st);
	return walk_directory(w, w->tree->root, w->tree->fd);
}

static int walk_below(struct walk *w, const char *path)
{
	w->tree->below = sys_open(path, O_RDONLY | O_DIRECTORY, 0);
	if (w->tree->below < 0)
		return nova_fail_os(
			w->error, w->tree->below, "cannot open the directory '%s'", path);
	w->below = true;
	return walk_directory(w, w->tree->root, w->tree->below);
}

int disk_tree_walk(struct disk_tree *tree, const nova_disk_opts *opts, const struct stat *except,
	nova_error_t **error)
{
	struct walk w = {
		.tree = tree,
		.except = except,
		.keep_modes = opts->flags & NOVA_DISK_KEEP_MODES,
		.log = { opts->log, opts->log_userdata, NOVA_LOG_WARN },
		.error = error,
	};
	*tree = (struct disk_tree){ .fd = -1, .below = -1 };
	if (!node_add(tree, NULL, "", S_IFDIR | 0755))
		return nova_oom(error);
	struct stat st;
	int r = opts->source ? open_source(&w, opts, &st) : 0;
	if (r == 0)
		r = add_lost(&w);
	if (r == 0)
		r = walk_source(&w, opts, &st);
	return r < 0 || !opts->below ? r : walk_below(&w, opts->below);
}

int disk_tree_add(
	struct disk_tree *tree, const struct disk_file *files, size_t count, nova_error_t **error)
{
	struct disk_node **tail = &tree->root->child;
	while (*tail)
		tail = &(*tail)->next;
	for (size_t i = 0; i < count; i++) {
		struct disk_node *node = node_add(tree, tree->root, files[i].name, S_IFREG | 0755);
		if (!node)
			return nova_oom(error);
		node->data = files[i].len ? files[i].data : "";
		node->size = files[i].len;
		*tail = node;
		tail = &node->next;
	}
	return 0;
}

int disk_look(const char *directory, const struct logger *log, nova_error_t **error)
{
	nova_disk_opts opts = NOVA_DISK_OPTS_INIT;
	struct disk_tree tree;
	opts.source = directory;
	if (log && log->level >= NOVA_LOG_WARN) {
		opts.log = log->fn;
		opts.log_userdata = log->userdata;
	}
	int r = disk_tree_walk(&tree, &opts, NULL, error);
	disk_tree_free(&tree);
	return r < 0 ? nova_wrap(error, r, "code disk of '%s'", directory) : 0;
}
