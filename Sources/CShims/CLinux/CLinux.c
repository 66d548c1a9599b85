#define _GNU_SOURCE
#include "CLinux.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

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

int sluice_write_back(int descriptor, int64_t offset, int64_t length) {
    const unsigned int flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    return sync_file_range(descriptor, offset, length, flags);
}

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

int sluice_spawn_group(pid_t *child, char *const arguments[], char *const environment[], int output) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawnattr_init(&attributes);
    if (error != 0) return error;
    error = posix_spawn_file_actions_init(&actions);
    if (error == 0) {
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        error = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (error == 0) error = posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        // What the daemon itself has inherited without close-on-exec is no business of the child's.
        if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
        if (error == 0) error = posix_spawnp(child, arguments[0], &actions, &attributes, arguments, environment);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return error;
}

int sluice_wait_exited(pid_t child, int *has_exited) {
    siginfo_t info;
    info.si_pid = 0;
    int result = waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT);
    *has_exited = result == 0 && info.si_pid == child;
    return result;
}

int sluice_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int sluice_is_open_elsewhere(int descriptor) {
    // Who opens the file in between is let in at once; the signal that tells of it does nothing by default.
    if (fcntl(descriptor, F_SETSIG, SIGURG) != 0) return -1;
    if (fcntl(descriptor, F_SETLEASE, F_WRLCK) != 0) return errno == EAGAIN ? 1 : -1;
    fcntl(descriptor, F_SETLEASE, F_UNLCK);
    return 0;
}

// A callback of dl_iterate_phdr(3).
static int release_code(struct dl_phdr_info *object, size_t size, void *page) {
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr) & ~(*(uintptr_t *)page - 1);
        madvise((void *)start, object->dlpi_addr + segment->p_vaddr + segment->p_filesz - start, MADV_DONTNEED);
    }
    return 0;
}

void sluice_keep_large_memory_apart(void) { mallopt(M_MMAP_THRESHOLD, 128 << 10); }

void sluice_release_start_memory(void) {
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    dl_iterate_phdr(release_code, &page);
    malloc_trim(0);
}
