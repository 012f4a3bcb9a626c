/* Deadlines of connections: what is over is shut down, and nothing else. */
#include "node/api/deadline.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct pair {
    int ours, theirs;
} pair;

static pair connected(void)
{
    int fd[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    return (pair){fd[0], fd[1]};
}

static void part(pair p)
{
    close(p.ours);
    close(p.theirs);
}

static bool ended(pair p, int patience_ms)
{
    struct pollfd one = {.fd = p.theirs, .events = POLLIN};
    char byte;
    return poll(&one, 1, patience_ms) == 1 && read(p.theirs, &byte, 1) == 0;
}

Test(deadline, shuts_down_what_is_over_and_nothing_else)
{
    cn_deadlines *d = cn_deadlines_start();
    cr_assert_not_null(d);
    pair late = connected(), patient = connected(), free_of_it = connected(), gone = connected(),
         extended = connected();
    cn_deadline *a = cn_deadline_enter(d, late.ours), *b = cn_deadline_enter(d, patient.ours);
    cn_deadline *c = cn_deadline_enter(d, free_of_it.ours), *e = cn_deadline_enter(d, gone.ours);
    cn_deadline *f = cn_deadline_enter(d, extended.ours);
    cn_deadline_set(b, 3600000);
    cn_deadline_set(c, 3600000);
    cn_deadline_set(c, 0);
    cn_deadline_extend(c, 1); /* there is nothing to extend */
    cn_deadline_set(e, 3600000);
    cn_deadline_leave(e); /* from the middle of the list */
    cn_deadline_set(f, 2000);
    cn_deadline_extend(f, 3600000);
    cn_deadline_set(a, 20); /* sooner than what the thread waits for */
    cr_expect(ended(late, 20000), "an overdue connection is open");
    cn_deadline_set(a, 20); /* again, for a socket that is shut already */
    cr_expect_not(ended(patient, 0), "a connection is shut before its deadline");
    cr_expect_not(ended(free_of_it, 0), "a connection without a deadline is shut");
    cr_expect_not(ended(gone, 0), "a connection that left is shut");
    cr_expect_not(ended(extended, 3000), "more time was given, and it had no effect");
    cn_deadline_set(b, 1);
    cr_expect(ended(patient, 20000), "a deadline that is brought forward is not kept");
    cn_deadline_leave(a);
    cn_deadline_leave(b);
    cn_deadline_leave(c);
    cn_deadline_leave(f);
    cn_deadlines_stop(d);
    part(late);
    part(patient);
    part(free_of_it);
    part(gone);
    part(extended);
}

Test(deadline, takes_nobody_as_having_all_the_time)
{
    cn_deadline_set(NULL, 1);
    cn_deadline_extend(NULL, 1);
    cn_deadline_leave(NULL);
}
