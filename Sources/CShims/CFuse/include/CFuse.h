// libfuse3's low-level API for Swift: what is a macro, versioned or a flexible array there is a typed function here.
// Compiles against libfuse 3.10 and later.
#pragma once

// The newest API; where an older library lacks something, it is not used.
#define FUSE_USE_VERSION 312

#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_log.h>
#include <fuse3/fuse_lowlevel.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// `level` is that of syslog(3); `line` lives during the call.
typedef void (*sluice_log_function)(int level, const char *line);

// Sends the library's own messages to `function`; NULL: to stderr.
void sluice_fuse_set_log_function(sluice_log_function function);

// At least `size` bytes, aligned to a page, that belong to the calling thread until it asks again; NULL without memory.
void *sluice_fuse_thread_buffer(size_t size);

// An inline function from libfuse 3.17 on.
static inline struct fuse_session *sluice_fuse_session_new(
    struct fuse_args *arguments, const struct fuse_lowlevel_ops *operations, void *user_data) {
    return fuse_session_new(arguments, operations, sizeof *operations, user_data);
}

// Moves `size` bytes of a write request to `descriptor` at `offset`; the count moved, or -errno.
static inline ssize_t sluice_fuse_copy_to_descriptor(
    struct fuse_bufvec *source, size_t size, int descriptor, off_t offset) {
    struct fuse_bufvec target = FUSE_BUFVEC_INIT(size);
    target.buf[0].flags = (enum fuse_buf_flags)(FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK | FUSE_BUF_FD_RETRY);
    target.buf[0].fd = descriptor;
    target.buf[0].pos = offset;
    return fuse_buf_copy(&target, source, (enum fuse_buf_copy_flags)0);
}

// Moves `size` bytes of a write request to `memory`; the count moved, or -errno.
static inline ssize_t sluice_fuse_copy_to_memory(struct fuse_bufvec *source, size_t size, void *memory) {
    struct fuse_bufvec target = FUSE_BUFVEC_INIT(size);
    target.buf[0].mem = memory;
    return fuse_buf_copy(&target, source, (enum fuse_buf_copy_flags)0);
}

// Answers a read from the thread's buffer; splicing was not faster (scripts/bench, reads of 128 KiB and 1 MiB).
static inline int sluice_fuse_reply_copy(fuse_req_t request, int descriptor, off_t offset, size_t size) {
    char *buffer = sluice_fuse_thread_buffer(size);
    if (!buffer) return fuse_reply_err(request, ENOMEM);
    size_t done = 0;
    while (done < size) {
        ssize_t count = pread(descriptor, buffer + done, size - done, offset + (off_t)done);
        if (count == 0) break;
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fuse_reply_err(request, errno);
        done += (size_t)count;
    }
    return fuse_reply_buf(request, buffer, done);
}

// Answers OPEN and CREATE with the number of a file of which the kernel moves the bytes by itself (FOPEN_PASSTHROUGH): libfuse
// knows that from 3.17 on. Return 0, or -errno if the kernel has given the request up.
int sluice_fuse_reply_open_backed(fuse_req_t request, uint64_t handle, int32_t backing);
int sluice_fuse_reply_create_backed(
    fuse_req_t request, const struct fuse_entry_param *entry, uint64_t handle, int32_t backing);

// FUSE_DEV_IOC_BACKING_OPEN and FUSE_DEV_IOC_BACKING_CLOSE on the FUSE device: a number over 0, or -errno; 0, or -errno.
int sluice_fuse_backing_open(int device, int descriptor);
int sluice_fuse_backing_close(int device, int32_t backing);

// Its value differs between architectures, and Swift does not see it.
int sluice_o_direct(void);

// From now on SIGTERM, SIGINT and SIGHUP put their number, one byte, into the pipe whose read end is returned (-1 and
// errno on failure), and SIGPIPE does nothing. Not thread-safe; later calls return the same pipe.
int sluice_catch_termination_signals(void);
