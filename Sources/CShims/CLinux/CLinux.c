#define _GNU_SOURCE
#include "CLinux.h"

ssize_t sluice_copy_file_range(int from, int64_t from_offset, int to, int64_t to_offset, size_t count) {
    off64_t source = from_offset, target = to_offset;
    return copy_file_range(from, &source, to, &target, count, 0);
}

int sluice_fallocate(int descriptor, int flags, int64_t offset, int64_t length) {
    return fallocate(descriptor, flags, offset, length);
}

int sluice_keep_size(void) { return FALLOC_FL_KEEP_SIZE; }

int sluice_punch_hole(void) { return FALLOC_FL_PUNCH_HOLE; }

int sluice_zero_range(void) { return FALLOC_FL_ZERO_RANGE; }

int sluice_seek_data(void) { return SEEK_DATA; }

int sluice_seek_hole(void) { return SEEK_HOLE; }

int sluice_syncfs(int descriptor) { return syncfs(descriptor); }

int sluice_rename(const char *from, const char *to, unsigned int flags) {
    return renameat2(AT_FDCWD, from, AT_FDCWD, to, flags);
}

int sluice_duplicate(int descriptor, int place) { return dup3(descriptor, place, O_CLOEXEC); }

void sluice_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

int sluice_spawn_setsid(void) { return POSIX_SPAWN_SETSID; }

int64_t sluice_peer_user(int socket) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? (int64_t)peer.uid : -1;
}
