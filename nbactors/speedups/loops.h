/* What other files use of event loops. */
#ifndef NBACTORS_LOOPS_H
#define NBACTORS_LOOPS_H

#include "compiled.h"

/* The first step of a task, which is to be called in the context. Both are NULL if the loop calls it. */
typedef struct {
    PyObject *call, *context;
} Step;

/* Make a task that runs a coroutine in a context, or before Python 3.11 in a copy of the current one; without its first
 * step. Returns a new reference; NULL, perhaps with an exception, if this is not the usual case. */
PyObject *make_task(PyObject *loop, PyObject *coroutine, PyObject *context, Step *step);

/* Leave a context that was entered. An exception that is set stays. */
void exit_context(PyObject *context);

/* Call something in a context. Returns what that returns, a new reference; NULL with an exception. */
PyObject *call_in(PyObject *context, PyObject *callable, PyObject *const *args, Py_ssize_t count);

#endif
