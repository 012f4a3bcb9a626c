/* Starting, finding and stopping the nodes of a local network. */
#include "node/config/config.h"
#include "tools/cli/testnet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&t, NULL);
}

/* Started by us for this node: carnetd --config <its folder>/carnetd.conf. The pid file may be old and its number taken
 * by another program, or by the node of another network. A zombie has no command line. */
static bool is_carnetd(int pid, const testnet_node *node)
{
    char path[64], line[8400], want[8400];
    size_t n = (size_t)snprintf(want, sizeof want, "carnetd%c--config%c%s/carnetd.conf", 0, 0, node->dir);
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    size_t got = fread(line, 1, sizeof line, f);
    fclose(f);
    return got == n + 1 && memcmp(line, want, n + 1) == 0;
}

static int read_pid(const testnet_node *node)
{
    char path[4200];
    int pid = 0;
    snprintf(path, sizeof path, "%s/carnetd.pid", node->dir);
    FILE *f = fopen(path, "re");
    if (f && fscanf(f, "%d", &pid) != 1)
        pid = 0;
    if (f)
        fclose(f);
    return pid > 0 && is_carnetd(pid, node) ? pid : 0;
}

static const char *role_of(const char *name)
{
    static const char *const roles[] = {"exporter", "bank", "carrier", "customs"};
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i], name) == 0)
            return roles[i];
    return "forwarder";
}

cn_status testnet_load(const char *dir, testnet *ret, cn_err *err)
{
    char path[4200], buffer[32];
    memset(ret, 0, sizeof *ret);
    snprintf(path, sizeof path, "%s/" TESTNET_MARK, dir);
    char *whole = access(path, R_OK) == 0 ? realpath(dir, NULL) : NULL; /* the name that running nodes are found by */
    if (whole)
        snprintf(ret->dir, sizeof ret->dir, "%s", whole);
    free(whole);
    if (!ret->dir[0])
        return cn_fail(err, CN_NOT_FOUND, dir, "there is no test network here; run carnet testnet up --dir %s", dir);
    cn_config *config = calloc(1, sizeof *config);
    if (!config)
        return cn_fail(err, CN_NO_MEMORY, dir, "out of memory");
    cn_status st = CN_OK;
    for (unsigned i = 0; i < TESTNET_MAX && st == CN_OK; i++) {
        testnet_node *node = &ret->node[i];
        snprintf(node->name, sizeof node->name, "%s", testnet_name(i, buffer));
        snprintf(node->dir, sizeof node->dir, "%.4000s/%s", ret->dir, node->name);
        snprintf(path, sizeof path, "%s/carnetd.conf", node->dir);
        if (access(path, R_OK) != 0)
            break;
        st = cn_config_load(path, 0, NULL, config, err);
        if (st != CN_OK)
            break;
        snprintf(node->api, sizeof node->api, "http://%.50s", config->api_listen);
        snprintf(node->peer, sizeof node->peer, "%.60s", config->peer_listen);
        node->role = role_of(node->name);
        node->pid = read_pid(node);
        ret->count = i + 1;
    }
    free(config);
    if (st == CN_OK && ret->count == 0)
        st = cn_fail(err, CN_CORRUPT, dir, "the network has no nodes; run carnet testnet reset and start again");
    return st;
}

cn_status testnet_beside(const char *relative, char *out, size_t cap, cn_err *err)
{
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return cn_fail(err, CN_IO, relative, "cannot find this program's folder");
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    int len = snprintf(out, cap, "%.*s/%s", slash ? (int)(slash - self) : 0, self, relative);
    return len > 0 && (size_t)len < cap ? CN_OK : cn_fail(err, CN_TOO_LARGE, relative, "the path is too long");
}

/* carnetd lies beside carnet. */
static cn_status find_daemon(char *out, size_t cap, cn_err *err)
{
    cn_status st = testnet_beside("carnetd", out, cap, err);
    if (st != CN_OK)
        return st;
    return access(out, X_OK) == 0 ? CN_OK : cn_fail(err, CN_NOT_FOUND, out, "carnetd must lie beside carnet; build it");
}

static void run_daemon(const char *program, const testnet_node *node)
{
    char path[4200];
    setsid();
    snprintf(path, sizeof path, "%s/carnetd.log", node->dir);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600), null = open("/dev/null", O_RDONLY);
    if (log < 0 || null < 0)
        _exit(127);
    dup2(null, 0);
    dup2(log, 1);
    dup2(log, 2);
    for (int fd = 3; fd < 256; fd++)
        close(fd);
    snprintf(path, sizeof path, "%s/carnetd.conf", node->dir);
    execl(program, "carnetd", "--config", path, (char *)NULL);
    _exit(127);
}

static void last_log_line(const testnet_node *node, char *out, size_t cap)
{
    char path[4200], line[1024];
    snprintf(path, sizeof path, "%s/carnetd.log", node->dir);
    FILE *f = fopen(path, "re");
    out[0] = '\0';
    while (f && fgets(line, sizeof line, f))
        snprintf(out, cap, "%.*s", (int)strcspn(line, "\n"), line);
    if (f)
        fclose(f);
}

bool testnet_wait_ready(const testnet_node *node, unsigned ms)
{
    for (unsigned waited = 0; waited < ms; waited += 50) {
        cli_answer a;
        if (cli_http(node->api, "/livez", NULL, NULL, 0, 2, &a, NULL) == CN_OK) {
            bool ok = a.status == 200;
            cli_answer_free(&a);
            if (ok)
                return true;
        }
        if (waited > 300 && !is_carnetd(node->pid, node))
            return false;
        sleep_ms(50);
    }
    return false;
}

cn_status testnet_start(testnet_node *node, cn_err *err)
{
    char program[4200], path[4200], text[32], why[256];
    if (node->pid)
        return CN_OK;
    cn_status st = find_daemon(program, sizeof program, err);
    if (st != CN_OK)
        return st;
    pid_t pid = fork();
    if (pid < 0)
        return cn_fail(err, CN_IO, node->name, "cannot fork: %s", strerror(errno));
    if (pid == 0)
        run_daemon(program, node);
    node->pid = pid;
    snprintf(path, sizeof path, "%s/carnetd.pid", node->dir);
    int n = snprintf(text, sizeof text, "%d\n", (int)pid);
    st = cli_write_file(path, text, (size_t)n, 0644, err);
    sleep_ms(30);
    if (st == CN_OK && (waitpid(pid, NULL, WNOHANG) == pid || !testnet_wait_ready(node, 20000))) {
        waitpid(pid, NULL, WNOHANG);
        last_log_line(node, why, sizeof why);
        node->pid = is_carnetd(pid, node) ? pid : 0;
        st = cn_fail(err, CN_IO, node->name, "did not start: %s", why[0] ? why : "see carnetd.log in its folder");
    }
    return st;
}

cn_status testnet_stop(testnet_node *node, bool hard, cn_err *err)
{
    char path[4200];
    if (!node->pid)
        return CN_OK;
    kill(node->pid, hard ? SIGKILL : SIGTERM);
    for (int i = 0; i < 300 && is_carnetd(node->pid, node); i++) {
        waitpid(node->pid, NULL, WNOHANG);
        sleep_ms(50);
    }
    if (is_carnetd(node->pid, node))
        return cn_fail(err, CN_TIMEOUT, node->name,
                       "process %d did not stop within 15 s; carnet testnet kill %s ends it", node->pid, node->name);
    node->pid = 0;
    snprintf(path, sizeof path, "%s/carnetd.pid", node->dir);
    unlink(path);
    return CN_OK;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

cn_status testnet_remove(const testnet *net, cn_err *err)
{
    char path[4200];
    static const char *const own[] = {"genesis.json", TESTNET_MARK};
    for (unsigned i = 0; i < net->count; i++)
        if (nftw(net->node[i].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
            return cn_fail(err, CN_IO, net->node[i].dir, "cannot be removed: %s", strerror(errno));
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", net->dir, own[i]);
        unlink(path);
    }
    rmdir(net->dir); /* stays when it holds something that is not ours */
    return CN_OK;
}
