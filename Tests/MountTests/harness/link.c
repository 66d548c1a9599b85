/* A network link between clients on 127.0.0.1 and a server there: forwards TCP connections with a round trip time and a
 * rate. link SERVER-PORT RTT-MICROSECONDS BYTES-PER-SECOND prints the port that it listens on, and runs until it is
 * killed.
 *
 * Each direction has the rate for itself. All connections share it first come, first served, as behind one router; one
 * piece of data does not wait for the time of flight of another. Who sends more than the router's queue takes, or more
 * than a connection's window, is not read from. A new connection is mute for one round trip: that of its handshake.
 * Losses and slow start are not emulated. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 512, LARGEST_PIECE = 64 << 10 };

typedef int64_t nanoseconds;

/* Bytes on their way; none: the sender has ended. */
typedef struct piece {
    struct piece *next;
    int connection;
    nanoseconds due;
    size_t count, sent;
    char bytes[];
} piece;

typedef struct {
    piece *first, **last;
} queue;

/* One direction of a connection. */
typedef struct {
    int source, sink;
    size_t on_the_way;
    int has_ended, is_over;
    /* What has arrived and the receiver does not take yet. */
    queue arrived;
} stream;

static struct {
    int is_used;
    nanoseconds speaks_at;
    stream streams[2];
} connections[CONNECTIONS];

/* Up and down. */
static struct {
    queue flight;
    nanoseconds free_at;
} ways[2];

static nanoseconds round_trip, longest_queue;
static double rate;
static size_t window, piece_size;

static nanoseconds now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void append(queue *queue, piece *piece) {
    piece->next = NULL;
    if (!queue->first) queue->last = &queue->first;
    *queue->last = piece;
    queue->last = &piece->next;
}

static piece *take(queue *queue) {
    piece *piece = queue->first;
    if (piece) queue->first = piece->next;
    return piece;
}

static int is_whole(int index) { return connections[index].streams[0].source >= 0; }

/* Pieces in flight of a connection that is over are dropped when they arrive; then its place is free. */
static void end(int index) {
    if (!is_whole(index)) return;
    close(connections[index].streams[0].source);
    close(connections[index].streams[0].sink);
    for (int way = 0; way < 2; way++) {
        stream *stream = &connections[index].streams[way];
        piece *piece;
        while ((piece = take(&stream->arrived))) {
            stream->on_the_way -= piece->count;
            free(piece);
        }
        stream->source = stream->sink = -1;
    }
}

static void release(int index) {
    stream *streams = connections[index].streams;
    if (!is_whole(index) && streams[0].on_the_way + streams[1].on_the_way == 0) connections[index].is_used = 0;
}

static void receive(int index, int way) {
    stream *stream = &connections[index].streams[way];
    piece *piece = malloc(sizeof *piece + piece_size);
    if (!piece) fail("malloc");
    ssize_t count = recv(stream->source, piece->bytes, piece_size, MSG_DONTWAIT);
    if (count < 0) {
        free(piece);
        if (errno != EAGAIN && errno != EINTR) end(index);
        return;
    }
    nanoseconds time = now(), start = ways[way].free_at > time ? ways[way].free_at : time;
    ways[way].free_at = start + (nanoseconds)(count / rate * 1e9);
    *piece = (struct piece){.connection = index, .due = ways[way].free_at + round_trip / 2};
    /* An end counts as a byte, so that the place of the connection stays taken until it has arrived. */
    piece->count = count ? count : 1;
    piece->sent = count ? 0 : 1;
    stream->has_ended = count == 0;
    stream->on_the_way += piece->count;
    append(&ways[way].flight, piece);
}

/* Hands over what has arrived as far as the receiver takes it. */
static void deliver(int index, int way) {
    stream *stream = &connections[index].streams[way];
    piece *piece;
    while (is_whole(index) && (piece = stream->arrived.first)) {
        if (piece->sent < piece->count) {
            ssize_t count = send(stream->sink, piece->bytes + piece->sent, piece->count - piece->sent,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
            if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
            if (count < 0) return end(index);
            piece->sent += count;
            if (piece->sent < piece->count) return;
        } else {
            shutdown(stream->sink, SHUT_WR);
            stream->is_over = 1;
        }
        stream->on_the_way -= piece->count;
        free(take(&stream->arrived));
    }
    if (connections[index].streams[0].is_over && connections[index].streams[1].is_over) end(index);
}

static void land(int way) {
    nanoseconds time = now();
    while (ways[way].flight.first && ways[way].flight.first->due <= time) {
        piece *piece = take(&ways[way].flight);
        int index = piece->connection;
        stream *stream = &connections[index].streams[way];
        if (is_whole(index)) {
            append(&stream->arrived, piece);
            deliver(index, way);
        } else {
            stream->on_the_way -= piece->count;
            free(piece);
        }
    }
}

static int new_socket(void) {
    int socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket_ < 0) fail("socket");
    return socket_;
}

static void accept_from(int listener, int server_port) {
    int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC), index = 0, yes = 1;
    if (client < 0) return;
    while (index < CONNECTIONS && connections[index].is_used) index++;
    int server = new_socket();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(server_port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (index == CONNECTIONS || connect(server, (struct sockaddr *)&address, sizeof address)) {
        close(client);
        close(server);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    memset(&connections[index], 0, sizeof connections[index]);
    connections[index].is_used = 1;
    connections[index].speaks_at = now() + round_trip;
    connections[index].streams[0] = (stream){.source = client, .sink = server};
    connections[index].streams[1] = (stream){.source = server, .sink = client};
}

/* Whether more of a stream may be read now; if it may only later, `wake` is no later than that. */
static int may_receive(int index, int way, nanoseconds time, nanoseconds *wake) {
    stream *stream = &connections[index].streams[way];
    if (stream->has_ended || stream->on_the_way >= window) return 0;
    nanoseconds from = ways[way].free_at - longest_queue;
    if (from < connections[index].speaks_at) from = connections[index].speaks_at;
    if (from > time && from < *wake) *wake = from;
    return from <= time;
}

int main(int count, char **arguments) {
    if (count != 4) return 2;
    int server_port = atoi(arguments[1]);
    round_trip = atoll(arguments[2]) * 1000;
    rate = atof(arguments[3]);
    double product = rate * round_trip / 1e9;
    window = product * 2 > (1 << 20) ? product * 2 : 1 << 20;
    longest_queue = round_trip > 20000000 ? round_trip : 20000000;
    /* A millisecond's worth: small enough that connections take turns. */
    piece_size = rate / 1000 < 1500 ? 1500 : rate / 1000 > LARGEST_PIECE ? LARGEST_PIECE : rate / 1000;
    int listener = new_socket();
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 128)) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    static struct pollfd polls[2 * CONNECTIONS + 1];
    for (;;) {
        nanoseconds time = now(), wake = time + 1000000000;
        for (int way = 0; way < 2; way++) {
            if (ways[way].flight.first && ways[way].flight.first->due < wake) wake = ways[way].flight.first->due;
        }
        polls[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int index = 0; index < CONNECTIONS; index++) {
            for (int way = 0; way < 2; way++) {
                struct pollfd *poll = &polls[1 + 2 * index + way];
                *poll = (struct pollfd){.fd = -1};
                if (!connections[index].is_used || !is_whole(index)) continue;
                /* A socket is the source of one stream and the sink of the other. */
                if (may_receive(index, way, time, &wake)) poll->events |= POLLIN;
                if (connections[index].streams[1 - way].arrived.first) poll->events |= POLLOUT;
                if (poll->events) poll->fd = connections[index].streams[way].source;
            }
        }
        nanoseconds wait = wake > time ? wake - time : 0;
        struct timespec timeout = {.tv_sec = wait / 1000000000, .tv_nsec = wait % 1000000000};
        if (ppoll(polls, 2 * CONNECTIONS + 1, &timeout, NULL) < 0 && errno != EINTR) fail("poll");
        for (int index = 0; index < CONNECTIONS; index++) {
            for (int way = 0; way < 2; way++) {
                struct pollfd *poll = &polls[1 + 2 * index + way];
                if (poll->fd < 0 || !is_whole(index)) continue;
                if (poll->revents & POLLOUT) deliver(index, 1 - way);
                int ready = poll->revents & (POLLIN | POLLHUP | POLLERR);
                if (is_whole(index) && (poll->events & POLLIN) && ready) receive(index, way);
                else if (is_whole(index) && (poll->revents & POLLERR)) end(index);
            }
            if (connections[index].is_used) release(index);
        }
        for (int way = 0; way < 2; way++) land(way);
        if (polls[0].revents & POLLIN) accept_from(listener, server_port);
    }
}
