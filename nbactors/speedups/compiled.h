/* What the files of the compiled part share. `nbactors/speedups/__init__.py` says what this part is, and when it is
 * used.
 *
 * Where something must not be seen half done, it is one step: no code in Python runs in the middle of it, so no signal
 * handler, no finalizer and no other thread. To that end the garbage collector rests in a step that makes objects, and
 * the GIL is kept but for sleeping. What is not the usual case is left, untouched, to the steps in Python.
 */
#ifndef NBACTORS_COMPILED_H
#define NBACTORS_COMPILED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <time.h>

/* Each adds what its file has to the module. Returns 0, or -1 with an exception. */
int add_answers(PyObject *module);
int add_arrivals(PyObject *module);
int add_atoms(PyObject *module);
int add_calls(PyObject *module);
int add_connections(PyObject *module);
int add_jobs(PyObject *module);
int add_lanes(PyObject *module);
int add_leading(PyObject *module);
int add_loops(PyObject *module);
int add_methods(PyObject *module);
int add_polling(PyObject *module);
int add_replies(PyObject *module);
int add_splits(PyObject *module);
int add_tasks(PyObject *module);

extern PyTypeObject *deque_type; /* `collections.deque` */

/* Intern a name. Returns 0, or -1 with an exception. */
static inline int
intern(PyObject **name, const char *text)
{
    *name = PyUnicode_InternFromString(text);
    return *name == NULL ? -1 : 0;
}

/* Store an object in an attribute, and take over the reference. What was there goes last, since its finalizer may run.
 */
static inline void
store(PyObject **place, PyObject *object)
{
    PyObject *before = *place;
    *place = object;
    Py_XDECREF(before);
}

/* Take the exception that is set, and have it be the one that is handled now, as in an `except` or `finally` clause.
 * `outer` gets the one that was handled before. Returns the exception. */
static inline PyObject *
begin_handling(PyObject *outer[3])
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (trace != NULL) {
        PyException_SetTraceback(error, trace);
    }
    PyErr_GetExcInfo(&outer[0], &outer[1], &outer[2]);
    Py_INCREF(error);
    PyErr_SetExcInfo(type, error, trace);
    return error;
}

/* Have the exception that was handled before be handled again. */
static inline void
end_handling(PyObject *outer[3])
{
    PyErr_SetExcInfo(outer[0], outer[1], outer[2]);
}

/* Return the time on the monotonic clock, rounded as `time.monotonic` does. */
static inline double
monotonic(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)((long long)time.tv_sec * 1000000000 + time.tv_nsec) / 1e9;
}

#endif
