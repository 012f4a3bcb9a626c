/* traitor KIND --config FILE ...: carnetd, and everything that it says to peers is twisted in this manner
 * (tests/byzantine). The linker puts __wrap_cn_links_send in front of the function that sends. `traitor --list` prints
 * the kinds; "slow-reader" is not one of what is said: it takes what it is sent a piece at a time. */
#include "node/daemon/internal.h"
#include "tests/byzantine/twist.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <nng/nng.h>

#define SLOW_READER "slow-reader"

/* Threads of links and of consensus send at once. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static twister twisted;
static cn_key_file vote;
static bool reads_slowly;

int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);
bool __real_cn_links_send(cn_links *links, unsigned slot, uint8_t type, const void *payload, size_t n, bool urgent);
bool __wrap_cn_links_send(cn_links *links, unsigned slot, uint8_t type, const void *payload, size_t n, bool urgent);
cn_status __real_cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err);
cn_status __wrap_cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err);

void __real_nng_stream_recv(nng_stream *stream, nng_aio *aio);
void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio);

static void send_as_it_is(void *ctx, unsigned to, uint8_t type, const uint8_t *p, size_t n)
{
    (void)__real_cn_links_send(ctx, to, type, p, n, true);
}

cn_status __wrap_cn_links_start(const cn_links_options *options, cn_links **ret, cn_err *err)
{
    cn_status st = __real_cn_links_start(options, ret, err);
    twisted.network = options->network;
    twisted.ctx = *ret;
    return st;
}

bool __wrap_cn_links_send(cn_links *links, unsigned slot, uint8_t type, const void *payload, size_t n, bool urgent)
{
    pthread_mutex_lock(&lock);
    bool done = twister_send(&twisted, slot, type, payload, n);
    pthread_mutex_unlock(&lock);
    return done || __real_cn_links_send(links, slot, type, payload, n, urgent);
}

/* Slow enough that queues towards it fill, quick enough for a handshake. */
void __wrap_nng_stream_recv(nng_stream *stream, nng_aio *aio)
{
    struct timespec pause = {.tv_nsec = 400000000L};
    if (reads_slowly)
        nanosleep(&pause, NULL);
    __real_nng_stream_recv(stream, aio);
}

static bool read_vote_key(const char *path)
{
    char text[CN_KEY_FILE_MAX];
    cn_err err = {0};
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof text, f) : 0;
    if (f)
        fclose(f);
    return n && cn_key_file_parse(text, n, &vote, &err) == CN_OK;
}

int __wrap_main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (unsigned kind = TWIST_NONE + 1; kind < TWISTS; kind++)
            puts(twist_name((twist_kind)kind));
        puts(SLOW_READER);
        return 0;
    }
    reads_slowly = argc > 2 && strcmp(argv[1], SLOW_READER) == 0;
    twist_kind kind = reads_slowly ? TWIST_NONE : argc > 2 ? twist_named(argv[1]) : TWISTS;
    if (kind == TWISTS || !read_vote_key(argv[2])) {
        fputs("usage: traitor KIND VOTE-KEY-FILE --config FILE | traitor --list\n", stderr);
        return 2;
    }
    twisted.kind = kind;
    twisted.random = 1;
    twisted.vote_key = &vote.key;
    twisted.send = send_as_it_is;
    argv[2] = argv[0];
    return __real_main(argc - 2, argv + 2);
}
