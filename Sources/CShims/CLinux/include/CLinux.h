// Linux calls and constants that Swift's Glibc overlay lacks or cannot import.
//
// Feature macros such as _GNU_SOURCE stay out of this header: Swift's Glibc module is built without them, and a file
// that sees both views of a system type does not compile. What needs them is wrapped in CLinux.c.
#pragma once

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
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

// fallocate(2), and its FALLOC_FL_… flags.
int sluice_fallocate(int descriptor, int flags, int64_t offset, int64_t length);
int sluice_keep_size(void);
int sluice_punch_hole(void);
int sluice_zero_range(void);

// sync_file_range(2) that writes what is dirty of a range and waits for it.
int sluice_write_back(int descriptor, int64_t offset, int64_t length);

// SEEK_DATA and SEEK_HOLE of lseek(2).
int sluice_seek_data(void);
int sluice_seek_hole(void);

// syncfs(2).
int sluice_syncfs(int descriptor);

// futimens(2) that leaves the access time alone.
static inline int sluice_set_modified(int descriptor, int64_t seconds, int64_t nanoseconds) {
    const struct timespec times[2] = {{0, UTIME_OMIT}, {seconds, nanoseconds}};
    return futimens(descriptor, times);
}

// POSIX_SPAWN_SETSID of posix_spawnattr_setflags(3).
int sluice_spawn_setsid(void);

// Starts a program, found in PATH, as the leader of a process group of its own, with default signals: standard input
// and error are /dev/null, standard output is `output`, nothing else is inherited. 0, or an errno.
int sluice_spawn_group(pid_t *child, char *const arguments[], char *const environment[], int output);

// pipe2(2) with O_CLOEXEC.
int sluice_pipe(int ends[2]);

// Whether a child has ended; it is left to waitpid(2), so that its number stays taken.
int sluice_wait_exited(pid_t child, int *has_exited);

// The user id of the process at the other end of a Unix socket (SO_PEERCRED of unix(7)); -1 on failure.
int64_t sluice_peer_user(int socket);

// prctl(2), PR_SET_DUMPABLE 0.
static inline int sluice_set_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

// renameat2(2); paths are relative to the working directory. `flags` are RENAME_NOREPLACE (1) and RENAME_EXCHANGE (2).
int sluice_rename(const char *from, const char *to, unsigned int flags);

// dup3(2) with O_CLOEXEC.
int sluice_duplicate(int descriptor, int place);

// Whether another open file description than this one, or a mapping made of one, leads to the file; -1 and errno where that
// cannot be told. Asks for a write lease (fcntl(2), F_SETLEASE), which the kernel gives to who has a file for himself.
int sluice_is_open_elsewhere(int descriptor);

// Memory from 128 KiB on is the kernel's again as soon as it is free (mallopt(3)). By itself the C library would raise that
// limit with use, and then small pieces that stay settle in the gaps of large ones, so that those need new room each time.
void sluice_keep_large_memory_apart(void);

// Gives back what only the start of the program needed: pages of code and constants, which come back from the kernel's cache
// of the files when they are used again, and free pages of the heap.
void sluice_release_start_memory(void);

// Names the calling thread; at most 15 bytes.
void sluice_name_thread(const char *name);

static inline int sluice_errno(void) { return errno; }
