/* The container: what is not in its one accepted form is refused, and nothing is changed unseen. */
#include "mini.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#define FIXED_TIME 315532800

static mini m;
static cn_buf packed;

static void begin(void)
{
    mini_begin(&m);
    mini_signer device = mini_device(&m, &m.capture[0], 101);
    mini_document(&m, &device,
                  "{\"@context\":[\"https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld\"],"
                  "\"type\":\"ObjectEvent\",\"eventTime\":\"2026-05-01T08:00:00.000Z\","
                  "\"eventTimeZoneOffset\":\"+03:00\",\"action\":\"OBSERVE\",\"epcList\":[\"urn:carnet:ucr:4KE5-A\"]}");
    mini_parts *p = mini_parts_of(&m, "urn:carnet:ucr:4KE5-A");
    mini_pack(p, &packed);
    mini_parts_free(p);
}

static void end(void)
{
    cn_buf_free(&packed);
    mini_end(&m);
}

TestSuite(dossier, .init = begin, .fini = end);

/* ---- any ZIP ---- */

typedef struct member {
    char name[128];
    cn_buf content;
} member;

typedef struct archive {
    member member[32];
    size_t count;
} archive;

static archive *unzip(const cn_buf *bytes)
{
    archive *a = calloc(1, sizeof *a);
    zip_source_t *source = zip_source_buffer_create(bytes->p, bytes->n, 0, NULL);
    zip_t *zip = zip_open_from_source(source, ZIP_RDONLY, NULL);
    cr_assert(a && zip);
    a->count = (size_t)zip_get_num_entries(zip, 0);
    cr_assert_leq(a->count, (size_t)32);
    for (size_t i = 0; i < a->count; i++) {
        uint8_t chunk[4096];
        zip_int64_t n;
        snprintf(a->member[i].name, sizeof a->member[i].name, "%s", zip_get_name(zip, i, 0));
        cn_buf_init(&a->member[i].content, 1u << 24);
        zip_file_t *f = zip_fopen_index(zip, i, 0);
        while ((n = zip_fread(f, chunk, sizeof chunk)) > 0)
            cn_put_bytes(&a->member[i].content, chunk, (size_t)n);
        zip_fclose(f);
    }
    zip_discard(zip);
    return a;
}

static void archive_free(archive *a)
{
    for (size_t i = 0; i < a->count; i++)
        cn_buf_free(&a->member[i].content);
    free(a);
}

static void rezip(const archive *a, cn_buf *out)
{
    uint8_t chunk[4096];
    zip_int64_t n;
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, NULL);
    zip_t *zip = zip_open_from_source(source, ZIP_CREATE | ZIP_TRUNCATE, NULL);
    cr_assert_not_null(zip);
    zip_source_keep(source);
    for (size_t i = 0; i < a->count; i++) {
        zip_source_t *content = zip_source_buffer(zip, a->member[i].content.p, a->member[i].content.n, 0);
        zip_int64_t at = zip_file_add(zip, a->member[i].name, content, 0);
        cr_assert_geq(at, 0);
        zip_file_set_mtime(zip, (zip_uint64_t)at, FIXED_TIME, 0);
    }
    cr_assert_eq(zip_close(zip), 0);
    cn_buf_init(out, 1u << 26);
    cr_assert_eq(zip_source_open(source), 0);
    while ((n = zip_source_read(source, chunk, sizeof chunk)) > 0)
        cn_put_bytes(out, chunk, (size_t)n);
    zip_source_close(source);
    zip_source_free(source);
}

static member *find(archive *a, const char *name)
{
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->member[i].name, name) == 0)
            return &a->member[i];
    cr_assert_fail("no %s", name);
    return NULL;
}

static void replace(member *f, const char *from, const char *to)
{
    cr_assert_eq(strlen(from), strlen(to));
    char *at = memmem(f->content.p, f->content.n, from, strlen(from));
    cr_assert_not_null(at, "%s", from);
    memcpy(at, to, strlen(to));
}

static void expect_refused(const archive *a, const char *where, const char *reason)
{
    cn_buf bytes;
    cn_verify_report report;
    rezip(a, &bytes);
    cr_expect_neq(cn_verify_dossier(bytes.p, bytes.n, &m.genesis.network, NULL, &report), CN_OK);
    const cn_verify_result *r = &report.step[CN_STEP_CONTAINER];
    cr_expect_eq(r->verdict, CN_VERDICT_FAILED);
    cr_expect(strstr(r->err.field, where), "%s is not at %s", r->err.field, where);
    cr_expect(strstr(r->err.text, reason), "\"%s\" does not say \"%s\"", r->err.text, reason);
    for (int i = CN_STEP_GENESIS; i < CN_STEP_COUNT; i++)
        cr_expect_eq(report.step[i].verdict, CN_VERDICT_NOT_CHECKED);
    cn_buf_free(&bytes);
}

static bool accepted(const void *p, size_t n)
{
    static cn_verify_report report;
    return cn_verify_dossier(p, n, &m.genesis.network, NULL, &report) == CN_OK;
}

Test(dossier, a_zip_of_the_same_files_by_another_program_is_accepted)
{
    archive *a = unzip(&packed);
    cn_buf bytes;
    rezip(a, &bytes);
    cr_expect(accepted(bytes.p, bytes.n));
    cn_buf_free(&bytes);
    archive_free(a);
}

/* A bit that carries nothing (the padding behind a deflated file, say) may change; what is read may not. */
Test(dossier, no_bit_changes_what_is_read)
{
    archive *good = unzip(&packed);
    size_t idle = 0;
    for (size_t bit = 0; bit < 8 * packed.n; bit += 1 + bit % 3) {
        packed.p[bit / 8] = (uint8_t)(packed.p[bit / 8] ^ 1u << bit % 8);
        if (accepted(packed.p, packed.n)) {
            archive *now = unzip(&packed);
            idle++;
            cr_expect_eq(now->count, good->count);
            for (size_t i = 0; i < good->count; i++)
                cr_expect(strcmp(now->member[i].name, good->member[i].name) == 0 &&
                              now->member[i].content.n == good->member[i].content.n &&
                              memcmp(now->member[i].content.p, good->member[i].content.p, good->member[i].content.n) ==
                                  0,
                          "bit %zu changes %s unseen", bit, good->member[i].name);
            archive_free(now);
        }
        packed.p[bit / 8] = (uint8_t)(packed.p[bit / 8] ^ 1u << bit % 8);
    }
    cr_expect_lt(idle, packed.n / 4, "%zu bits of %zu carry nothing", idle, 8 * packed.n);
    archive_free(good);
}

Test(dossier, every_shorter_file_is_refused)
{
    for (size_t n = 0; n < packed.n; n += 7) {
        uint8_t *copy = malloc(n + 1); /* exactly n bytes for ASan */
        memcpy(copy, packed.p, n);
        cr_expect_not(accepted(copy, n), "%zu bytes of %zu", n, packed.n);
        free(copy);
    }
}

/* Any byte of any file, with the manifest as it was. */
Test(dossier, a_changed_file_is_named)
{
    archive *a = unzip(&packed);
    for (size_t i = 0; i < a->count; i++) {
        member *f = &a->member[i];
        if (strcmp(f->name, "manifest.json") == 0)
            continue;
        f->content.p[f->content.n / 2] ^= 0x20;
        expect_refused(a, f->name, "the file was changed");
        f->content.p[f->content.n / 2] ^= 0x20;
    }
    archive_free(a);
}

Test(dossier, a_file_more_or_less_is_refused)
{
    archive *a = unzip(&packed);
    member last = a->member[--a->count];
    expect_refused(a, "manifest.json", "it lists");
    a->member[a->count++] = last;
    member *more = &a->member[a->count++];
    snprintf(more->name, sizeof more->name, "subjects/%064d.bin", 0);
    for (size_t i = a->count - 1; i > 0 && strcmp(a->member[i - 1].name, a->member[i].name) > 0; i--) {
        member swap = a->member[i];
        a->member[i] = a->member[i - 1];
        a->member[i - 1] = swap;
    }
    expect_refused(a, "manifest.json", "it lists");
    archive_free(a);
}

/* As many rows as files, but one file stands twice: the other would go unseen. */
Test(dossier, a_manifest_that_names_a_file_twice_is_refused)
{
    archive *a = unzip(&packed);
    member *manifest = find(a, "manifest.json");
    char *first = memmem(manifest->content.p, manifest->content.n, "subjects/", 9);
    char *second =
        memmem(first + 9, manifest->content.n - (size_t)(first + 9 - (char *)manifest->content.p), "subjects/", 9);
    cr_assert(first && second);
    char name[74];
    memcpy(name, second, 73);
    memcpy(second, first, 73);
    name[73] = '\0';
    expect_refused(a, name, "is not listed in the manifest");
    archive_free(a);
}

Test(dossier, names_that_only_look_right_are_refused)
{
    static const char *const names[] = {"statements/-0000000000000000002.bin",
                                        "statements/+0000000000000000002.bin",
                                        "statements/ 0000000000000000002.bin",
                                        "statements/0000000000000000002.bin",
                                        "statements/00000000000000000002.bin ",
                                        "statements/00000000000000000002.BIN",
                                        "statements/../genesis.json",
                                        "../genesis.json",
                                        "readme.txt"};
    archive *a = unzip(&packed);
    member *f = find(a, "statements/00000000000000000002.bin");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(f->name, sizeof f->name, "%s", names[i]);
        expect_refused(a, "zip", "does not belong into a dossier");
    }
    archive_free(a);
}

Test(dossier, a_log_index_beyond_64_bits_is_refused)
{
    archive *a = unzip(&packed);
    member *f = find(a, "statements/00000000000000000003.bin");
    snprintf(f->name, sizeof f->name, "statements/18446744073709551616.bin");
    replace(find(a, "manifest.json"), "00000000000000000003", "18446744073709551616");
    expect_refused(a, "statements/18446744073709551616.bin", "malformed");
    archive_free(a);
}

Test(dossier, files_out_of_order_are_refused)
{
    archive *a = unzip(&packed);
    member swap = a->member[0];
    a->member[0] = a->member[1];
    a->member[1] = swap;
    expect_refused(a, "", "ascending order");
    archive_free(a);
}

Test(dossier, another_format_and_unknown_members_are_refused)
{
    archive *a = unzip(&packed);
    member *manifest = find(a, "manifest.json");
    replace(manifest, "carnet-audit-2", "carnet-audit-3");
    expect_refused(a, "manifest.json", "this verifier reads carnet-audit-1 and carnet-audit-2");
    replace(manifest, "carnet-audit-3", "carnet-audit-2");
    replace(manifest, "\"checkpoint\"", "\"checkpoinu\"");
    expect_refused(a, "manifest.json", "other members");
    replace(manifest, "\"checkpoinu\"", "\"checkpoint\"");
    replace(manifest, "\"sha256\"", "\"sha257\"");
    expect_refused(a, "manifest.json", "a row has other members");
    archive_free(a);
}

/* Format 1 has fewer members and files, and is still read. */
Test(dossier, format_1_is_read_without_what_came_with_format_2)
{
    static const char members[] = " \"legal_basis\": \"\",\n \"case_number\": \"\",\n \"redactions\": [],\n";
    cn_buf bytes;
    archive *a = unzip(&packed);
    member *manifest = find(a, "manifest.json");
    replace(manifest, "carnet-audit-2", "carnet-audit-1");
    expect_refused(a, "manifest.json", "other members");
    uint8_t *at = memmem(manifest->content.p, manifest->content.n, members, sizeof members - 1);
    cr_assert_not_null(at);
    size_t rest = manifest->content.n - (size_t)(at - manifest->content.p) - (sizeof members - 1);
    memmove(at, at + sizeof members - 1, rest);
    manifest->content.n -= sizeof members - 1;
    rezip(a, &bytes);
    cr_expect(accepted(bytes.p, bytes.n));
    snprintf(find(a, "genesis.json")->name, sizeof manifest->name, "README.txt");
    member *moved = find(a, "README.txt"), swap = *moved;
    *moved = a->member[0];
    a->member[0] = swap; /* R comes before the others */
    expect_refused(a, "README.txt", "dossier of version 1");
    cn_buf_free(&bytes);
    archive_free(a);
}

Test(dossier, redactions_that_are_not_there_are_named)
{
    cn_buf bytes;
    static cn_verify_report report;
    archive *a = unzip(&packed);
    member *manifest = find(a, "manifest.json");
    replace(manifest, "\"redactions\": []", "\"redactions\": {}");
    expect_refused(a, "manifest.json", "other members");
    archive_free(a);
    cn_dossier d;
    cr_assert_eq(cn_dossier_read(packed.p, packed.n, &d, NULL), CN_OK);
    cr_expect(d.version == 2 && d.redaction_count == 0 && d.legal_basis[0] == 0 && d.case_number[0] == 0);
    cn_dossier_clear(&d);
    mini_parts *p = mini_parts_of(&m, "urn:carnet:ucr:4KE5-A");
    p->redactions = 1;
    p->redaction[0] = (cn_dossier_redaction){p->statement[0].index, 0};
    snprintf(p->legal_basis, sizeof p->legal_basis, "Regulation (EU) 2020/1056");
    mini_pack(p, &bytes);
    cr_expect_neq(cn_verify_dossier(bytes.p, bytes.n, &m.genesis.network, NULL, &report), CN_OK);
    cr_expect(strstr(report.step[CN_STEP_REDACTIONS].err.text, "is here"));
    cr_assert_eq(cn_dossier_read(bytes.p, bytes.n, &d, NULL), CN_OK);
    cr_expect_str_eq(d.legal_basis, "Regulation (EU) 2020/1056");
    cr_expect_eq(d.redaction_count, (size_t)1);
    cn_dossier_clear(&d);
    cn_buf_free(&bytes);
    mini_parts_free(p);
}

/* What it unpacks to is bounded before memory is taken. */
Test(dossier, a_file_that_claims_another_size_is_refused)
{
    cn_buf bytes;
    archive *a = unzip(&packed);
    rezip(a, &bytes);
    uint8_t *central = memmem(bytes.p, bytes.n, "PK\1\2", 4), *local = bytes.p;
    cr_assert(central && memcmp(local, "PK\3\4", 4) == 0);
    memset(central + 24, 0xfe, 4); /* uncompressed size, in both places */
    memset(local + 22, 0xfe, 4);
    cn_verify_report report;
    cr_expect_neq(cn_verify_dossier(bytes.p, bytes.n, &m.genesis.network, NULL, &report), CN_OK);
    cr_expect(strstr(report.step[CN_STEP_CONTAINER].err.text, "exceed"), "%s", report.step[CN_STEP_CONTAINER].err.text);
    cn_buf_free(&bytes);
    archive_free(a);
}
