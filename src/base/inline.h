/* inline.h - what is inlined, where the compiler's own choice was measured and found wanting.
 *
 * A step of a task is some six hundred instructions of ours; the prologues of a chain of small
 * functions were a tenth of them. */
#ifndef CTRIO_BASE_INLINE_H
#define CTRIO_BASE_INLINE_H
#if defined(__GNUC__) && !defined(CTRIO_COVERAGE) /* which asks each copy for each branch */
#define CTRIO__INLINED static inline __attribute__((always_inline))
#define CTRIO__OUTLINED __attribute__((noinline)) /* keeps its registers out of its callers */
#else
#define CTRIO__INLINED static inline
#define CTRIO__OUTLINED
#endif
#endif
