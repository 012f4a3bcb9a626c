#include "storage/guard.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Made beforehand: a handler may hardly do anything. */
static char message[4608];
static size_t message_len;
static int status;

void cn_store_guard_end(void)
{
    if (message_len == 0)
        return;
    (void)!write(STDERR_FILENO, message, message_len);
    _exit(status);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code == BUS_ADRERR) /* an address in a mapped file that the file does not have */
        cn_store_guard_end();
    signal(number, SIG_DFL);
    raise(number);
}

void cn_store_guard(const char *prefix, const char *dir, int exit_status)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    snprintf(message, sizeof message,
             "%s: %.4096s: a page of the database makes no sense or leads behind the end of its file: data.mdb is "
             "damaged or cut short; "
             "keep it, see carnet fsck, and fetch the ledger again from the other nodes into an empty folder\n",
             prefix, dir);
    message_len = strlen(message);
    status = exit_status;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
}
