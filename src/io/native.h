/* native.h - the machine's own `os`, whole. */
#ifndef CTRIO_IO_NATIVE_H
#define CTRIO_IO_NATIVE_H
#include "io/net.h"
#include "os/native.h"

/* In memory of the caller's, see ctrio__native_init. */
void ctrio__native_os_init(struct ctrio__native_os *native);
/* On the heap; NULL without memory. */
struct ctrio__native_os *ctrio__native_os_new(void);
/* Frees it once its last worker thread has left, which this does not wait for. */
void ctrio__native_os_drop(struct ctrio__native_os *native);
#endif
