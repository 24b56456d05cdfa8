/* The classes in Python that a call is made of, as the files in C know them. `know` in calls.c finds them. */
#ifndef NBACTORS_CALLS_H
#define NBACTORS_CALLS_H

#include "compiled.h"

/* A class, or NULL before it is known, and where its instances have their attributes: those of `__slots__`. */
typedef struct {
    PyTypeObject *type;
    Py_ssize_t call, data, home, index, number, parts, state, waiters;
} EntryClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t arguments, awaited, canceled, connection, details, entries, group, hold, message, number, origin, parent,
        parent_id, queue, retries, state, stream, submitted, target, timeout_s, timer, watcher;
} CallClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t answered, answering, calls;
} FlightClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t connection, doomed, down, max_retries, queues, restarting, turns;
} LinkClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t owner, steps;
} TurnsClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t calls;
} QueueClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t entry;
} RefClass;

extern EntryClass entry_class;
extern CallClass call_class;
extern FlightClass flight_class;
extern PyTypeObject *waiting_type, *answer_type;

/* The states of an object and of a call, see `object_life.py` and `call_life.py`. Small numbers are one object each. */
enum { PENDING, ASKED, READY };
enum { WAITING, QUEUED, SENT, FINISHED, STATES };
extern PyObject *numbers[STATES];
extern PyObject *no_bytes, *no_tuple;

/* The place of an attribute in an object. It holds NULL if the attribute was deleted. */
#define AT(object, offset) (*(PyObject **)((char *)(object) + (offset)))

/* Store another object in an attribute; the old one is returned, whose finalizer may run when it is dropped. */
static inline PyObject *
exchange(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    PyObject *before = AT(object, offset);
    Py_INCREF(value);
    AT(object, offset) = value;
    return before;
}

#endif
