/* allocator.c - CPython's three allocators, counted, with calls that fail.
 *
 * Only the thread that has called begin() is counted: what others do is not the same each time, and
 * CPython's own start of a thread waits for ever for one that had no memory to say that it runs. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <dlfcn.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

static PyMemAllocatorEx below[3]; /* by domain: raw, mem, obj */
static _Atomic Py_ssize_t live;
static Py_ssize_t calls, first, last;
static bool failed, traced, core_only, by_core;
static _Thread_local bool counting;

/* CPython's own code, and two calls of it that lose an object of theirs on 3.11. */
static bool is_cpython_s(const char *function)
{
    static const char *const names[] = {"_PyEval_EvalFrameDefault", "PyErr_Format",
                                        "PySequence_List"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(function, names[i]) == 0)
            return true;
    return false;
}

/* Whether a frame of the core lies between the allocation and the innermost Python code. */
static bool asked_by_core(void *const *frames, int count)
{
    for (int i = 0; i < count; i++) {
        Dl_info info;
        if (dladdr(frames[i], &info) == 0)
            continue;
        if (strstr(info.dli_fname, "/_ctrio.") != NULL)
            return true;
        if (info.dli_sname != NULL && is_cpython_s(info.dli_sname))
            return false;
    }
    return false;
}

static bool fails(void)
{
    if (!counting || ++calls < first || calls > last)
        return false;
    void *frames[40];
    counting = false; /* what looking allocates is its own business */
    int count = backtrace(frames, 40);
    bool core = asked_by_core(frames, count);
    by_core = by_core || core;
    if (traced)
        backtrace_symbols_fd(frames, count, 2);
    counting = true;
    failed = true;
    return core || !core_only;
}

static void *taken(void *memory)
{
    if (memory != NULL)
        live++;
    return memory;
}

static void *counted_malloc(void *self, size_t size)
{
    PyMemAllocatorEx *next = self;
    return fails() ? NULL : taken(next->malloc(next->ctx, size));
}

static void *counted_calloc(void *self, size_t count, size_t size)
{
    PyMemAllocatorEx *next = self;
    return fails() ? NULL : taken(next->calloc(next->ctx, count, size));
}

static void *counted_realloc(void *self, void *old, size_t size)
{
    PyMemAllocatorEx *next = self;
    if (fails())
        return NULL;
    void *moved = next->realloc(next->ctx, old, size);
    return old == NULL ? taken(moved) : moved;
}

static void counted_free(void *self, void *memory)
{
    PyMemAllocatorEx *next = self;
    if (memory != NULL)
        live--;
    next->free(next->ctx, memory);
}

/* () -> None; for the rest of the process. */
static PyObject *install(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    static const PyMemAllocatorDomain domains[] = {PYMEM_DOMAIN_RAW, PYMEM_DOMAIN_MEM,
                                                   PYMEM_DOMAIN_OBJ};
    for (int i = 0; i < 3 && below[i].malloc == NULL; i++) {
        PyMem_GetAllocator(domains[i], &below[i]);
        PyMemAllocatorEx ours = {&below[i], counted_malloc, counted_calloc, counted_realloc,
                                 counted_free};
        PyMem_SetAllocator(domains[i], &ours);
    }
    Py_RETURN_NONE;
}

/* (first, last, core_only, traced=False) -> None.  Of this thread's calls from now on these will
 * fail, or those of them that the core asks for; the first call has the number 1. */
static PyObject *begin(PyObject *module, PyObject *args)
{
    int only = 0, trace = 0;
    (void)module;
    if (!PyArg_ParseTuple(args, "nnp|p", &first, &last, &only, &trace))
        return NULL;
    core_only = only != 0;
    void *frames[1];
    backtrace(frames, 1); /* loads what it needs */
    traced = trace != 0;
    calls = 0;
    failed = false;
    by_core = false;
    counting = true;
    Py_RETURN_NONE;
}

/* () -> (calls, whether one has failed, whether the core has asked for that one) */
static PyObject *end(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    counting = false;
    return Py_BuildValue("nOO", calls, failed ? Py_True : Py_False, by_core ? Py_True : Py_False);
}

/* () -> blocks given out and not given back since install() */
static PyObject *count_live(PyObject *module, PyObject *ignored)
{
    (void)module;
    (void)ignored;
    return PyLong_FromSsize_t(live);
}

static PyMethodDef functions[] = {{"install", install, METH_NOARGS, NULL},
                                  {"begin", begin, METH_VARARGS, NULL},
                                  {"end", end, METH_NOARGS, NULL},
                                  {"live", count_live, METH_NOARGS, NULL},
                                  {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "allocator", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit_allocator(void);

PyMODINIT_FUNC PyInit_allocator(void)
{
    return PyModule_Create(&definition);
}
