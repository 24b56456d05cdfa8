/* What the files of the compiled part share. `nbactors/speedups/__init__.py` says what this part is, and when it is used.
 *
 * Each function does one thing as one step: no code in Python runs in the middle of it, so no signal handler, no
 * finalizer and no other thread sees it half done. To that end the garbage collector rests meanwhile, and the GIL is
 * kept but for sleeping. What is not the usual case is left, untouched, to the steps in Python.
 */
#ifndef NBACTORS_COMPILED_H
#define NBACTORS_COMPILED_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

/* Each adds what its file has to the module. Returns 0, or -1 with an exception. */
int add_answers(PyObject *module);
int add_arrivals(PyObject *module);
int add_connections(PyObject *module);
int add_handles(PyObject *module);
int add_jobs(PyObject *module);
int add_lanes(PyObject *module);
int add_methods(PyObject *module);
int add_polling(PyObject *module);

/* Intern a name. Returns 0, or -1 with an exception. */
static inline int
intern(PyObject **name, const char *text)
{
    *name = PyUnicode_InternFromString(text);
    return *name == NULL ? -1 : 0;
}

/* Store an object in an attribute, and take over the reference. What was there goes last, since its finalizer may run. */
static inline void
store(PyObject **place, PyObject *object)
{
    PyObject *before = *place;
    *place = object;
    Py_XDECREF(before);
}

#endif
