/* audit.h - what a run has left behind: tasks, descriptors, bytes.
 *
 * Tasks are counted inside the run: what lives when its main function ends, beside what lived when
 * it began.  Descriptors and bytes are counted around the run; bytes are those of ctrio's own
 * allocator, which worker threads use as well. */
#ifndef EXAMPLES_AUDIT_H
#define EXAMPLES_AUDIT_H
#include <ctrio.h>
#include <ctrio/lowlevel.h>
#include <dirent.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

struct audit {
    bool wanted;
    atomic_size_t bytes; /* given out and not yet back */
    size_t descriptors, tasks;
};

union audit_block { /* in front of each piece of memory: how large it is */
    size_t size;
    max_align_t as_aligned_as_malloc_does;
};

static inline void *audit_realloc(void *context, void *old, size_t size)
{
    struct audit *audit = context;
    union audit_block *block = old != NULL ? (union audit_block *)old - 1 : NULL;
    size_t before = block != NULL ? block->size : 0;
    if (size == 0) {
        free(block);
        atomic_fetch_sub(&audit->bytes, before);
        return NULL;
    }
    block = size < SIZE_MAX - sizeof *block ? realloc(block, sizeof *block + size) : NULL;
    if (block == NULL)
        return NULL;
    block->size = size;
    atomic_fetch_add(&audit->bytes, size - before); /* modulo 2^n: it may shrink */
    return block + 1;
}

static inline size_t audit_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static inline size_t audit_tasks(void)
{
    struct ctrio_run_statistics statistics;
    ctrio_get_run_statistics(&statistics);
    return statistics.tasks_living;
}

/* Before the run, and before anything else of ctrio. */
static inline int audit_begin(struct audit *audit)
{
    audit->wanted = true;
    audit->descriptors = audit_descriptors();
    return ctrio_set_allocator(&(struct ctrio_allocator){audit_realloc, audit});
}

/* First and last thing in the run's main function. */
static inline void audit_run_begins(struct audit *audit)
{
    audit->tasks = audit_tasks();
}

static inline void audit_run_ends(struct audit *audit)
{
    audit->tasks = audit_tasks() - audit->tasks;
}

/* After ctrio_exit_status(), as stories are memory too.  A thread that has looked up a name may
 * outlive the run by a moment and frees what it has then: it is waited for. */
static inline void audit_end(struct audit *audit)
{
    if (!audit->wanted)
        return;
    for (int i = 0; i < 200 && atomic_load(&audit->bytes) > 0; i++)
        poll(NULL, 0, 5);
    printf("left over: tasks %zu, descriptors %zu, bytes %zu\n", audit->tasks,
           audit_descriptors() - audit->descriptors, atomic_load(&audit->bytes));
}
#endif
