/* rng.h - a small seeded generator: SplitMix64 (Steele, Lea, Flood 2014).
 *
 * For scheduling coins, never for secrets.  The same seed gives the same sequence everywhere. */
#ifndef CTRIO_BASE_RNG_H
#define CTRIO_BASE_RNG_H
#include <stdint.h>

struct ctrio__rng {
    uint64_t state;
};
static inline uint64_t ctrio__rng_next(struct ctrio__rng *rng)
{
    uint64_t z = (rng->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
#endif
