/* error.c - stories, and the words of codes.
 *
 * Invariant: a node is owned by exactly one place: a task's or thread's list of stories, its group,
 * an outcome, or the user who took it. */
#include "api/error.h"
#include "api/run.h"
#include "base/alloc.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { STORIES = 4 };

static _Thread_local struct ctrio_error *thread_stories;

struct ctrio_error **ctrio__stories(void)
{
    struct ctrio__c_task *self = ctrio__self();
    return self != NULL ? &self->u.life.stories : &thread_stories;
}

void ctrio__stories_push(struct ctrio_error **stories, struct ctrio_error *error)
{
    if (error == NULL)
        return;
    error->next = *stories;
    *stories = error;
    struct ctrio_error **at = stories;
    for (int i = 0; i < STORIES && *at != NULL; i++)
        at = &(*at)->next;
    struct ctrio_error *oldest = *at;
    *at = NULL;
    CTRIO_ASSERT(oldest == NULL || oldest->next == NULL);
    ctrio_error_free(oldest);
}

struct ctrio_error *ctrio__stories_take(struct ctrio_error **stories, int code)
{
    for (struct ctrio_error **at = stories; *at != NULL; at = &(*at)->next) {
        struct ctrio_error *found = *at;
        if (found->code == code) {
            *at = found->next;
            found->next = NULL;
            return found;
        }
    }
    return NULL;
}

const struct ctrio_error *ctrio__stories_find(struct ctrio_error *const *stories, int code)
{
    const struct ctrio_error *at = *stories;
    while (at != NULL && at->code != code)
        at = at->next;
    return at;
}

void ctrio__stories_drop(struct ctrio_error **stories)
{
    while (*stories != NULL) {
        struct ctrio_error *first = *stories;
        *stories = first->next;
        first->next = NULL;
        ctrio_error_free(first);
    }
}

struct ctrio_error *ctrio__error_new(int code, const char *text)
{
    CTRIO_ASSERT(code < 0);
    struct ctrio_error *error = ctrio__alloc(sizeof *error);
    if (error != NULL)
        *error = (struct ctrio_error){.code = code, .text = text};
    return error;
}

bool ctrio__all_zero(const uint64_t *words, size_t count)
{
    size_t i = 0;
    while (i < count && words[i] == 0)
        i++;
    return i == count;
}

int ctrio__fail(int code, const char *text)
{
    ctrio__stories_push(ctrio__stories(), ctrio__error_new(code, text));
    return code;
}

/* The text lies behind the node, in the same allocation. */
static struct ctrio_error *format_error(int code, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        return ctrio__error_new(code, format);
    struct ctrio_error *error = ctrio__alloc(sizeof *error + (size_t)length + 1);
    if (error == NULL)
        return NULL;
    char *text = (char *)(error + 1);
    vsnprintf(text, (size_t)length + 1, format, args);
    *error = (struct ctrio_error){.code = code, .text = text};
    return error;
}

int ctrio_fail(int code, const char *format, ...)
{
    va_list args;
    if (code >= 0)
        return ctrio__fail(CTRIO_MISUSE, "ctrio_fail() with a code that is no failure");
    va_start(args, format);
    struct ctrio_error *error = format_error(code, format, args);
    va_end(args);
    ctrio__stories_push(ctrio__stories(), error);
    return code;
}

static const char *condition_text(int code)
{
    static const char *const texts[] = {
        "cancelled",
        "too slow: the time limit has passed",
        "would have to wait",
        "busy: another task is already using this",
        "closed: this was closed",
        "broken: the other side has closed or broken it",
        "nothing more will come",
        "the run is over",
        "interrupted",
        "tasks of a nursery failed",
        "an exception of the Python front end",
        "the name does not resolve",
        "misuse: a bug in the calling program",
    };
    _Static_assert(sizeof texts / sizeof texts[0] == CTRIO_MISUSE - CTRIO_CANCELLED + 1,
                   "a text for each code");
    return texts[code - CTRIO_CANCELLED];
}

/* GNU's strerror_r gives the text, which may lie elsewhere; POSIX's gives a code and fills. */
static const char *text_gnu(const char *text, const char *buffer)
{
    (void)buffer;
    return text;
}

static const char *text_posix(int failed, const char *buffer)
{
    return failed == 0 ? buffer : "an error that the system does not know";
}

const char *ctrio__code_text(int code)
{
    static _Thread_local char buffer[128];
    if (code >= CTRIO_CANCELLED && code <= CTRIO_MISUSE)
        return condition_text(code);
    if (code >= 0)
        return "no failure";
    return _Generic(strerror_r(-code, buffer, sizeof buffer), int: text_posix, default: text_gnu)(
        strerror_r(-code, buffer, sizeof buffer), buffer);
}

const char *ctrio_error_message(int code)
{
    const struct ctrio_error *error = ctrio__stories_find(ctrio__stories(), code);
    return error != NULL ? ctrio_error_text(error) : ctrio__code_text(code);
}

int ctrio_error_code(const struct ctrio_error *error)
{
    return error->code;
}

const char *ctrio_error_text(const struct ctrio_error *error)
{
    return error->text != NULL ? error->text : ctrio__code_text(error->code);
}

const struct ctrio_error *ctrio_error_child(const struct ctrio_error *error, size_t i)
{
    const struct ctrio_error *child = error->children;
    while (child != NULL && i-- > 0)
        child = child->next;
    return child;
}

struct ctrio_error *ctrio_error_take(int code)
{
    static _Thread_local struct ctrio_error bare;
    struct ctrio_error *error = ctrio__stories_take(ctrio__stories(), code);
    if (error == NULL && code < 0)
        error = ctrio__error_new(code, NULL);
    if (error != NULL || code >= 0)
        return error;
    bare = (struct ctrio_error){.code = code, .bare = true};
    return &bare;
}

int ctrio_error_restore(struct ctrio_error *error)
{
    if (error == NULL)
        return 0;
    int code = error->code;
    if (code == CTRIO_CANCELLED) { /* the scopes' word, which has no story */
        ctrio_error_free(error);
        return code;
    }
    if (!error->bare) /* there is one a thread: it cannot wait among the stories */
        ctrio__stories_push(ctrio__stories(), error);
    return code;
}
