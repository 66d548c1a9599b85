// Walks a directory as `find -ls` does: each name and its attributes, then the directories below, one after the other.
//   walk DIRECTORY   prints the seconds of all, the seconds to the first name, and how many names there are
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static long names;
static double first;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// Whether it is a directory.
static int look(int directory, const char *name) {
    struct stat status;
    if (names++ == 0) first = now();
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0) err(1, "%s", name);
    return S_ISDIR(status.st_mode);
}

static void walk(int parent, const char *name) {
    int descriptor = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (!stream) err(1, "%s", name);
    char **below = NULL;
    size_t count = 0;
    struct dirent *entry;
    while (errno = 0, (entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (!look(descriptor, entry->d_name)) continue;
        below = realloc(below, (count + 1) * sizeof *below);
        if (!below || !(below[count++] = strdup(entry->d_name))) err(1, "%s", name);
    }
    if (errno) err(1, "%s", name);
    for (size_t index = 0; index < count; index++) {
        walk(descriptor, below[index]);
        free(below[index]);
    }
    free(below);
    closedir(stream);
}

int main(int count, char **arguments) {
    if (count != 2) errx(2, "see the first lines of walk.c");
    double start = now();
    walk(AT_FDCWD, arguments[1]);
    printf("%.9f %.9f %ld\n", now() - start, first - start, names);
    return 0;
}
