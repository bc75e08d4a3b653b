/* Every free-order schedule of three tasks at a channel: nothing lost, nothing doubled. */
#include "walk.h"
#include <stdio.h>

/* Items are numbers: tens say who sent them, ones are counted up. */
static struct ctrio__channel channel;
static struct ctrio__channel_end out, other_out, in, other_in;
static int last_of[2], received, out_of_order, ends_seen, sent, refused;
static unsigned seen; /* a bit for each item */
static int doubled;

static void took(int number)
{
    unsigned bit = 1U << (number / 10 * 4 + number % 10);
    doubled += (seen & bit) != 0;
    seen |= bit;
    received++;
}

static void got(struct script_task *self)
{
    if (self->result.code != 0) {
        ends_seen += self->result.code == CTRIO_END_OF_CHANNEL;
        return;
    }
    int number = (int)(intptr_t)self->result.value;
    int sender = number / 10 - 1;
    took(number);
    out_of_order += number % 10 <= last_of[sender];
    last_of[sender] = number % 10;
}

/* Of one of two receivers: which of them runs first after both were given something is open. */
static void got_a_share(struct script_task *self)
{
    if (self->result.code == 0)
        took((int)(intptr_t)self->result.value);
    else
        ends_seen += self->result.code == CTRIO_END_OF_CHANNEL;
}

static void count_sent(struct script_task *self)
{
    sent += self->result.code == 0;
    refused += self->result.code == CTRIO_BROKEN_RESOURCE;
}

static void fresh_channel(size_t size)
{
    ctrio__channel_init(&channel, sizeof(struct script_item *), size, script_drop_item);
    ctrio__channel_end_init(&out, &channel, CTRIO__SEND_END);
    ctrio__channel_end_init(&in, &channel, CTRIO__RECEIVE_END);
    last_of[0] = last_of[1] = received = out_of_order = ends_seen = sent = refused = doubled = 0;
    seen = 0;
}

static void clone_out(void)
{
    ctrio__channel_end_init(&other_out, &channel, CTRIO__SEND_END);
}

static void clone_in(void)
{
    ctrio__channel_end_init(&other_in, &channel, CTRIO__RECEIVE_END);
}

static bool is_empty(void)
{
    bool empty = channel.count == 0 && channel.senders_count == 0 && channel.receivers_count == 0;
    ctrio__channel_clear(&channel);
    return empty && out_of_order == 0 && doubled == 0;
}

/* What a cancelled receiver did not take, the rest of the channel has. */
static bool take_the_rest(void)
{
    void *item;
    if (ctrio__channel_receive_nowait(&in, &item) != 0)
        return false;
    took((int)((struct script_item *)item)->number);
    script_drop_item(&channel, &item);
    return true;
}

/* For every size of a buffer that is a case of its own: none, full after one, never full. */
static const struct size {
    size_t size;
    const char *name;
} sizes[] = {{0, "0"}, {1, "1"}, {SIZE_MAX, "any size"}};
static size_t size_now;

static void fresh_plain(void)
{
    fresh_channel(size_now);
}

static void fresh_cancelled(void)
{
    fresh_plain();
    world.stuck = take_the_rest;
}

static void fresh_with_senders(void)
{
    fresh_plain();
    clone_out();
}

static void fresh_with_receivers(void)
{
    fresh_plain();
    clone_in();
}

static void walk_sizes(const char *what, const struct script_step *script, void (*fresh)(void),
                       bool (*holds)(void))
{
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char name[64];
        size_now = sizes[i].size;
        snprintf(name, sizeof name, "channel of %s%s", sizes[i].name, what);
        walk(name, script, fresh, holds);
    }
}

static const struct script_step canceller[] = {CHECKPOINT, CHECKPOINT, CANCEL(&walk_scope),
                                               CHECKPOINT, CHECKPOINT, END};
static const struct script_step sends_ones[] = {SEND(&out, 11), CHECKPOINT, SEND(&out, 12),
                                                CHECKPOINT, END};
static const struct script_step sends_twos[] = {CHECKPOINT, SEND(&out, 21), SEND(&out, 22),
                                                CHECKPOINT, END};
static const struct script_step takes_four[] = {LOOP(4), RECEIVE(&in), CALL(got), AGAIN, END};

/* --- one end on each side -------------------------------------------------------------------- */

static bool all_four_came(void)
{
    return is_empty() && received == 4 && world.items_dropped == 0;
}

static void a_channel_delivers_each_item_once_and_in_order(void)
{
    static const struct script_step script[] = WALK_THREE(sends_ones, sends_twos, takes_four);
    walk_sizes("", script, fresh_plain, all_four_came);
}

static bool both_came_or_are_there(void)
{
    while (take_the_rest())
        ;
    return is_empty() && received == 2;
}

static void a_cancelled_receiver_takes_an_item_or_leaves_it(void)
{
    static const struct script_step in_scope[] = {OPEN_SCOPE(&walk_scope),
                                                  RECEIVE(&in),
                                                  CALL(got),
                                                  CHECKPOINT,
                                                  RECEIVE(&in),
                                                  CALL(got),
                                                  CHECKPOINT,
                                                  CLOSE_SCOPE(&walk_scope),
                                                  END};
    static const struct script_step script[] = WALK_THREE(sends_ones, in_scope, canceller);
    walk_sizes(", receiver cancelled", script, fresh_cancelled, both_came_or_are_there);
}

static bool what_was_sent_came(void)
{
    return is_empty() && received == sent && sent + (int)world.items_dropped <= 2;
}

static void a_cancelled_sender_has_sent_what_it_was_told_and_no_more(void)
{
    static const struct script_step in_scope[] = {OPEN_SCOPE(&walk_scope),
                                                  SEND(&out, 11),
                                                  CALL(count_sent),
                                                  CHECKPOINT,
                                                  SEND(&out, 12),
                                                  CALL(count_sent),
                                                  CHECKPOINT,
                                                  CLOSE_SCOPE(&walk_scope),
                                                  CLOSE_END(&out),
                                                  END};
    static const struct script_step takes_all[] = {
        TRY,       RECEIVE(&in), CALL(got),    CHECKPOINT, TRY, RECEIVE(&in),
        CALL(got), TRY,          RECEIVE(&in), CALL(got),  END};
    static const struct script_step script[] = WALK_THREE(in_scope, canceller, takes_all);
    walk_sizes(", sender cancelled", script, fresh_plain, what_was_sent_came);
}

/* --- clones ---------------------------------------------------------------------------------- */

static bool all_three_came_and_then_the_end(void)
{
    return is_empty() && received == 3 && ends_seen == 1 && world.items_dropped == 0;
}

static void the_end_comes_when_the_last_of_the_senders_has_closed(void)
{
    static const struct script_step one[] = {SEND(&out, 11), CHECKPOINT,      CHECKPOINT,
                                             CHECKPOINT,     CLOSE_END(&out), END};
    static const struct script_step other[] = {
        SEND(&other_out, 21), SEND(&other_out, 22), CLOSE_END(&other_out),
        CHECKPOINT,           CHECKPOINT,           END};
    static const struct script_step takes_all[] = {LOOP(4),   TRY,   RECEIVE(&in),
                                                   CALL(got), AGAIN, END};
    static const struct script_step script[] = WALK_THREE(one, other, takes_all);
    walk_sizes(", two senders", script, fresh_with_senders, all_three_came_and_then_the_end);
}

static bool all_four_came_to_one_of_them(void)
{
    return is_empty() && received == 4 && ends_seen == 4 && world.items_dropped == 0;
}

static void each_item_comes_to_one_of_two_receivers(void)
{
    static const struct script_step sends_four[] = {SEND(&out, 11), SEND(&out, 12),  SEND(&out, 13),
                                                    SEND(&out, 14), CLOSE_END(&out), END};
    static const struct script_step one[] = {LOOP(4),           TRY,   RECEIVE(&in),
                                             CALL(got_a_share), AGAIN, END};
    static const struct script_step other[] = {LOOP(4),           TRY,   RECEIVE(&other_in),
                                               CALL(got_a_share), AGAIN, END};
    static const struct script_step script[] = WALK_THREE(sends_four, one, other);
    walk_sizes(", two receivers", script, fresh_with_receivers, all_four_came_to_one_of_them);
}

/* Items in the buffer when the last receiver goes were sent, and go with the channel. */
static bool each_was_received_refused_or_dropped(void)
{
    return is_empty() && sent + refused == 4 && received <= sent &&
           received + (int)world.items_dropped == 4;
}

static void senders_are_told_when_the_last_receiver_has_closed(void)
{
    static const struct script_step one[] = {TRY, SEND(&out, 11), CALL(count_sent), CHECKPOINT,
                                             TRY, SEND(&out, 12), CALL(count_sent), CHECKPOINT,
                                             END};
    static const struct script_step other[] = {CHECKPOINT,       TRY,        SEND(&out, 21),
                                               CALL(count_sent), TRY,        SEND(&out, 22),
                                               CALL(count_sent), CHECKPOINT, END};
    static const struct script_step closes[] = {RECEIVE(&in), CALL(got),  CLOSE_END(&other_in),
                                                CHECKPOINT,   CHECKPOINT, CLOSE_END(&in),
                                                CHECKPOINT,   END};
    static const struct script_step script[] = WALK_THREE(one, other, closes);
    walk_sizes(", receivers close", script, fresh_with_receivers,
               each_was_received_refused_or_dropped);
}

TAP_MAIN(BIG_TEST(a_channel_delivers_each_item_once_and_in_order),
         BIG_TEST(a_cancelled_receiver_takes_an_item_or_leaves_it),
         BIG_TEST(a_cancelled_sender_has_sent_what_it_was_told_and_no_more),
         BIG_TEST(the_end_comes_when_the_last_of_the_senders_has_closed),
         BIG_TEST(each_item_comes_to_one_of_two_receivers),
         BIG_TEST(senders_are_told_when_the_last_receiver_has_closed))
