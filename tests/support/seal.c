/* seal.c - a filter of system calls (seccomp's, in the BPF of 1993).
 *
 * Memory is what malloc and the sanitizers' run-time need; futexes too, since an allocator may
 * lock.  Everything else ends the process with SIGSYS. */
#include "seal.h"
#include "tap.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef CTRIO_VALGRIND
#include <valgrind/valgrind.h>
#endif

/* Goes on to the next line unless it is this call. */
#define ALLOW(call)                                                                                \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1),                                         \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

bool seal_on_valgrind(void)
{
#ifdef CTRIO_VALGRIND
    return RUNNING_ON_VALGRIND != 0;
#else
    return false;
#endif
}

bool seal_process(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(brk),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(mprotect),
        ALLOW(madvise),
        ALLOW(futex),
        ALLOW(sigaltstack), /* the address sanitizer looks at it before it lets a process exit */
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    if (seal_on_valgrind()) /* its own calls would be caught */
        return false;
    const struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return false;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

int child_came_to(int (*fn)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0)
        _exit(fn());
    ok(child > 0);
    is(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool seal_was_possible(int status)
{
    if (status == SEAL_IMPOSSIBLE)
        skip("the system cannot filter calls");
    return status != SEAL_IMPOSSIBLE;
}
