/* hello.c - a kitchen, and a guest who will not wait for ever. */
#include <ctrio.h>
#include <stdio.h>

struct dish {
    const char *name;
    double seconds;
};

static int cook(void *arg)
{
    const struct dish *dish = arg;
    int rc = ctrio_sleep(dish->seconds);
    if (rc == 0)
        printf("here comes the %s\n", dish->name);
    return rc;
}

static int dine(void *arg)
{
    struct dish dishes[] = {{"bread", 0.05}, {"soup", 0.01}, {"pudding", INFINITY}};
    struct ctrio_cancel_scope patience;
    struct ctrio_nursery kitchen;
    (void)arg;
    ctrio_move_on_after(&patience, 0.2);
    ctrio_nursery_open(&kitchen);
    for (int i = 0; i < 3; i++)
        ctrio_start_soon(&kitchen, cook, &dishes[i]);
    int rc = ctrio_nursery_close(&kitchen, 0); /* waits for all three, if it takes for ever */
    rc = ctrio_cancel_scope_close(&patience, rc);
    if (ctrio_cancelled_caught(&patience))
        printf("no pudding today\n");
    return rc;
}

int main(void)
{
    return ctrio_exit_status(ctrio_run(dine, NULL, NULL), "hello");
}
