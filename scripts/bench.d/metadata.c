// What programs do with many small files, timed without the cost of an interpreter; prints seconds.
//   metadata create DIRECTORY COUNT SIZE   creates COUNT new files of SIZE bytes: open, write, close
//   metadata stat DIRECTORY COUNT ROUNDS   stats the files, ROUNDS times in a row
//   metadata ask DIRECTORY COUNT ROUNDS    the same past the kernel's caches (AT_STATX_FORCE_SYNC)
//   metadata rename FROM TO
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static const char *name(const char *directory, long index) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/%06ld.bin", directory, index);
    return path;
}

static void create(const char *directory, long count, long size) {
    char *content = malloc((size_t)size);
    if (!content) err(1, "malloc");
    memset(content, 'x', (size_t)size);
    for (long index = 0; index < count; index++) {
        const char *path = name(directory, index);
        int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (file < 0) err(1, "%s", path);
        if (write(file, content, (size_t)size) != size) err(1, "%s", path);
        if (close(file) != 0) err(1, "%s", path);
    }
    free(content);
}

static void stat_all(const char *directory, long count, long rounds, int flags) {
    struct statx status;
    for (long round = 0; round < rounds; round++) {
        for (long index = 0; index < count; index++) {
            const char *path = name(directory, index);
            if (statx(AT_FDCWD, path, flags, STATX_BASIC_STATS, &status) != 0) err(1, "%s", path);
        }
    }
}

int main(int count, char **arguments) {
    const char *what = count > 3 ? arguments[1] : "";
    long numbers[2] = {count == 5 ? atol(arguments[3]) : 0, count == 5 ? atol(arguments[4]) : 0};
    double start = now();
    if (count == 5 && strcmp(what, "create") == 0) {
        create(arguments[2], numbers[0], numbers[1]);
    } else if (count == 5 && strcmp(what, "stat") == 0) {
        stat_all(arguments[2], numbers[0], numbers[1], 0);
    } else if (count == 5 && strcmp(what, "ask") == 0) {
        stat_all(arguments[2], numbers[0], numbers[1], AT_STATX_FORCE_SYNC);
    } else if (count == 4 && strcmp(what, "rename") == 0) {
        if (rename(arguments[2], arguments[3]) != 0) err(1, "%s", arguments[2]);
    } else {
        errx(2, "see the first lines of metadata.c");
    }
    printf("%.9f\n", now() - start);
    return 0;
}
