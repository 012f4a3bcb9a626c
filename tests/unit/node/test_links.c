/* Links between managers on loopback: who is who, what arrives, what is refused. */
#include "node/peer/links.h"
#include "proto/key.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

typedef struct side {
    cn_links *links;
    atomic_uint messages, wrong;
    atomic_ullong bytes;
    atomic_bool up;
    unsigned next; /* the number that the next message must carry */
} side;

static void pause_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&t, NULL);
}

static void on_message(void *ctx, unsigned peer, uint8_t type, const uint8_t *payload, size_t n)
{
    side *s = ctx;
    unsigned number = 0;
    (void)peer;
    if (n >= sizeof number)
        memcpy(&number, payload, sizeof number);
    if (type != 7 || number != s->next++)
        atomic_fetch_add(&s->wrong, 1);
    atomic_fetch_add(&s->bytes, n);
    atomic_fetch_add(&s->messages, 1);
}

static void on_change(void *ctx, unsigned peer, bool up)
{
    (void)peer;
    atomic_store(&((side *)ctx)->up, up);
}

static void secret_of(unsigned who, uint8_t secret[32])
{
    memset(secret, (int)who + 1, 32);
}

/* Two sides that know each other; ports are given by the system to the one that listens first. */
static void start(side *s, unsigned self, const uint16_t port[2], bool known, unsigned network)
{
    cn_peer_address peers[2];
    cn_links_options o = {.network = {{(uint8_t)network}},
                          .listen = "127.0.0.1:0",
                          .queue_bytes = 8u << 20,
                          .ctx = s,
                          .on_message = on_message,
                          .on_change = on_change};
    char listen[32];
    memset(peers, 0, sizeof peers);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t secret[32];
        secret_of(i, secret);
        cn_x25519_public(secret, peers[i].channel_key);
        if (!known && i != self)
            peers[i].channel_key[0] ^= 1;
        if (i != self)
            snprintf(peers[i].address, sizeof peers[i].address, "127.0.0.1:%u", port[i]);
    }
    secret_of(self, o.channel_secret);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port[self]);
    o.listen = listen;
    cn_err err = {0};
    cr_assert_eq(cn_links_start(&o, &s->links, &err), CN_OK, "%s", err.text);
    peers[1 - self].dials = self == 0;
    cn_links_set_peer(s->links, 1 - self, &peers[1 - self]);
}

static uint16_t free_port(void)
{
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof where;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&where, sizeof where) == 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&where, &n), 0);
    close(fd);
    return ntohs(where.sin_port);
}

static bool eventually(const atomic_bool *flag, bool wanted)
{
    for (int i = 0; i < 1500 && atomic_load(flag) != wanted; i++)
        pause_ms(10);
    return atomic_load(flag) == wanted;
}

static void send_numbered(side *from, unsigned to, unsigned number, size_t n)
{
    static uint8_t payload[1 << 20];
    memcpy(payload, &number, sizeof number);
    while (!cn_links_send(from->links, to, 7, payload, n, false))
        pause_ms(1);
}

static bool arrived(const side *s, unsigned count)
{
    for (int i = 0; i < 3000 && atomic_load(&s->messages) < count; i++)
        pause_ms(10);
    return atomic_load(&s->messages) == count;
}

Test(links, messages_arrive_whole_and_in_order)
{
    static side a, b;
    uint16_t port[2] = {free_port(), free_port()};
    start(&a, 0, port, true, 1);
    start(&b, 1, port, true, 1);
    cr_assert(eventually(&a.up, true) && eventually(&b.up, true));
    for (unsigned i = 0; i < 500; i++)
        send_numbered(&a, 1, i, i % 50 == 0 ? 1u << 20 : 4 + i);
    cr_expect(arrived(&b, 500));
    cr_expect_eq(atomic_load(&b.wrong), 0u);
    cn_links_stop(a.links);
    cn_links_stop(b.links);
}

Test(links, a_peer_that_comes_back_is_linked_again)
{
    static side a, b;
    uint16_t port[2] = {free_port(), free_port()};
    start(&a, 0, port, true, 1);
    start(&b, 1, port, true, 1);
    cr_assert(eventually(&a.up, true));
    cn_links_stop(b.links);
    cr_expect(eventually(&a.up, false));
    memset(&b, 0, sizeof b);
    start(&b, 1, port, true, 1);
    cr_expect(eventually(&a.up, true));
    cn_links_stop(a.links);
    cn_links_stop(b.links);
}

Test(links, another_key_or_network_is_refused)
{
    static side a, b, c, d;
    uint16_t port[2] = {free_port(), free_port()}, other[2] = {free_port(), free_port()};
    start(&a, 0, port, false, 1); /* knows another key for its peer */
    start(&b, 1, port, true, 1);
    start(&c, 0, other, true, 1);
    start(&d, 1, other, true, 2);
    pause_ms(1500);
    cr_expect_not(atomic_load(&a.up) || atomic_load(&b.up));
    cr_expect_not(atomic_load(&c.up) || atomic_load(&d.up));
    cn_links_stop(a.links);
    cn_links_stop(b.links);
    cn_links_stop(c.links);
    cn_links_stop(d.links);
}

Test(links, garbage_costs_only_a_counter)
{
    static side a, b;
    uint16_t port[2] = {free_port(), free_port()};
    start(&a, 0, port, true, 1);
    start(&b, 1, port, true, 1);
    cr_assert(eventually(&a.up, true) && eventually(&b.up, true));
    for (unsigned i = 0; i < 5; i++) {
        struct sockaddr_in where = {
            .sin_family = AF_INET, .sin_port = htons(port[1]), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        uint8_t bytes[600];
        memset(bytes, (int)(0x11 * i), sizeof bytes);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        cr_assert_eq(connect(fd, (struct sockaddr *)&where, sizeof where), 0);
        (void)!write(fd, bytes, sizeof bytes);
        pause_ms(50);
        close(fd);
    }
    pause_ms(200);
    cr_expect(cn_links_refused(b.links) >= 4);
    send_numbered(&a, 1, 0, 100);
    cr_expect(arrived(&b, 1));
    cn_links_stop(a.links);
    cn_links_stop(b.links);
}

Test(links, what_is_down_takes_no_messages)
{
    static side a;
    uint16_t port[2] = {free_port(), free_port()};
    cn_link_info info;
    start(&a, 0, port, true, 1);
    cr_expect_not(cn_links_send(a.links, 1, 7, "x", 1, false));
    cn_links_info(a.links, 1, &info);
    cr_expect_eq(info.dropped, 1u);
    cn_links_stop(a.links);
}

/* ---- keys that change while links run ---- */

static atomic_uint greeted, answered;

static bool on_stranger(void *ctx, uint8_t type, const uint8_t *payload, size_t n, uint8_t *ret_type, cn_buf *reply)
{
    (void)ctx;
    (void)payload;
    (void)ret_type;
    (void)reply;
    if (type == 8 && n == 3)
        atomic_fetch_add(&answered, 1);
    return type != 8;
}

static void answer_greeting(void *ctx, unsigned slot, uint8_t type, const uint8_t *payload, size_t n)
{
    side *s = ctx;
    (void)payload;
    if (type == 9 && n == 0) {
        atomic_fetch_add(&greeted, 1);
        cn_links_send(s->links, slot, 8, "way", 3, true);
    } else {
        on_message(ctx, slot, type, payload, n);
    }
}

static void open_side(side *s, unsigned self, const uint16_t port[2], uint8_t key_of_self, uint8_t key_of_peer)
{
    char listen[32];
    cn_links_options o = {.network = {{1}},
                          .queue_bytes = 8u << 20,
                          .ctx = s,
                          .on_message = answer_greeting,
                          .on_change = on_change,
                          .on_stranger = on_stranger,
                          .greeting = 9};
    uint8_t secret[32];
    cn_peer_address peer = {.name = "peer", .dials = self == 0};
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port[self]);
    snprintf(peer.address, sizeof peer.address, "127.0.0.1:%u", port[1 - self]);
    o.listen = listen;
    secret_of(key_of_self, o.channel_secret);
    secret_of(key_of_peer, secret);
    cn_x25519_public(secret, peer.channel_key);
    cn_err err = {0};
    cr_assert_eq(cn_links_start(&o, &s->links, &err), CN_OK, "%s", err.text);
    cn_links_set_peer(s->links, 1 - self, &peer);
}

static void name_key(side *s, unsigned self, const uint16_t port[2], uint8_t key)
{
    uint8_t secret[32];
    cn_peer_address peer = {.name = "peer", .dials = self == 0};
    snprintf(peer.address, sizeof peer.address, "127.0.0.1:%u", port[1 - self]);
    secret_of(key, secret);
    cn_x25519_public(secret, peer.channel_key);
    cn_links_set_peer(s->links, 1 - self, &peer);
}

/* The peer was rotated while this side slept; on the dialling and on the listening side. */
static void sleeper(unsigned who)
{
    static side a, b;
    side *asleep = who == 0 ? &a : &b, *rotated = who == 0 ? &b : &a;
    uint16_t port[2] = {free_port(), free_port()};
    open_side(&a, 0, port, 10, who == 0 ? 11 : 21); /* side 1 has key 21 where side 0 expects 11, or the other way */
    open_side(&b, 1, port, 21, who == 0 ? 10 : 12);
    for (int i = 0; i < 1000 && atomic_load(&answered) == 0; i++)
        pause_ms(10);
    cr_expect(atomic_load(&answered) > 0, "the sleeper got no proof");
    cr_expect(atomic_load(&greeted) > 0);
    cr_expect_not(atomic_load(&asleep->up), "a stranger's connection is not a link");
    name_key(asleep, who, port, who == 0 ? 21 : 10);
    for (int i = 0; i < 1500 && !(atomic_load(&asleep->up) && atomic_load(&rotated->up)); i++)
        pause_ms(10);
    cr_expect(atomic_load(&asleep->up), "linked with the key that was learned");
    cn_links_stop(a.links);
    cn_links_stop(b.links);
}

Test(links, a_dialler_that_slept_through_a_rotation_is_told)
{
    sleeper(0);
}

Test(links, a_listener_that_slept_through_a_rotation_is_told)
{
    sleeper(1);
}

Test(links, a_rotated_key_counts_without_a_restart)
{
    static side a, b;
    uint16_t port[2] = {free_port(), free_port()};
    uint8_t secret[32];
    open_side(&a, 0, port, 10, 11);
    open_side(&b, 1, port, 11, 10);
    cr_assert(eventually(&a.up, true) && eventually(&b.up, true));
    name_key(&a, 0, port, 12); /* the ledger names another key for b, which still has the old one */
    cr_expect(eventually(&b.up, false));
    secret_of(12, secret);
    cn_links_set_secret(b.links, secret);
    cr_expect(eventually(&a.up, true) && eventually(&b.up, true));
    cn_links_set_peer(a.links, 1, NULL);
    cr_expect(eventually(&a.up, false));
    pause_ms(700);
    cr_expect_not(atomic_load(&a.up), "an empty slot is not linked");
    cn_links_stop(a.links);
    cn_links_stop(b.links);
}
