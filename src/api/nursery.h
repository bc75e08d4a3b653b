/* nursery.h - what the front end's other files need of nurseries. */
#ifndef CTRIO_API_NURSERY_H
#define CTRIO_API_NURSERY_H
#include "api/scope.h"
#include "kernel/nursery.h"
#include <ctrio/nursery.h>
#endif
