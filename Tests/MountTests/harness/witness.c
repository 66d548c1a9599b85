// Loaded into a recorder by LD_PRELOAD: notes each call by which it changes files below a directory, before and after.
//
// The notes lie outside of the mount. One is written whole, under a lock, in the order of the calls: what has a note of
// its end was acknowledged, and at most the last one has none. `witness.py` reads them.
//
// WITNESS_LOG and WITNESS_ROOT name the log and the directory; a process that forks calls witness_start() instead.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { END, OPEN, WRITE, TRUNCATE, SYNC, RENAME, UNLINK, MKDIR, RMDIR, CHMOD, TIMES, SETXATTR, SYMLINK, LINK };

struct note {
    uint32_t kind, first_length, second_length, padding;
    int64_t time_ns, ino, offset, length;
};

#define DESCRIPTORS 4096

static int log_descriptor = -1;
static char root[4096];
static size_t root_length;
static char watched[DESCRIPTORS];
static int64_t inodes[DESCRIPTORS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

void witness_start(const char *log, const char *directory) {
    log_descriptor = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    strncpy(root, directory, sizeof root - 1);
    root_length = strlen(root);
    memset(watched, 0, sizeof watched);
}

__attribute__((constructor)) static void start(void) {
    const char *log = getenv("WITNESS_LOG"), *directory = getenv("WITNESS_ROOT");
    if (log && directory) witness_start(log, directory);
}

static int is_below(const char *path) {
    return log_descriptor >= 0 && path && strncmp(path, root, root_length) == 0 && path[root_length] == '/';
}

static int is_watched(int descriptor) {
    return log_descriptor >= 0 && descriptor >= 0 && descriptor < DESCRIPTORS && watched[descriptor];
}

static void put(enum kind kind, int64_t ino, int64_t offset, int64_t length, const char *first, const char *second,
                size_t second_length) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct note note = {.kind = kind, .ino = ino, .offset = offset, .length = length};
    note.time_ns = now.tv_sec * 1000000000LL + now.tv_nsec;
    note.first_length = first ? (uint32_t)strlen(first) : 0;
    note.second_length = (uint32_t)second_length;
    struct iovec parts[] = {
        {&note, sizeof note}, {(void *)first, note.first_length}, {(void *)second, note.second_length}};
    // A log that cannot be written is a test that proves nothing.
    if (syscall(SYS_writev, log_descriptor, parts, 3) != (long)(sizeof note + note.first_length + second_length)) abort();
}

// Notes the call, makes it, notes its result.
#define WITNESSED(result_type, call, ...)                                                                             \
    pthread_mutex_lock(&lock);                                                                                        \
    put(__VA_ARGS__);                                                                                                 \
    result_type result = call;                                                                                        \
    int error = errno;                                                                                                \
    put(END, 0, result, result < 0 ? error : 0, NULL, NULL, 0);                                                       \
    pthread_mutex_unlock(&lock);                                                                                      \
    errno = error;                                                                                                    \
    return result

static int opened(const char *path, int flags, mode_t mode) {
    pthread_mutex_lock(&lock);
    put(OPEN, 0, flags, mode, path, NULL, 0);
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    int error = errno;
    struct stat status = {0};
    if (descriptor >= 0 && descriptor < DESCRIPTORS && syscall(SYS_fstat, descriptor, &status) == 0) {
        watched[descriptor] = 1;
        inodes[descriptor] = (int64_t)status.st_ino;
    }
    put(END, (int64_t)status.st_ino, descriptor, descriptor < 0 ? error : 0, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return descriptor;
}

#define OPENS(name)                                                                                                   \
    int name(const char *path, int flags, ...) {                                                                      \
        va_list list;                                                                                                 \
        va_start(list, flags);                                                                                        \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;                                     \
        va_end(list);                                                                                                 \
        if (is_below(path)) return opened(path, flags, mode);                                                         \
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);                                                 \
    }
OPENS(open)
OPENS(open64)

int close(int descriptor) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS) watched[descriptor] = 0;
    return (int)syscall(SYS_close, descriptor);
}

static int64_t place(int descriptor) {
    struct stat status;
    int flags = (int)syscall(SYS_fcntl, descriptor, F_GETFL);
    if (flags & O_APPEND && syscall(SYS_fstat, descriptor, &status) == 0) return (int64_t)status.st_size;
    // Where the daemon is dead and writes go past it, whoever appends alone is at the end.
    return syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
}

ssize_t write(int descriptor, const void *data, size_t count) {
    if (!is_watched(descriptor)) return syscall(SYS_write, descriptor, data, count);
    WITNESSED(ssize_t, syscall(SYS_write, descriptor, data, count), WRITE, inodes[descriptor], place(descriptor),
              (int64_t)count, NULL, data, count);
}

static ssize_t written_at(int descriptor, const void *data, size_t count, off_t offset) {
    if (!is_watched(descriptor)) return syscall(SYS_pwrite64, descriptor, data, count, offset);
    WITNESSED(ssize_t, syscall(SYS_pwrite64, descriptor, data, count, offset), WRITE, inodes[descriptor], offset,
              (int64_t)count, NULL, data, count);
}
ssize_t pwrite(int descriptor, const void *data, size_t count, off_t offset) {
    return written_at(descriptor, data, count, offset);
}
ssize_t pwrite64(int descriptor, const void *data, size_t count, off_t offset) {
    return written_at(descriptor, data, count, offset);
}

static int cut(int descriptor, off_t length) {
    if (!is_watched(descriptor)) return (int)syscall(SYS_ftruncate, descriptor, length);
    WITNESSED(int, (int)syscall(SYS_ftruncate, descriptor, length), TRUNCATE, inodes[descriptor], length, 0, NULL, NULL, 0);
}
int ftruncate(int descriptor, off_t length) { return cut(descriptor, length); }
int ftruncate64(int descriptor, off_t length) { return cut(descriptor, length); }

static int synced(int descriptor, long call) {
    if (!is_watched(descriptor)) return (int)syscall(call, descriptor);
    WITNESSED(int, (int)syscall(call, descriptor), SYNC, inodes[descriptor], 0, 0, NULL, NULL, 0);
}
int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

int rename(const char *path, const char *target) {
    REAL(rename);
    if (!is_below(path)) return real(path, target);
    WITNESSED(int, real(path, target), RENAME, 0, 0, 0, path, target, strlen(target));
}

int unlink(const char *path) {
    REAL(unlink);
    if (!is_below(path)) return real(path);
    WITNESSED(int, real(path), UNLINK, 0, 0, 0, path, NULL, 0);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    if (!is_below(path)) return real(path, mode);
    WITNESSED(int, real(path, mode), MKDIR, 0, 0, mode, path, NULL, 0);
}

int rmdir(const char *path) {
    REAL(rmdir);
    if (!is_below(path)) return real(path);
    WITNESSED(int, real(path), RMDIR, 0, 0, 0, path, NULL, 0);
}

int chmod(const char *path, mode_t mode) {
    REAL(chmod);
    if (!is_below(path)) return real(path, mode);
    WITNESSED(int, real(path, mode), CHMOD, 0, mode, 0, path, NULL, 0);
}

int utimensat(int directory, const char *path, const struct timespec times[2], int flags) {
    REAL(utimensat);
    if (!is_below(path) || !times) return real(directory, path, times, flags);
    WITNESSED(int, real(directory, path, times, flags), TIMES, 0, times[1].tv_sec * 1000000000LL + times[1].tv_nsec, 0,
              path, NULL, 0);
}

int setxattr(const char *path, const char *name, const void *value, size_t size, int flags) {
    REAL(setxattr);
    if (!is_below(path)) return real(path, name, value, size, flags);
    // One attribute for each file is all that the recorders set: only the value is noted.
    WITNESSED(int, real(path, name, value, size, flags), SETXATTR, 0, 0, 0, path, value, size);
}

int symlink(const char *target, const char *path) {
    REAL(symlink);
    if (!is_below(path)) return real(target, path);
    WITNESSED(int, real(target, path), SYMLINK, 0, 0, 0, path, target, strlen(target));
}

int link(const char *path, const char *name) {
    REAL(link);
    if (!is_below(path)) return real(path, name);
    WITNESSED(int, real(path, name), LINK, 0, 0, 0, path, name, strlen(name));
}
