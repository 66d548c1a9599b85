#define _GNU_SOURCE
#include "CFuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

static sluice_log_function log_function;

static void forward_log(enum fuse_log_level level, const char *format, va_list arguments) {
    char line[1024];
    vsnprintf(line, sizeof line, format, arguments);
    if (log_function) log_function((int)level, line);
}

void sluice_fuse_set_log_function(sluice_log_function function) {
    log_function = function;
    fuse_set_log_func(function ? forward_log : NULL);
}

// A buffer for each thread that ever answers a read; freed when the thread ends.
static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;

struct thread_buffer {
    size_t size;
    void *memory;
};

static void free_buffer(void *value) {
    struct thread_buffer *buffer = value;
    free(buffer->memory);
    free(buffer);
}

static void make_buffer_key(void) { pthread_key_create(&buffer_key, free_buffer); }

void *sluice_fuse_thread_buffer(size_t size) {
    pthread_once(&buffer_once, make_buffer_key);
    struct thread_buffer *buffer = pthread_getspecific(buffer_key);
    if (buffer && buffer->size >= size) return buffer->memory;
    if (!buffer) {
        buffer = calloc(1, sizeof *buffer);
        if (!buffer) return NULL;
        if (pthread_setspecific(buffer_key, buffer) != 0) {
            free(buffer);
            return NULL;
        }
    }
    void *memory = NULL;
    if (posix_memalign(&memory, 4096, size) != 0) return NULL;
    free(buffer->memory);
    buffer->memory = memory;
    buffer->size = size;
    return memory;
}

// What headers of kernels before 6.9 lack (include/uapi/linux/fuse.h).
struct backed_open_out {
    uint64_t handle;
    uint32_t open_flags;
    int32_t backing;
};

struct backing_map {
    int32_t descriptor;
    uint32_t flags;
    uint64_t padding;
};

#define OPEN_PASSTHROUGH (1u << 7)
#define BACKING_OPEN _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

static void split_seconds(double value, uint64_t *seconds, uint32_t *nanoseconds) {
    double whole;
    *nanoseconds = (uint32_t)(modf(value < 0 ? 0 : value, &whole) * 1e9);
    *seconds = (uint64_t)whole;
}

static struct fuse_entry_out entry_out(const struct fuse_entry_param *entry) {
    const struct stat *attributes = &entry->attr;
    struct fuse_entry_out out = {.nodeid = entry->ino, .generation = entry->generation};
    split_seconds(entry->entry_timeout, &out.entry_valid, &out.entry_valid_nsec);
    split_seconds(entry->attr_timeout, &out.attr_valid, &out.attr_valid_nsec);
    out.attr.ino = attributes->st_ino;
    out.attr.size = (uint64_t)attributes->st_size;
    out.attr.blocks = (uint64_t)attributes->st_blocks;
    out.attr.atime = (uint64_t)attributes->st_atim.tv_sec;
    out.attr.mtime = (uint64_t)attributes->st_mtim.tv_sec;
    out.attr.ctime = (uint64_t)attributes->st_ctim.tv_sec;
    out.attr.atimensec = (uint32_t)attributes->st_atim.tv_nsec;
    out.attr.mtimensec = (uint32_t)attributes->st_mtim.tv_nsec;
    out.attr.ctimensec = (uint32_t)attributes->st_ctim.tv_nsec;
    out.attr.mode = attributes->st_mode;
    out.attr.nlink = (uint32_t)attributes->st_nlink;
    out.attr.uid = attributes->st_uid;
    out.attr.gid = attributes->st_gid;
    out.attr.rdev = (uint32_t)attributes->st_rdev;
    out.attr.blksize = (uint32_t)attributes->st_blksize;
    return out;
}

int sluice_fuse_reply_open_backed(fuse_req_t request, uint64_t handle, int32_t backing) {
    struct backed_open_out out = {.handle = handle, .open_flags = OPEN_PASSTHROUGH, .backing = backing};
    struct iovec part = {&out, sizeof out};
    return fuse_reply_iov(request, &part, 1);
}

int sluice_fuse_reply_create_backed(
    fuse_req_t request, const struct fuse_entry_param *entry, uint64_t handle, int32_t backing) {
    struct fuse_entry_out name = entry_out(entry);
    struct backed_open_out out = {.handle = handle, .open_flags = OPEN_PASSTHROUGH, .backing = backing};
    struct iovec parts[] = {{&name, sizeof name}, {&out, sizeof out}};
    return fuse_reply_iov(request, parts, 2);
}

int sluice_fuse_backing_open(int device, int descriptor) {
    struct backing_map map = {.descriptor = descriptor};
    int backing = ioctl(device, BACKING_OPEN, &map);
    return backing >= 0 ? backing : -errno;
}

int sluice_fuse_backing_close(int device, int32_t backing) {
    uint32_t number = (uint32_t)backing;
    return ioctl(device, BACKING_CLOSE, &number) == 0 ? 0 : -errno;
}

int sluice_o_direct(void) { return O_DIRECT; }

static int signal_pipe[2] = {-1, -1};

static void note_signal(int number) {
    int saved = errno;
    unsigned char byte = (unsigned char)number;
    ssize_t written = write(signal_pipe[1], &byte, 1);
    (void)written;
    errno = saved;
}

int sluice_catch_termination_signals(void) {
    if (signal_pipe[0] >= 0) return signal_pipe[0];
    if (pipe2(signal_pipe, O_CLOEXEC) != 0) return -1;
    fcntl(signal_pipe[1], F_SETFL, O_NONBLOCK);
    struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t index = 0; index < sizeof numbers / sizeof *numbers; index++) {
        if (sigaction(numbers[index], &action, NULL) != 0) return -1;
    }
    signal(SIGPIPE, SIG_IGN);
    return signal_pipe[0];
}
