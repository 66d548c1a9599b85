#define _GNU_SOURCE
#include "CFuse.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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
