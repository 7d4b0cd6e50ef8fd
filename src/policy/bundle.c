// bundle: the files under the routes folder and the sources' names, as one text that can be kept, sent and compared.
//
// Bytes: magic, number of files, each path and text, number of sources, each name and map; numbers are 32 bits, the
// least byte first; a text is its length and its bytes. Files stand sorted, so equal folders give equal bytes.
#include "penstock/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "PSPOL001"
#define FOLDERS_DEEP_MAX 16
#define SOURCES_MAX 10000
#define ARENA_MAX_BYTES (POLICY_MAX_BYTES + (64u << 20)) // texts, paths, names and the lists of them

static struct policy_bundle *bundle_new(void) {
    struct arena *arena = arena_new(ARENA_MAX_BYTES);
    struct policy_bundle *bundle = arena_alloc(arena, sizeof *bundle);
    bundle->arena = arena;
    return bundle;
}

void policy_bundle_free(struct policy_bundle *bundle) {
    if (bundle)
        arena_free(bundle->arena);
}

// ---- loading -------------------------------------------------------------------------

struct loader {
    struct policy_bundle *bundle;
    struct status *status;
    char root[PATH_MAX]; // the folder's real path, with a '/' behind
    size_t bytes;
    size_t cap;
};

static bool is_route_file(const char *name) {
    struct str s = str_of(name);
    return str_ends(s, STR(".yaml")) || str_ends(s, STR(".yml")) || str_ends(s, STR(".json"));
}

static bool check_inside(struct loader *loader, const char *path, char real[PATH_MAX]) {
    if (!realpath(path, real))
        return status_errno(loader->status, errno, "%s", path);
    if (!str_starts(str_of(real), str_of(loader->root)))
        return status_fail(loader->status, STATUS_INVALID,
                           "%s is a link that leads out of the folder; put the file itself here", path);
    return true;
}

static bool read_all(struct loader *loader, int fd, const char *path, struct str *out) {
    struct stat info;
    if (fstat(fd, &info) != 0)
        return status_errno(loader->status, errno, "%s", path);
    if (!S_ISREG(info.st_mode))
        return status_fail(loader->status, STATUS_INVALID, "%s is not a plain file; remove it from the folder", path);
    struct buf buf;
    buf_init(&buf, POLICY_MAX_BYTES - loader->bytes + 1);
    ssize_t got = 1;
    char chunk[65536];
    while (!buf.overflow && (got = read(fd, chunk, sizeof chunk)) > 0)
        buf_add(&buf, chunk, (size_t)got);
    bool ok = got >= 0 || status_errno(loader->status, errno, "%s", path);
    loader->bytes += buf.len;
    if (ok && (buf.overflow || loader->bytes > POLICY_MAX_BYTES))
        ok = status_fail(loader->status, STATUS_FULL, "%s: the route files are over %d MiB together", path,
                         POLICY_MAX_BYTES >> 20);
    if (ok)
        *out = arena_str(loader->bundle->arena, buf_view(&buf));
    buf_free(&buf);
    return ok;
}

static bool add_file(struct loader *loader, const char *path, const char *real) {
    struct policy_bundle *bundle = loader->bundle;
    if (bundle->n_files == POLICY_MAX_FILES)
        return status_fail(loader->status, STATUS_FULL, "%s: over %d route files; join some of them", path,
                           POLICY_MAX_FILES);
    // Not blocking, because a pipe may have taken the file's place.
    int fd = open(real, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return status_errno(loader->status, errno, "%s", path);
    struct policy_file file = {0};
    bool ok = read_all(loader, fd, path, &file.text);
    close(fd);
    if (!ok)
        return false;
    file.path = arena_str(bundle->arena, str_of(path));
    bundle->files[bundle->n_files++] = file;
    return true;
}

static bool walk(struct loader *loader, const char *folder, unsigned depth);

static bool visit(struct loader *loader, const char *folder, const char *name, unsigned depth) {
    char path[PATH_MAX], real[PATH_MAX];
    size_t len = strlen(folder);
    int written = snprintf(path, sizeof path, "%s%s%s", folder, len > 0 && folder[len - 1] == '/' ? "" : "/", name);
    if (written < 0 || (size_t)written >= sizeof path)
        return status_fail(loader->status, STATUS_INVALID, "%s/%s: the path is too long", folder, name);
    struct stat info;
    if (lstat(path, &info) != 0)
        return status_errno(loader->status, errno, "%s", path);
    if (S_ISDIR(info.st_mode))
        return walk(loader, path, depth + 1);
    if (!is_route_file(name))
        return true;
    return check_inside(loader, path, real) && add_file(loader, path, real);
}

static bool walk(struct loader *loader, const char *folder, unsigned depth) {
    if (depth > FOLDERS_DEEP_MAX)
        return status_fail(loader->status, STATUS_INVALID, "%s: folders are nested over %d deep", folder,
                           FOLDERS_DEEP_MAX);
    DIR *dir = opendir(folder);
    if (!dir)
        return status_errno(loader->status, errno, "%s", folder);
    bool ok = true;
    while (ok) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry) {
            ok = errno == 0 || status_errno(loader->status, errno, "%s", folder);
            break;
        }
        // Hidden names are editors' and mounts' own business.
        if (entry->d_name[0] != '.')
            ok = visit(loader, folder, entry->d_name, depth);
    }
    closedir(dir);
    return ok;
}

static int compare_files(const void *left, const void *right) {
    return str_cmp(((const struct policy_file *)left)->path, ((const struct policy_file *)right)->path);
}

static bool copy_sources(struct policy_bundle *bundle, const struct policy_source *sources, size_t n,
                         struct status *status) {
    if (n > SOURCES_MAX)
        return status_fail(status, STATUS_FULL, "over %d sources", SOURCES_MAX);
    bundle->sources = arena_alloc(bundle->arena, n * sizeof *sources);
    for (size_t i = 0; i < n; i++) {
        bundle->sources[i].name = arena_str(bundle->arena, sources[i].name);
        bundle->sources[i].map = arena_str(bundle->arena, sources[i].map);
        if (!bundle->sources[i].name.ptr || !bundle->sources[i].map.ptr)
            return status_fail(status, STATUS_FULL, "the sources' names are too long");
    }
    bundle->n_sources = n;
    return true;
}

struct policy_bundle *policy_bundle_load(const char *dir, const struct policy_source *sources, size_t n_sources,
                                         struct status *status) {
    struct loader loader = {.bundle = bundle_new(), .status = status};
    struct policy_bundle *bundle = loader.bundle;
    bundle->files = arena_alloc(bundle->arena, POLICY_MAX_FILES * sizeof *bundle->files);
    bool ok = realpath(dir, loader.root) != NULL || status_errno(status, errno, "routes folder %s", dir);
    size_t len = ok ? strlen(loader.root) : 0;
    if (ok && len + 1 < sizeof loader.root && strcmp(loader.root, "/") != 0)
        memcpy(loader.root + len, "/", sizeof "/");
    ok = ok && walk(&loader, dir, 0) && copy_sources(bundle, sources, sources ? n_sources : 0, status);
    if (!ok) {
        policy_bundle_free(bundle);
        return NULL;
    }
    qsort(bundle->files, bundle->n_files, sizeof *bundle->files, compare_files);
    return bundle;
}

// ---- bytes ----------------------------------------------------------------------------

static void write_number(struct buf *out, size_t number) {
    must(number <= UINT32_MAX);
    for (unsigned shift = 0; shift < 32; shift += 8)
        buf_char(out, (char)(number >> shift & 0xff));
}

static void write_text(struct buf *out, struct str text) {
    write_number(out, text.len);
    buf_str(out, text);
}

void policy_bundle_write(const struct policy_bundle *bundle, struct buf *out) {
    buf_str(out, STR(MAGIC));
    write_number(out, bundle->n_files);
    for (size_t i = 0; i < bundle->n_files; i++) {
        write_text(out, bundle->files[i].path);
        write_text(out, bundle->files[i].text);
    }
    write_number(out, bundle->n_sources);
    for (size_t i = 0; i < bundle->n_sources; i++) {
        write_text(out, bundle->sources[i].name);
        write_text(out, bundle->sources[i].map);
    }
}

struct reader {
    struct str left;
    struct arena *arena;
    bool damaged;
};

static size_t read_number(struct reader *reader) {
    if (reader->left.len < 4) {
        reader->damaged = true;
        return 0;
    }
    size_t number = 0;
    for (unsigned i = 0; i < 4; i++)
        number |= (size_t)(unsigned char)reader->left.ptr[i] << (8 * i);
    reader->left.ptr += 4;
    reader->left.len -= 4;
    return number;
}

static struct str read_text(struct reader *reader) {
    size_t len = read_number(reader);
    if (len > reader->left.len) {
        reader->damaged = true;
        return (struct str){0};
    }
    struct str text = arena_str(reader->arena, (struct str){reader->left.ptr, len});
    if (!text.ptr)
        reader->damaged = true;
    reader->left.ptr += len;
    reader->left.len -= len;
    return text;
}

// How many entries of at least 8 bytes follow.
static size_t read_count(struct reader *reader, size_t most) {
    size_t n = read_number(reader);
    if (n > most || n > reader->left.len / 8)
        reader->damaged = true;
    return reader->damaged ? 0 : n;
}

static void read_files(struct reader *reader, struct policy_bundle *bundle) {
    size_t n = read_count(reader, POLICY_MAX_FILES), bytes = 0;
    bundle->files = arena_alloc(bundle->arena, n * sizeof *bundle->files);
    for (; bundle->n_files < n && !reader->damaged; bundle->n_files++) {
        struct policy_file *file = &bundle->files[bundle->n_files];
        file->path = read_text(reader);
        file->text = read_text(reader);
        bytes += file->text.len;
        if (bytes > POLICY_MAX_BYTES || (bundle->n_files > 0 && str_cmp(file[-1].path, file->path) >= 0))
            reader->damaged = true;
    }
}

static void read_sources(struct reader *reader, struct policy_bundle *bundle) {
    size_t n = read_count(reader, SOURCES_MAX);
    bundle->sources = arena_alloc(bundle->arena, n * sizeof *bundle->sources);
    for (; bundle->n_sources < n && !reader->damaged; bundle->n_sources++) {
        bundle->sources[bundle->n_sources].name = read_text(reader);
        bundle->sources[bundle->n_sources].map = read_text(reader);
    }
}

struct policy_bundle *policy_bundle_read(struct str bytes, struct status *status) {
    if (!str_starts(bytes, STR(MAGIC))) {
        status_fail(status, STATUS_CORRUPT, "not a policy bundle, or one of another version");
        return NULL;
    }
    struct policy_bundle *bundle = bundle_new();
    struct reader reader = {.left = {bytes.ptr + strlen(MAGIC), bytes.len - strlen(MAGIC)}, .arena = bundle->arena};
    read_files(&reader, bundle);
    read_sources(&reader, bundle);
    if (reader.damaged || reader.left.len > 0) {
        status_fail(status, STATUS_CORRUPT, "the policy bundle is damaged");
        policy_bundle_free(bundle);
        return NULL;
    }
    return bundle;
}
