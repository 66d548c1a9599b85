// Linux calls and constants that Swift's Glibc overlay lacks or cannot import.
//
// Feature macros such as _GNU_SOURCE stay out of this header: Swift's Glibc module is built without them, and a file
// that sees both views of a system type does not compile. What needs them is wrapped in CLinux.c.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

// open(2) and openat(2) are variadic.
static inline int sluice_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags | O_CLOEXEC, mode);
}

// copy_file_range(2) at explicit offsets; the file positions do not move.
ssize_t sluice_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count);

static inline int sluice_errno(void) { return errno; }
