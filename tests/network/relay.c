/* relay: forwards TCP for the links of a test network, slowly and with loss, and breaks them on command.
 *
 *   relay --links FILE [--delay MS] [--loss PER-MILLE] [--kib-per-s N] [--seed N] <COMMANDS
 *
 * FILE has a line "FROM TO LISTEN-PORT TARGET-PORT" a link: FROM dials TO by the listen port. One connection carries
 * both directions, so a direction is named by its ends and found on the link of either. A kernel repairs loss before a
 * reader sees it, so a lost segment is what TCP makes of it: everything behind it arrives one retransmission later.
 *
 * Commands, one a line; "*" stands for every node:
 *   cut A B     nothing goes from A to B, no bytes and no end of a connection; what was sent waits, as TCP would send
 * again heal A B    undoes it reset A B   the connections between the two are reset, from whichever side they were made
 * Each is answered by a line "done". End of input ends the relay, with a summary on standard output. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 128u
#define PIPES_MAX 256u
#define SEGMENT 1460u
#define WINDOW (2u << 20)  /* bytes on their way in one direction; then the sender waits, as with a full window */
#define RETRANSMIT_MS 200u /* what TCP waits at least before it sends again, on top of a round trip */
#define NAME_MAX_BYTES 32

typedef struct segment {
    struct segment *next;
    uint64_t due_us;
    size_t n, done;
    unsigned char bytes[SEGMENT];
} segment;

/* One direction of one connection. */
typedef struct flow {
    segment *head, *tail;
    size_t queued;
    uint64_t last_due_us;
    bool ended, end_sent; /* the source closed; the target was told */
} flow;

typedef struct link_row {
    char from[NAME_MAX_BYTES], to[NAME_MAX_BYTES];
    uint16_t target;
    int listener;
    bool cut[2]; /* [0] from -> to, [1] to -> from */
} link_row;

typedef struct connection {
    link_row *link; /* NULL: the slot is free */
    int fd[2];      /* [0] the dialler, [1] the target; flow[i] goes from fd[i] to the other */
    bool connecting;
    flow flow[2];
} connection;

static struct {
    uint64_t delay_us, loss_per_mille, bytes_per_s, random;
    unsigned links;
    link_row link[LINKS_MAX];
    connection pipe[PIPES_MAX];
    uint64_t made, bytes, lost, cuts, resets;
} relay = {.random = 1};

static uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static uint64_t random_u64(void) /* xorshift64* */
{
    relay.random ^= relay.random >> 12;
    relay.random ^= relay.random << 25;
    relay.random ^= relay.random >> 27;
    return relay.random * UINT64_C(2685821657736338717);
}

static void die(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void set_up_socket(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void drop(connection *c, bool reset)
{
    for (unsigned i = 0; i < 2; i++) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};
        if (reset)
            setsockopt(c->fd[i], SOL_SOCKET, SO_LINGER, &now, sizeof now);
        close(c->fd[i]);
        for (segment *s = c->flow[i].head, *next; s; s = next) {
            next = s->next;
            free(s);
        }
    }
    *c = (connection){0};
}

static void take_caller(link_row *l)
{
    struct sockaddr_in to = loopback(l->target);
    int fd = accept(l->listener, NULL, NULL);
    connection *c = relay.pipe;
    if (fd < 0)
        return;
    while (c < relay.pipe + PIPES_MAX && c->link)
        c++;
    int out = c < relay.pipe + PIPES_MAX ? socket(AF_INET, SOCK_STREAM, 0) : -1;
    if (out < 0) {
        close(fd);
        return;
    }
    set_up_socket(fd);
    set_up_socket(out);
    *c = (connection){.link = l, .fd = {fd, out}, .connecting = true};
    relay.made++;
    if (connect(out, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        drop(c, true);
}

/* When the segment arrives: after the delay, never before the one ahead of it, and after a retransmission if it is
 * lost. */
static void schedule(flow *f, segment *s)
{
    uint64_t due = now_us() + relay.delay_us;
    if (relay.loss_per_mille && random_u64() % 1000 < relay.loss_per_mille) {
        due += 2 * relay.delay_us + RETRANSMIT_MS * 1000u;
        relay.lost++;
    }
    uint64_t after = f->last_due_us + (relay.bytes_per_s ? s->n * 1000000u / relay.bytes_per_s : 0);
    s->due_us = f->last_due_us = due > after ? due : after;
    if (f->tail)
        f->tail->next = s;
    else
        f->head = s;
    f->tail = s;
    f->queued += s->n;
}

/* False when the connection broke. */
static bool read_side(connection *c, unsigned side)
{
    flow *f = &c->flow[side];
    while (!f->ended && f->queued < WINDOW) {
        segment *s = calloc(1, sizeof *s);
        if (!s)
            die("memory");
        ssize_t n = read(c->fd[side], s->bytes, sizeof s->bytes);
        if (n <= 0) {
            free(s);
            if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return true;
            f->ended = true;
            return n == 0 || c->link->cut[side]; /* a cut holds back a reset too */
        }
        s->n = (size_t)n;
        schedule(f, s);
    }
    return true;
}

static bool write_side(connection *c, unsigned side)
{
    flow *f = &c->flow[side];
    int to = c->fd[1 - side];
    if (c->link->cut[side] || c->connecting)
        return true;
    for (segment *s; (s = f->head) && s->due_us <= now_us();) {
        ssize_t n = send(to, s->bytes + s->done, s->n - s->done, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        relay.bytes += (uint64_t)n;
        s->done += (size_t)n;
        if (s->done < s->n)
            return true;
        f->queued -= s->n;
        f->head = s->next;
        if (!f->head)
            f->tail = NULL;
        free(s);
    }
    if (!f->head && f->ended && !f->end_sent) {
        shutdown(to, SHUT_WR);
        f->end_sent = true;
    }
    return !(c->flow[0].end_sent && c->flow[1].end_sent);
}

static void finish_connecting(connection *c)
{
    int error = 0;
    socklen_t n = sizeof error;
    getsockopt(c->fd[1], SOL_SOCKET, SO_ERROR, &error, &n);
    if (error != 0)
        drop(c, true);
    else
        c->connecting = false;
}

static bool is(const char *pattern, const char *name)
{
    return strcmp(pattern, "*") == 0 || strcmp(pattern, name) == 0;
}

static void reset_between(const char *a, const char *b)
{
    for (connection *c = relay.pipe; c < relay.pipe + PIPES_MAX; c++) {
        const link_row *l = c->link;
        if (l && ((is(a, l->from) && is(b, l->to)) || (is(a, l->to) && is(b, l->from)))) {
            drop(c, true);
            relay.resets++;
        }
    }
}

static void set_cut(const char *from, const char *to, bool value)
{
    for (link_row *l = relay.link; l < relay.link + relay.links; l++) {
        if (is(from, l->from) && is(to, l->to))
            l->cut[0] = value;
        if (is(from, l->to) && is(to, l->from))
            l->cut[1] = value;
    }
    relay.cuts += value;
}

static void obey(const char *line)
{
    char word[16], a[NAME_MAX_BYTES], b[NAME_MAX_BYTES];
    if (sscanf(line, "%15s %31s %31s", word, a, b) != 3)
        word[0] = '\0';
    if (strcmp(word, "cut") == 0 || strcmp(word, "heal") == 0) {
        set_cut(a, b, word[0] == 'c');
    } else if (strcmp(word, "reset") == 0) {
        reset_between(a, b);
    } else {
        fprintf(stderr, "relay: not a command: %s\n", line);
        exit(2);
    }
    printf("done\n");
    fflush(stdout);
}

/* False at the end of the commands. */
static bool read_commands(void)
{
    static char text[4096];
    static size_t n;
    ssize_t got = read(STDIN_FILENO, text + n, sizeof text - 1 - n);
    if (got <= 0)
        return got < 0 && errno == EINTR;
    n += (size_t)got;
    text[n] = '\0';
    char *line = text;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        obey(line);
    }
    n -= (size_t)(line - text);
    memmove(text, line, n);
    return true;
}

static void read_links(const char *file)
{
    FILE *f = fopen(file, "r");
    unsigned listen_port, target;
    if (!f)
        die(file);
    for (link_row *l = relay.link; relay.links < LINKS_MAX; l++) {
        if (fscanf(f, "%31s %31s %u %u", l->from, l->to, &listen_port, &target) != 4)
            break;
        struct sockaddr_in at = loopback((uint16_t)listen_port);
        int on = 1;
        l->target = (uint16_t)target;
        l->listener = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(l->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(l->listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(l->listener, 64) != 0)
            die("listen");
        set_up_socket(l->listener);
        relay.links++;
    }
    fclose(f);
}

/* What poll() shall wait for, and how long at most until a segment is due. */
static short wanted(const connection *c, unsigned side, uint64_t now, int *wait_ms)
{
    const flow *in = &c->flow[side], *out = &c->flow[1 - side];
    short events = !in->ended && in->queued < WINDOW ? POLLIN : 0;
    if (c->connecting)
        return side == 1 ? POLLOUT : events;
    if (!out->head || c->link->cut[1 - side])
        return events;
    if (out->head->due_us <= now)
        return (short)(events | POLLOUT);
    int ms = (int)((out->head->due_us - now + 999) / 1000);
    *wait_ms = *wait_ms < 0 || ms < *wait_ms ? ms : *wait_ms;
    return events;
}

static bool serve_once(void)
{
    static struct pollfd at[1 + LINKS_MAX + 2 * PIPES_MAX];
    nfds_t n = 0;
    int wait_ms = -1;
    uint64_t now = now_us();
    at[n++] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    for (unsigned i = 0; i < relay.links; i++)
        at[n++] = (struct pollfd){.fd = relay.link[i].listener, .events = POLLIN};
    nfds_t first = n;
    for (connection *c = relay.pipe; c < relay.pipe + PIPES_MAX; c++)
        for (unsigned side = 0; side < 2; side++) {
            short events = c->link ? wanted(c, side, now, &wait_ms) : 0;
            at[n++] = (struct pollfd){.fd = events ? c->fd[side] : -1, .events = events};
        }
    if (poll(at, n, wait_ms) < 0 && errno != EINTR)
        die("poll");
    for (unsigned i = 0; i < PIPES_MAX; i++) {
        connection *c = &relay.pipe[i];
        const struct pollfd *p = &at[first + 2 * i];
        if (c->link && c->connecting && p[1].revents)
            finish_connecting(c);
        if (!c->link)
            continue;
        bool whole = true;
        for (unsigned side = 0; side < 2 && whole; side++)
            if (p[side].revents & (POLLIN | POLLHUP | POLLERR) && !(c->connecting && side == 1))
                whole = read_side(c, side);
        for (unsigned side = 0; side < 2 && whole; side++)
            whole = write_side(c, side);
        if (!whole)
            drop(c, !(c->flow[0].end_sent && c->flow[1].end_sent));
    }
    for (unsigned i = 0; i < relay.links; i++)
        if (at[1 + i].revents)
            take_caller(&relay.link[i]);
    return !at[0].revents || read_commands();
}

int main(int argc, char **argv)
{
    const char *links = NULL;
    for (int i = 1; i < argc; i += 2) {
        uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
        if (i + 1 < argc && strcmp(argv[i], "--links") == 0)
            links = argv[i + 1];
        else if (i + 1 < argc && strcmp(argv[i], "--delay") == 0)
            relay.delay_us = value * 1000;
        else if (i + 1 < argc && strcmp(argv[i], "--loss") == 0)
            relay.loss_per_mille = value;
        else if (i + 1 < argc && strcmp(argv[i], "--kib-per-s") == 0)
            relay.bytes_per_s = value * 1024;
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            relay.random = value * 2 + 1;
        else
            links = NULL, i = argc;
    }
    if (!links) {
        fprintf(stderr, "usage: relay --links FILE [--delay MS] [--loss PER-MILLE] [--kib-per-s N] [--seed N]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    read_links(links);
    printf("%u links\n", relay.links);
    fflush(stdout);
    while (serve_once())
        ;
    printf("%llu connections, %llu KiB, %llu segments lost, %llu cuts, %llu resets\n", (unsigned long long)relay.made,
           (unsigned long long)relay.bytes / 1024, (unsigned long long)relay.lost, (unsigned long long)relay.cuts,
           (unsigned long long)relay.resets);
    return 0;
}
