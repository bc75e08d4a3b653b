// Copies of what must stay where it is: one line each, and each refused.
// g++: use of deleted function
// clang++: deleted
#include <ctrio.h>

template <class T> void copy(T &out, const T &in) { out = in; }
template <class T> T move(T &in) { return T(in); }

template void copy<ctrio_cancel_scope>(ctrio_cancel_scope &, const ctrio_cancel_scope &);
template void copy<ctrio_nursery>(ctrio_nursery &, const ctrio_nursery &);
template void copy<ctrio_event>(ctrio_event &, const ctrio_event &);
template void copy<ctrio_lock>(ctrio_lock &, const ctrio_lock &);
template void copy<ctrio_semaphore>(ctrio_semaphore &, const ctrio_semaphore &);
template void copy<ctrio_condition>(ctrio_condition &, const ctrio_condition &);
template void copy<ctrio_capacity_limiter>(ctrio_capacity_limiter &, const ctrio_capacity_limiter &);
template void copy<ctrio_parking_lot>(ctrio_parking_lot &, const ctrio_parking_lot &);
template ctrio_nursery move<ctrio_nursery>(ctrio_nursery &);
template ctrio_lock move<ctrio_lock>(ctrio_lock &);
