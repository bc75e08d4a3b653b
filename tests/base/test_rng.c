#include "base/rng.h"
#include "tap.h"

static void the_sequence_of_a_seed_is_splitmix_s(void)
{
    /* The reference implementation's first values for seed 1234567. */
    static const uint64_t expected[] = {
        UINT64_C(6457827717110365317), UINT64_C(3203168211198807973), UINT64_C(9817491932198370423),
        UINT64_C(4593380528125082431), UINT64_C(16408922859458223821)};
    struct ctrio__rng rng = {1234567};
    for (int i = 0; i < 5; i++)
        is(ctrio__rng_next(&rng), expected[i]);
}

static void the_top_bit_is_a_fair_coin(void)
{
    struct ctrio__rng rng = {0};
    int heads = 0;
    for (int i = 0; i < 10000; i++)
        heads += (int)(ctrio__rng_next(&rng) >> 63);
    ok(heads > 4800);
    ok(heads < 5200);
}

static void different_seeds_give_different_sequences(void)
{
    struct ctrio__rng a = {1}, b = {2};
    int equal = 0;
    for (int i = 0; i < 1000; i++)
        equal += ctrio__rng_next(&a) == ctrio__rng_next(&b);
    is(equal, 0);
}

TAP_MAIN(TEST(the_sequence_of_a_seed_is_splitmix_s), TEST(the_top_bit_is_a_fair_coin),
         TEST(different_seeds_give_different_sequences))
