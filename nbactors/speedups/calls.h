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
    Py_ssize_t answered, answering, calls, functions;
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

typedef struct {
    PyTypeObject *type;
    Py_ssize_t news, watchers;
} WaitingClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t data, number;
} AnswerClass;

/* Where the attribute of a name is to be noted; the last one of an array has no name. */
typedef struct {
    const char *name;
    Py_ssize_t *offset;
} Slot;

#define GATHER 256 /* as in `connection.py`: with so many messages the steps in Python flush */
#define FIELDS 13  /* of `messages.Call` and `messages.Run` */

extern EntryClass entry_class;
extern CallClass call_class;
extern FlightClass flight_class;
extern QueueClass queue_class;
extern RefClass ref_class;
extern WaitingClass waiting_class;
extern AnswerClass answer_class;
extern PyObject *run_type;

/* The states of an object and of a call, see `object_life.py` and `call_life.py`. Small numbers are one object each. */
enum { PENDING, ASKED, READY };
enum { WAITING, QUEUED, SENT, FINISHED, STATES };
extern PyObject *numbers[STATES];
extern PyObject *no_bytes, *no_text, *no_time, *no_tuple;

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

/* Find a class's attributes. Returns 0, or -1 with an exception. */
int find_slots(PyObject *type, const Slot *slots);

int is_deque(PyObject *object);
int is_empty_deque(PyObject *object);
int is_count(PyObject *object);

/* Return whether no step of these turns runs or waits. */
int are_free(PyObject *turns);

/* Return the calls in flight on a connection, a new reference; NULL, perhaps with an exception, if this is a stand-in.
 */
PyObject *flight_of(PyObject *connection);

/* A connection, and what is needed to send a call on it. */
typedef struct {
    PyObject *line, *reactor, *outbox, *flight, *calls; /* new references */
    int at_once;
} Way;

/* Find out whether to send a call on this connection is the usual case. If so, return 1, and `leave` is to be called.
 * With no other call in flight it is sent at once; `at_once` is 1 or 0 to demand that, or that it is not. */
int find_way(PyObject *connection, int at_once, Way *way);
void leave(Way *way);

/* Put a call in flight and queue or send its message. 1: done. 2: done, but `follow` is to be called. 0: nothing was
 * done. While the garbage collector rests. */
int put_in_flight(Way *way, PyObject *call, PyObject *message);

/* Do what the steps in Python do after `put_in_flight` has returned 2. Returns 0, or -1 with an exception. */
int follow(Way *way);

/* Return whether a call, of the known class, was not sent yet, and has a number that may be a key of a dict. */
int is_fresh(PyObject *call);

/* What a call is made from, borrowed references. */
typedef struct {
    PyObject *target, *home, *numbers, *method, *data, *origin, *submitted, *hold, *parent; /* see `submit` */
    PyObject *name, *group, *retries, *backpressure;                                        /* of the method */
    PyObject *parent_id, *arguments;
} Plan;

/* What it consists of, new references. */
typedef struct {
    PyObject *number, *entry, *ref, *entries, *message, *call;
} Made;

/* Make the objects of a call with one result, without the message. Returns 0, or -1 with an exception. */
int make_empty(Made *made);

/* Fill these objects. */
void fill(const Plan *plan, Made *made);
void drop(Made *made);

/* Find the calls that the calling job has made, a new reference, or NULL if no job calls; and its id in the plan, a new
 * reference. `task_id` is code in Python, so this comes before all else, and an exception of it may come from outside:
 * it would not come again. 1: found. 0: this is not the usual case. -1: an exception. */
int read_parent(Plan *plan, PyObject **children);

#endif
