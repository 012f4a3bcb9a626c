/* Configuration: precedence, and errors that name file, line and key. */
#include "node/config/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];
static cn_config config;

static void write_bytes(const char *text, size_t n)
{
    snprintf(path, sizeof path, "/tmp/carnet-config-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, n) == (ssize_t)n);
    close(fd);
}

static void write_file(const char *text)
{
    write_bytes(text, strlen(text));
}

static void clean(void)
{
    unlink(path);
}

TestSuite(config, .fini = clean);

Test(config, flags_beat_the_environment_which_beats_the_file)
{
    cn_err err = {0};
    char flag[] = "--workers", value[] = "5", *argv[] = {flag, value};
    write_file("node.name = customs\nworkers = 3\n[mempool]\nbytes = 2000000\n");
    cr_assert_eq(cn_config_load(path, 0, NULL, &config, &err), CN_OK, "%s", err.text);
    cr_expect_eq(config.workers, 3u);
    cr_expect_eq(config.mempool_bytes, 2000000u);
    cr_expect_str_eq(config.name, "customs");
    cr_expect_eq(config.data_dir[0], '/');
    setenv("CARNET_WORKERS", "4", 1);
    cr_assert_eq(cn_config_load(path, 0, NULL, &config, &err), CN_OK);
    cr_expect_eq(config.workers, 4u);
    cr_assert_eq(cn_config_load(path, 2, argv, &config, &err), CN_OK);
    cr_expect_eq(config.workers, 5u);
    unsetenv("CARNET_WORKERS");
}

static void expect_refused(const char *text, const char *in_field, const char *in_text)
{
    cn_err err = {0};
    write_file(text);
    cr_expect_neq(cn_config_load(path, 0, NULL, &config, &err), CN_OK, "%s", text);
    cr_expect_not_null(strstr(err.field, in_field), "%s: %s", err.field, err.text);
    cr_expect_not_null(strstr(err.text, in_text), "%s", err.text);
    unlink(path);
}

Test(config, what_is_wrong_is_named_with_file_line_and_what_is_allowed)
{
    expect_refused("node.name = a\nworker = 3\n", ":2", "allowed: node.name");
    expect_refused("node.name = a\n; comment\nworkers = 0\n", ":3", "from 1 to 64");
    expect_refused("node.name = a\nworkers = 2\nworkers = 2\n", ":3", "twice");
    expect_refused("node.name = a\nworkers = two\n", ":2", "whole number");
    expect_refused("workers = 2\n", "", "node.name is missing");
    expect_refused("node.name = a\nnot a line\n", ":2", "key = value");
    expect_refused("node.name = a\ndata.dir =\n", ":2", "default, data");
}

/* 63 addresses, as in the largest network: about 3 KiB in one line. */
Test(config, a_line_may_hold_the_addresses_of_a_large_network)
{
    cn_err err = {0};
    static char text[32768];
    size_t n = (size_t)snprintf(text, sizeof text, "node.name = a\npeer.addresses = ");
    for (unsigned i = 0; i < 63; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%sa-member-of-a-large-network-%u=10.11.12.13:%u",
                              i ? "," : "", i, 10000 + i);
    snprintf(text + n, sizeof text - n, "\nworkers = 7\n");
    write_file(text);
    cr_assert_eq(cn_config_load(path, 0, NULL, &config, &err), CN_OK, "%s: %s", err.field, err.text);
    cr_expect_eq(config.workers, 7u);
    memset(text, 'x', sizeof text);
    memcpy(text, "node.name = a\n;", 15);
    text[sizeof text - 1] = '\0';
    unlink(path);
    expect_refused(text, ":2", "longer than");
}

/* Nothing after it may be dropped unseen. */
Test(config, a_nul_byte_is_refused_with_its_line)
{
    static const char text[] = "node.name = a\ndata.dir = \0/var/lib/carnet\n";
    cn_err err = {0};
    write_bytes(text, sizeof text - 1);
    cr_expect_eq(cn_config_load(path, 0, NULL, &config, &err), CN_INVALID);
    cr_expect(strstr(err.field, ":2") && strstr(err.text, "NUL"), "%s: %s", err.field, err.text);
}

Test(config, a_secret_that_others_may_read_is_refused)
{
    cn_err err = {0};
    char buffer[64];
    size_t n = 0;
    write_file("secret");
    chmod(path, 0644);
    cr_expect_eq(cn_config_read_secret(path, buffer, sizeof buffer, &n, &err), CN_DENIED);
    cr_expect_not_null(strstr(err.text, "chmod 600"));
    chmod(path, 0600);
    cr_expect_eq(cn_config_read_secret(path, buffer, sizeof buffer, &n, &err), CN_OK);
    cr_expect_eq(n, 6u);
}
