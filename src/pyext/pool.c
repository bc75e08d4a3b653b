/* pool.c - see pool.h.  Invariant: what lies in a pool is chained by its first field. */
#include "pyext/pool.h"
#include "base/assert.h"

struct chained {
    PyObject_HEAD
    struct chained *next;
};

PyObject *ctrio__pool_new(struct ctrio__state *state, enum ctrio__type_id id)
{
    struct ctrio__pool *pool = &state->pools[id];
    struct chained *object = (struct chained *)pool->first;
    CTRIO_ASSERT((object == NULL) == (pool->count == 0 || pool->closed));
    if (object == NULL)
        return PyObject_GC_New(PyObject, state->types[id]);
    pool->first = object->next;
    pool->count--;
    return PyObject_Init((PyObject *)object, state->types[id]);
}

void ctrio__pool_free(struct ctrio__state *state, enum ctrio__type_id id, PyObject *object)
{
    struct ctrio__pool *pool = &state->pools[id];
    CTRIO_ASSERT(!PyObject_GC_IsTracked(object));
    if (!CTRIO_FREELISTS || pool->closed || pool->count == CTRIO_POOL_MOST) {
        PyObject_GC_Del(object);
        return;
    }
    ((struct chained *)object)->next = pool->first;
    pool->first = object;
    pool->count++;
}

void ctrio__pool_drain(struct ctrio__state *state)
{
    for (int id = 0; id < TYPE_COUNT; id++) {
        struct ctrio__pool *pool = &state->pools[id];
        pool->closed = true;
        for (; pool->first != NULL; pool->count--) {
            struct chained *object = pool->first;
            pool->first = object->next;
            PyObject_GC_Del(object);
        }
        CTRIO_ASSERT(pool->count == 0);
    }
}
