/* carnet verify */
#include "tools/verify/verify.h"
#include "node/formats/report.h"
#include "tools/cli/cli.h"
#include "tools/verify/documents.h"
#include "tools/verify/json.h"

#include "proto/limits.h"
#include "proto/policy.h"
#include "proto/timestamp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define DOSSIER_MAX ((size_t)1 << 30)

static const char *const verdicts[] = {"ok", "failed", "not-checked"};

/* What a file of unknown origin says is printed, not obeyed by the terminal. */
static const char *plain(char *text)
{
    cn_verify_plain(text);
    return text;
}

static void print_report(cn_verify_report *r)
{
    char when[32] = "";
    time_t seconds = (time_t)(r->checkpoint_time_ms / 1000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    for (int i = 0; i < CN_STEP_COUNT; i++) {
        cn_verify_result *s = &r->step[i];
        printf("  %-17s %-11s %s", cn_verify_step_name((cn_verify_step)i), verdicts[s->verdict],
               s->verdict == CN_VERDICT_OK ? cn_verify_step_text((cn_verify_step)i) : plain(s->err.text));
        if (s->verdict == CN_VERDICT_FAILED)
            printf(" (%s%s)", plain(s->err.field), s->faults > 1 ? ", and more" : "");
        printf("\n");
    }
    plain(r->subject);
    if (!r->accepted)
        printf("NOT verified\n");
    else if (r->absent)
        printf("verified: nothing is recorded about %s up to height %llu (%s)\n", r->subject,
               (unsigned long long)r->checkpoint_height, when);
    else if (r->subject_statements)
        printf("verified: %s, %llu statements with %llu items, complete up to height %llu (%s)\n", r->subject,
               (unsigned long long)r->subject_statements, (unsigned long long)r->items,
               (unsigned long long)r->checkpoint_height, when);
    else
        printf(
            "verified: statement %s as of height %llu (%s), by %llu statements with %llu items; what else is recorded "
            "about its subjects is not in it\n",
            r->subject, (unsigned long long)r->checkpoint_height, when, (unsigned long long)r->statements,
            (unsigned long long)r->items);
    if (r->accepted && r->witnessed_ms) {
        seconds = (time_t)(r->witnessed_ms / 1000);
        if (gmtime_r(&seconds, &tm))
            strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        printf("all of it existed at %s, says the time authority %s\n", when, plain(r->time_authority));
    }
    if (r->accepted && r->erased_items)
        printf("%llu items were erased by order of the member that signed them\n", (unsigned long long)r->erased_items);
    for (size_t i = 0; r->accepted && i < r->erasures; i++)
        printf("  statement %s erases items %u to %u of %s; %zu members attest that it is done\n",
               cn_digest_hex(&r->erasure[i].order).s, r->erasure[i].first_item,
               r->erasure[i].first_item + r->erasure[i].item_count - 1, cn_digest_hex(&r->erasure[i].batch).s,
               r->erasure[i].attested);
    if (r->accepted && r->redacted_items)
        printf("%llu items are left out of this dossier, as its manifest names them\n",
               (unsigned long long)r->redacted_items);
    if (r->has_page)
        printf("verify.html in it has SHA-256 %s; open it only if that is the digest your source publishes\n",
               cn_digest_hex(&r->page).s);
    if (r->accepted && r->unreadable_items)
        printf("%llu items are sealed or of a format without a reader here; what they name was not checked\n",
               (unsigned long long)r->unreadable_items);
}

static cn_status write_document(void *ctx, const cn_digest *sha256, const void *p, size_t n)
{
    char path[4200];
    cn_err err = {0};
    snprintf(path, sizeof path, "%.4000s/%s.json", (const char *)ctx, cn_digest_hex(sha256).s);
    cn_status st = cli_write_file(path, p, n, 0644, &err);
    return st == CN_OK ? st : (cli_complain(EXIT_USE, &err), st);
}

/* The documents of a dossier that was accepted, named by their SHA-256. */
static int write_documents(const cn_buf *zip, const char *dir)
{
    cn_documents_count count = {0};
    cn_err err = {0};
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return cli_say(EXIT_USE, "%s: cannot be made: %s", dir, strerror(errno));
    if (cn_dossier_documents(zip->p, zip->n, write_document, (void *)(uintptr_t)dir, &count, &err) != CN_OK)
        return cli_complain(EXIT_USE, &err);
    fprintf(stderr, "%zu documents in %s%s\n", count.whole, dir,
            count.partial ? "; others are here in part only: audit urn:carnet:document:<digest> for the whole" : "");
    return EXIT_GOOD;
}

static int write_report(const cn_buf *zip, const char *path)
{
    cn_dossier *d = calloc(1, sizeof *d);
    cn_buf page;
    cn_err err = {0};
    cn_buf_init(&page, CN_REPORT_MAX_BYTES);
    cn_status st =
        d ? cn_dossier_read(zip->p, zip->n, d, &err) : cn_fail(&err, CN_NO_MEMORY, "report", "out of memory");
    if (st == CN_OK) {
        st = cn_report_render(d, &page, &err);
        cn_dossier_clear(d);
    }
    if (st == CN_OK)
        st = cli_write_file(path, page.p, page.n, 0644, &err);
    cn_buf_free(&page);
    free(d);
    return st == CN_OK ? EXIT_GOOD : cli_complain(EXIT_USE, &err);
}

/* ---- what else is asked for ---- */

#define ANCHORS_MAX 16u

typedef struct wanted {
    cn_verify_options options;
    cn_verify_anchor anchor[ANCHORS_MAX];
    cn_buf tsa_ca, policy, note;
} wanted;

/* HEIGHT:DIGEST[,HEIGHT:DIGEST...] */
static bool read_anchors(const char *text, wanted *w)
{
    while (text && *text) {
        char *end;
        cn_verify_anchor *a = &w->anchor[w->options.anchor_count];
        if (w->options.anchor_count == ANCHORS_MAX || *text < '0' || *text > '9')
            return false;
        errno = 0;
        a->height = strtoull(text, &end, 10);
        if (errno != 0 || *end != ':' || strlen(end + 1) < 64 || !cn_unhex(end + 1, 64, a->block.b, CN_DIGEST_LEN))
            return false;
        text = end + 65;
        if (*text && *text++ != ',')
            return false;
        w->options.anchor_count++;
    }
    w->options.anchor = w->anchor;
    return true;
}

static int read_wanted(const cli_args *args, wanted *w)
{
    const char *number = cli_value(args, "--signatures");
    if (number) {
        char *end;
        unsigned long n = strtoul(number, &end, 10);
        if (*number < '0' || *number > '9' || *end || n == 0 || n > CN_MAX_VALIDATORS)
            return cli_say(EXIT_USE, "--signatures must be a number of validators, 1 to %u", CN_MAX_VALIDATORS);
        w->options.signatures = (unsigned)n;
    }
    const char *path = cli_value(args, "--tsa-ca");
    cn_err err = {0};
    if (path && cli_read_file(path, CN_TIMESTAMP_CA_MAX, &w->tsa_ca, &err) != CN_OK)
        return cli_complain(EXIT_USE, &err);
    w->options.tsa_ca = CN_SPAN(w->tsa_ca.p, w->tsa_ca.n);
    if (path && cn_timestamp_authorities(w->options.tsa_ca) == 0)
        return cli_say(EXIT_USE, "--tsa-ca: %s holds no certificate in PEM", path);
    if ((path = cli_value(args, "--policy")) != NULL) {
        cn_policy *parsed = NULL;
        if (cli_read_file(path, CN_POLICY_MAX_BYTES, &w->policy, &err) != CN_OK ||
            cn_policy_parse(w->policy.p, w->policy.n, &parsed, &err) != CN_OK)
            return cli_complain(EXIT_USE, &err);
        cn_policy_free(parsed);
        w->options.policy = CN_SPAN(w->policy.p, w->policy.n);
    }
    if ((path = cli_value(args, "--note")) != NULL) {
        if (cli_read_file(path, CN_MAX_NOTE_BYTES, &w->note, &err) != CN_OK)
            return cli_complain(EXIT_USE, &err);
        w->options.note = CN_SPAN(w->note.p, w->note.n);
    }
    if (!read_anchors(cli_value(args, "--anchor"), w))
        return cli_say(EXIT_USE, "--anchor must be HEIGHT:DIGEST of a final block, several with commas between");
    return EXIT_GOOD;
}

int cmd_verify(int argc, char **argv)
{
    cli_option options[] = {
        {"--genesis", false, true, "genesis digest of the network, 64 hexadecimal digits", NULL},
        {"--signatures", false, false, "receipts of this many validators must be there", NULL},
        {"--anchor", false, false, "HEIGHT:DIGEST[,...] of blocks that you know from elsewhere", NULL},
        {"--policy", false, false, "C2SP tlog-policy file that the checkpoint must satisfy", NULL},
        {"--note", false, false, "signed note of the same checkpoint with cosignatures of witnesses (carnet witness)",
         NULL},
        {"--tsa-ca", false, false, "PEM file of the time authorities that you trust", NULL},
        {"--report", false, false, "file for the readable report, made from what was verified", NULL},
        {"--documents", false, false, "folder for the documents in it, byte for byte", NULL},
        {"--json", true, false, "print JSON", NULL},
        {0}};
    cli_args args;
    int status;
    cn_digest network;
    cn_buf zip;
    cn_err err = {0};
    static cn_verify_report report;
    static wanted policy;
    if (!cli_parse(argc, argv, "verify --genesis DIGEST FILE.zip", options, &args, &status))
        return status;
    const char *hex = cli_value(&args, "--genesis");
    if (!cn_unhex(hex, strlen(hex), network.b, CN_DIGEST_LEN))
        return cli_say(EXIT_USE, "--genesis must be 64 lower-case hexadecimal digits");
    if (args.count != 1)
        return cli_say(EXIT_USE, "verify needs one file");
    if ((status = read_wanted(&args, &policy)) != EXIT_GOOD)
        return status;
    if (cli_read_file(args.positional[0], DOSSIER_MAX, &zip, &err) != CN_OK)
        return cli_complain(EXIT_USE, &err);
    cn_status st = cn_verify_dossier(zip.p, zip.n, &network, &policy.options, &report);
    if (cli_flag(&args, "--json"))
        cli_print_json(cn_verify_report_json(&report));
    else
        print_report(&report);
    status = st == CN_OK ? EXIT_GOOD : EXIT_NO;
    if (st == CN_OK && cli_value(&args, "--documents"))
        status = write_documents(&zip, cli_value(&args, "--documents"));
    if (status == EXIT_GOOD && cli_value(&args, "--report"))
        status = write_report(&zip, cli_value(&args, "--report"));
    cn_buf_free(&zip);
    cn_buf_free(&policy.tsa_ca);
    cn_buf_free(&policy.policy);
    cn_buf_free(&policy.note);
    return status;
}
