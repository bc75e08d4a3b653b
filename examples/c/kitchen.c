/* kitchen.c - orders and meals over channels, and a guest who will not wait for ever. */
#include <ctrio.h>
#include <stdio.h>
#include <string.h>

struct hatch { /* between the guest and the kitchen */
    struct ctrio_send_channel *order, *serve;
    struct ctrio_receive_channel *orders, *meals;
};

static int kitchen(void *arg)
{
    struct hatch *hatch = arg;
    const char *dish;
    int rc;
    while ((rc = ctrio_receive(hatch->orders, &dish)) == 0) {
        if (strcmp(dish, "pudding") == 0)
            rc = ctrio_sleep(INFINITY); /* it does not set */
        if (rc == 0)
            rc = ctrio_send(hatch->serve, &dish);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int eat(struct hatch *hatch, const char *dish)
{
    int rc = ctrio_send(hatch->order, &dish);
    if (rc == 0)
        rc = ctrio_receive(hatch->meals, &dish);
    if (rc == 0)
        printf("here comes the %s\n", dish);
    return rc;
}

static int dine(void *arg)
{
    struct ctrio_nursery nursery;
    struct ctrio_cancel_scope patience;
    ctrio_nursery_open(&nursery);
    ctrio_start_soon(&nursery, kitchen, arg);
    int rc = eat(arg, "soup");
    if (rc == 0)
        rc = eat(arg, "bread");
    if (rc == 0) {
        ctrio_move_on_after(&patience, 0.1);
        rc = ctrio_cancel_scope_close(&patience, eat(arg, "pudding"));
        if (ctrio_cancelled_caught(&patience))
            printf("no pudding today\n");
    }
    ctrio_cancel(&nursery.scope); /* or we would wait for the kitchen here */
    return ctrio_nursery_close(&nursery, rc);
}

static int restaurant(void *arg)
{
    struct hatch hatch = {.order = NULL};
    (void)arg;
    int rc = ctrio_open_memory_channel(&hatch.order, &hatch.orders, sizeof(char *), 0, NULL);
    if (rc == 0)
        rc = ctrio_open_memory_channel(&hatch.serve, &hatch.meals, sizeof(char *), 0, NULL);
    if (rc == 0)
        rc = dine(&hatch);
    ctrio_send_channel_close(hatch.order);
    ctrio_send_channel_close(hatch.serve);
    ctrio_receive_channel_close(hatch.orders);
    ctrio_receive_channel_close(hatch.meals);
    return rc;
}

int main(void)
{
    return ctrio_exit_status(ctrio_run(restaurant, NULL, NULL), "kitchen");
}
