/* Messages and plans as text: transcripts, and the schedules of failing seeds. */
#include "world.h"

#include <stdarg.h>
#include <string.h>

void tell(const sim *s, unsigned who, const char *format, ...)
{
    va_list args;
    if (!s->opt.transcript)
        return;
    fprintf(s->opt.transcript, "%6llu  %u  ", (unsigned long long)s->now, who);
    va_start(args, format);
    vfprintf(s->opt.transcript, format, args);
    va_end(args);
    fputc('\n', s->opt.transcript);
}

static const char *vote_name(uint8_t kind)
{
    static const char *const names[] = {"?", "notarize", "nullify", "finalize"};
    return names[kind <= CN_FINALIZE ? kind : 0];
}

static const char *certificate_name(uint8_t kind)
{
    static const char *const names[] = {"?", "notarization", "nullification", "finalization"};
    return names[kind <= CN_FINALIZE ? kind : 0];
}

static const char *kind_name(uint8_t kind)
{
    return kind == CN_BLOCK_NORMAL ? "normal" : kind == CN_BLOCK_CHECKPOINT ? "checkpoint" : "closing";
}

static void tell_proposal(const sim *s, unsigned from, const char *to, const uint8_t *bytes, size_t n)
{
    cn_proposal p;
    char evidence[256] = "none";
    size_t at = 0;
    if (!cn_proposal_read(&s->network, bytes, n, &p))
        return;
    for (size_t i = 0; i < p.evidence_count && at < sizeof evidence - 64; i++)
        at += (size_t)snprintf(evidence + at, sizeof evidence - at, "%s%s of view %llu", i ? ", " : "",
                               certificate_name(p.evidence[i].kind), (unsigned long long)p.evidence[i].view);
    cn_digest digest = cn_header_digest(&p.header);
    tell(s, from,
         "> %s  proposal, epoch %llu view %llu, parent view %llu: %s %.8s height %llu, %zu statements; evidence %s", to,
         (unsigned long long)p.epoch, (unsigned long long)p.view, (unsigned long long)p.parent_view,
         kind_name(p.header.kind), cn_digest_hex(&digest).s, (unsigned long long)p.header.height, p.record_count,
         evidence);
    cn_proposal_clear(&p);
}

void tell_sent(const sim *s, unsigned from, unsigned to, const uint8_t *bytes, size_t n)
{
    cn_vote v;
    cn_certificate cert;
    uint64_t epoch, first, last;
    char who[16] = "all";
    if (!s->opt.transcript)
        return;
    if (to != CN_TO_ALL)
        snprintf(who, sizeof who, "%u", to > OBSERVER ? to - OBSERVER - 1 : s->set[s->node[from].set].member[to]);
    tell_proposal(s, from, who, bytes, n);
    if (cn_vote_read(bytes, n, &v))
        tell(s, from, "> %s  %s, epoch %llu view %llu%s%.8s", who, vote_name(v.kind), (unsigned long long)v.epoch,
             (unsigned long long)v.view, v.kind == CN_NULLIFY ? "" : ": ",
             v.kind == CN_NULLIFY ? "" : cn_digest_hex(&v.block).s);
    else if (cn_certificate_message_read(bytes, n, &cert))
        tell(s, from, "> %s  %s by %x, epoch %llu view %llu%s%.8s", who, certificate_name(cert.kind),
             (unsigned)(cert.bitmap[0] | cert.bitmap[1] << 8), (unsigned long long)cert.epoch,
             (unsigned long long)cert.view, cert.kind == CN_NULLIFY ? "" : ": ",
             cert.kind == CN_NULLIFY ? "" : cn_digest_hex(&cert.block).s);
    else if (cn_cert_request_read(bytes, n, &epoch, &first, &last))
        tell(s, from, "> %s  asks for the certificates of epoch %llu views %llu to %llu", who,
             (unsigned long long)epoch, (unsigned long long)first, (unsigned long long)last);
}

static const char *fault_name(uint64_t kind)
{
    static const char *const names[] = {"honest",
                                        "silent",
                                        "equivocates",
                                        "votes for everything",
                                        "sends garbage",
                                        "lies about final blocks",
                                        "forks the chain",
                                        "says again what it heard",
                                        "forges certificates"};
    return names[kind < FAULT_KINDS ? kind : 0];
}

static void print_submit(const plan_item *item, const plan *p)
{
    static const char *const changes[] = {"", ", which lets join node ", ", which lets leave node ",
                                          ", which gives a new key to node "};
    const set_change *c = &p->change[item->value];
    printf("%6llu  node %u takes statement %llu%s", (unsigned long long)item->at, item->node,
           (unsigned long long)item->value, changes[c->kind]);
    if (c->kind != CHANGE_NONE)
        printf("%u", c->host);
    putchar('\n');
}

void print_item(const plan_item *item, const plan *p)
{
    unsigned long long at = item->at, value = item->value;
    switch (item->kind) {
    case E_FAULT:
        printf("always  node %u %s\n", item->node, fault_name(value));
        break;
    case E_LOSS:
        printf("always  %llu in 100 messages are lost\n", value);
        break;
    case E_DUPLICATE:
        printf("always  %llu in 100 messages come twice\n", value);
        break;
    case E_DELAY:
        printf("always  messages take up to %llu ms, and a few five times as long\n", value);
        break;
    case E_SUBMIT:
        print_submit(item, p);
        break;
    case E_CRASH:
        printf("%6llu  node %u crashes for %llu ms\n", at, item->node, value);
        break;
    case E_ROT_LEDGER:
        printf("%6llu  node %u crashes for %llu ms, and a bit of its ledger flips\n", at, item->node, value);
        break;
    case E_ROT_JOURNAL:
        printf("%6llu  node %u crashes for %llu ms, and a bit of its safety table flips\n", at, item->node, value);
        break;
    case E_DISK_FULL:
        printf("%6llu  the disk of node %u is full for %llu ms\n", at, item->node, value);
        break;
    case E_CLOCK:
        printf("%6llu  the clock of node %u is set to %lld ms from the right time\n", at, item->node,
               (long long)item->value);
        break;
    default:
        printf("%6llu  links are cut:", at);
        for (unsigned from = 0; from < p->hosts; from++)
            for (unsigned to = 0; to < p->hosts; to++)
                if (item->cut[from] >> to & 1 && from != to)
                    printf(" %u>%u", from, to);
        putchar('\n');
        break;
    }
}
