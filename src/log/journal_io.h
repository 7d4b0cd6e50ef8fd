// journal_io: every system call by which a journal changes the disk, as a table.
//
// Tests put their own calls here to fail the n-th of them, or to play a power cut.
#ifndef PENSTOCK_LOG_JOURNAL_IO_H
#define PENSTOCK_LOG_JOURNAL_IO_H

#include <sys/types.h>

#include "penstock/log.h"

struct journal_io {
    int (*create)(const char *path); // an empty file for reading and writing; a descriptor, or -1
    ssize_t (*write_at)(int fd, const void *bytes, size_t n, off_t offset);
    int (*sync)(int fd);
    int (*truncate)(int fd, off_t bytes);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
    bool (*sync_dir)(const char *path, struct status *status);
};

extern const struct journal_io journal_io_system;

// journal_open with other calls; `io` must outlive the journal.
struct journal *journal_open_with(const struct journal_options *options, const struct journal_io *io,
                                  struct status *status);

#endif
