/* The usual case of submitting a task, and of sending tasks to a worker that is lent to this process. */
#include "calls.h"
#include "connections.h"
#include "holders.h"

#define DETAILS 6 /* of a task, see `Tasks.submit` */
#define KIND 9    /* the fields of `Kind` in `tasks.py` */

typedef struct {
    PyTypeObject *type;
    Py_ssize_t connection, depth, in_flight, is_alone, is_returned, last_event, lease_id;
} LeaseClass;

typedef struct {
    PyTypeObject *type;
    Py_ssize_t doomed, failure, is_full, leases, queue, tasks, turns;
} TaskQueueClass;

static LeaseClass lease_class;
static TaskQueueClass tasks_class;
static PyTypeObject *kind_type;
static PyObject *name_append, *name_key, *name_popleft, *name_waiting;

static const Slot lease_slots[] = {
    {"connection",  &lease_class.connection },
    {"depth",       &lease_class.depth      },
    {"in_flight",   &lease_class.in_flight  },
    {"is_alone",    &lease_class.is_alone   },
    {"is_returned", &lease_class.is_returned},
    {"last_event",  &lease_class.last_event },
    {"lease_id",    &lease_class.lease_id   },
    {NULL,          NULL                    },
};
static const Slot tasks_slots[] = {
    {"_doomed",  &tasks_class.doomed },
    {"_is_full", &tasks_class.is_full},
    {"_leases",  &tasks_class.leases },
    {"_queue",   &tasks_class.queue  },
    {"_tasks",   &tasks_class.tasks  },
    {"_turns",   &tasks_class.turns  },
    {"failure",  &tasks_class.failure},
    {NULL,       NULL                },
};

PyDoc_STRVAR(know_doc, "know_tasks(TaskQueue, Lease, Kind): use these classes from now on.");

static PyObject *
know_tasks(PyObject *Py_UNUSED(module), PyObject *const *classes, Py_ssize_t count)
{
    if (count != 3 || !PyType_Check(classes[0]) || !PyType_Check(classes[1]) || !PyType_Check(classes[2])) {
        PyErr_SetString(PyExc_TypeError, "know_tasks() takes three classes");
        return NULL;
    }
    if (find_slots(classes[0], tasks_slots) || find_slots(classes[1], lease_slots)) {
        return NULL;
    }
    store((PyObject **)&tasks_class.type, Py_NewRef(classes[0]));
    store((PyObject **)&lease_class.type, Py_NewRef(classes[1]));
    store((PyObject **)&kind_type, Py_NewRef(classes[2]));
    Py_RETURN_NONE;
}

/* Return the message that runs a task, a new reference; NULL, perhaps with an exception. `details` are of the call. */
static PyObject *
message_of(PyObject *number, PyObject *key, PyObject *details, PyObject *lease_id, PyObject *origin,
           PyObject *submitted, PyObject *parent_id)
{
    PyObject *fields[FIELDS] = {number,
                                key,
                                PyTuple_GET_ITEM(details, 1), /* the pickled arguments */
                                PyTuple_GET_ITEM(details, 2), /* num_returns */
                                PyTuple_GET_ITEM(details, 3), /* the name */
                                Py_None,
                                Py_None,
                                PyTuple_GET_ITEM(details, 4), /* retry_exceptions */
                                lease_id,
                                PyTuple_GET_ITEM(details, 5), /* backpressure */
                                origin,
                                submitted,
                                parent_id};
    return PyObject_Vectorcall(run_type, fields, FIELDS, NULL);
}

/* Return the key of the function of an export, a new reference, if the worker at the end of a way knows the function;
 * NULL, perhaps with an exception, if not. */
static PyObject *
known_key(const Way *way, PyObject *export)
{
    PyObject *functions = AT(way->flight, flight_class.functions);
    PyObject *key = PyObject_GetAttr(export, name_key);
    if (key != NULL && (functions == NULL || !PyAnySet_CheckExact(functions) || !PyBytes_CheckExact(key) ||
                        PySet_Contains(functions, key) != 1)) {
        Py_CLEAR(key);
    }
    return key;
}

/* Return whether a worker has so many calls in flight as it may get, or gets no more at all. */
static int
is_full(PyObject *lease, PyObject *calls)
{
    PyObject *depth = AT(lease, lease_class.depth);
    return AT(lease, lease_class.is_returned) != Py_False || depth == NULL || !PyLong_CheckExact(depth) ||
           PyLong_AsSsize_t(depth) <= PyDict_GET_SIZE(calls);
}

/* Return whether a lease has room for a task with so many retries. A task without a retry is the only one of its
 * worker. */
static int
has_room(PyObject *lease, PyObject *calls, PyObject *retries)
{
    return !is_full(lease, calls) && retries != NULL && PyLong_CheckExact(retries) &&
           (!PyDict_GET_SIZE(calls) || (AT(lease, lease_class.is_alone) == Py_False && retries != numbers[0]));
}

/* Note with a lease that a task with so many retries is the last one that was sent. */
static void
note_retries(PyObject *lease, PyObject *retries)
{
    PyObject *is_alone = retries == numbers[0] ? Py_True : Py_False;
    if (AT(lease, lease_class.is_alone) != is_alone) {
        Py_XDECREF(exchange(lease, lease_class.is_alone, is_alone));
    }
}

/* Where a fresh task goes: to a worker, or to the end of its queue. New references. */
typedef struct {
    Way way;
    PyObject *lease, *key, *calls;
} Place;

static void
leave_place(Place *place)
{
    leave(&place->way);
    Py_XDECREF(place->lease);
    Py_XDECREF(place->key);
    Py_XDECREF(place->calls);
}

/* Find the first lease with room for a task. Returns whether sending the task to it is the usual case. */
static int
find_lease(PyObject *leases, PyObject *export, PyObject *retries, Place *place)
{
    PyObject *process_id, *lease;
    for (Py_ssize_t position = 0; PyDict_Next(leases, &position, &process_id, &lease);) {
        PyObject *connection = Py_TYPE(lease) == lease_class.type ? AT(lease, lease_class.connection) : NULL;
        PyObject *flight = connection != NULL && is_connection(connection) ? flight_of(connection) : NULL;
        if (flight == NULL || AT(lease, lease_class.lease_id) == NULL) {
            Py_XDECREF(flight);
            return 0;
        }
        int is_found = has_room(lease, AT(flight, flight_class.calls), retries);
        Py_DECREF(flight); /* the connection keeps it */
        if (is_found) {
            place->lease = Py_NewRef(lease);
            place->key = find_way(connection, -1, &place->way) ? known_key(&place->way, export) : NULL;
            return place->key != NULL;
        }
    }
    return 0;
}

/* Return whether another kind of task may wait for a worker: then a lease gets tasks for a limited time only. */
static int
others_wait(PyObject *queue)
{
    PyObject *register_ = AT(queue, tasks_class.tasks);
    PyObject *waiting = register_ == NULL ? NULL : PyObject_GetAttr(register_, name_waiting);
    int do_wait = 1;
    if (waiting != NULL && PySet_Check(waiting)) {
        Py_ssize_t count = PySet_GET_SIZE(waiting);
        do_wait = count > 1 || (count == 1 && PySet_Contains(waiting, queue) != 1);
    }
    Py_XDECREF(waiting);
    return do_wait;
}

/* Find out where a fresh task of a queue goes. Returns whether this is the usual case; `leave_place` is to be called.
 */
static int
find_place(PyObject *queue, PyObject *export, PyObject *retries, Place *place)
{
    memset(place, 0, sizeof *place);
    if (Py_TYPE(queue) != tasks_class.type || !are_free(AT(queue, tasks_class.turns)) ||
        !is_empty_deque(AT(queue, tasks_class.doomed)) || AT(queue, tasks_class.failure) != no_bytes) {
        return 0;
    }
    PyObject *calls = AT(queue, tasks_class.queue), *leases = AT(queue, tasks_class.leases);
    if (calls == NULL || Py_TYPE(calls) != queue_class.type || leases == NULL || !PyDict_CheckExact(leases)) {
        return 0;
    }
    calls = AT(calls, queue_class.calls);
    if (is_empty_deque(calls)) {
        return !others_wait(queue) && find_lease(leases, export, retries, place);
    }
    if (!is_deque(calls) || AT(queue, tasks_class.is_full) != Py_True) {
        return 0;
    }
    place->calls = Py_NewRef(calls); /* all workers are full: the step that sends the others sends it, too */
    return 1;
}

/* Put a task at the end of its queue. Returns what `send_to` does. */
static int
queue_up(const Place *place, PyObject *queue, PyObject *call)
{
    Py_DECREF(exchange(call, call_class.queue, AT(queue, tasks_class.queue))); /* it was None */
    PyObject *appended = PyObject_CallMethodOneArg(place->calls, name_append, call);
    Py_XDECREF(appended);
    return appended != NULL;
}

/* Put a task in flight. 1: done. 2: done, but `follow` is to be called. 0: nothing was done. */
static int
send_to(Place *place, const Plan *plan, const Made *made, PyObject *now)
{
    PyObject *details = AT(made->call, call_class.details);
    PyObject *lease_id = AT(place->lease, lease_class.lease_id);
    PyObject *count = PyLong_FromSsize_t(PyDict_GET_SIZE(place->way.calls) + 1);
    PyObject *message =
        message_of(made->number, place->key, details, lease_id, plan->origin, plan->submitted, plan->parent_id);
    int was_idle = place->way.at_once;
    int done = count == NULL || message == NULL ? 0 : put_in_flight(&place->way, made->call, message);
    if (done) {
        note_retries(place->lease, plan->retries);
        Py_XDECREF(exchange(place->lease, lease_class.in_flight, count)); /* a number, as what follows */
        if (was_idle) {
            Py_XDECREF(exchange(place->lease, lease_class.last_event, now));
        }
    }
    Py_XDECREF(count);
    Py_XDECREF(message);
    return done;
}

/* Make a task and put it where it goes, while the garbage collector rests. Returns what `send_to` does. */
static int
make_and_place(const Plan *plan, Place *place, PyObject *export, PyObject *children, PyObject *now, Made *made)
{
    made->number = Py_TYPE(plan->numbers)->tp_iternext(plan->numbers);
    if (made->number == NULL || make_empty(made)) {
        return 0;
    }
    PyObject *details = PyTuple_Pack(DETAILS, export, plan->data, numbers[1], plan->name, no_bytes, plan->backpressure);
    if (details == NULL) {
        return 0;
    }
    made->message = Py_NewRef(Py_None);
    fill(plan, made);
    Py_DECREF(exchange(made->call, call_class.details, details)); /* it was None */
    Py_DECREF(details);
    if (children != NULL && PyDict_SetItem(children, made->call, Py_None)) {
        return 0;
    }
    int done = place->calls != NULL ? queue_up(place, plan->target, made->call) : send_to(place, plan, made, now);
    if (!done && children != NULL && PyDict_DelItem(children, made->call)) {
        PyErr_Clear();
    }
    return done;
}

/* Send what was gathered for a worker that gets no more now. Returns 0, or -1 with an exception. */
static int
send_if_full(Place *place)
{
    int is_due = place->lease != NULL && !place->way.at_once && is_full(place->lease, place->way.calls);
    return is_due ? flush_line(place->way.line) : 0;
}

/* Complete the plan by the kind of the task. Return whether its tasks are the usual case. */
static int
read_kind(Plan *plan, PyObject *kind)
{
    if (kind_type == NULL || Py_TYPE(kind) != kind_type || PyTuple_GET_SIZE(kind) != KIND ||
        PyTuple_GET_ITEM(kind, 3) != numbers[1] ||                                       /* num_returns */
        PyTuple_GET_ITEM(kind, 6) != Py_False || PyTuple_GET_ITEM(kind, 7) != Py_None) { /* retried, timeout_s */
        return 0;
    }
    plan->target = PyTuple_GET_ITEM(kind, 1);
    plan->name = PyTuple_GET_ITEM(kind, 2);
    plan->backpressure = PyTuple_GET_ITEM(kind, 4);
    plan->retries = PyTuple_GET_ITEM(kind, 5);
    if (PyTuple_GET_ITEM(kind, 8) == Py_False) { /* has_events */
        plan->submitted = no_time;
    }
    return is_count(plan->numbers) && PyBytes_CheckExact(plan->data);
}

PyDoc_STRVAR(submit_doc,
             "submit_task(kind, export, home, numbers, data, origin, now, parent): make a task with one result, send\n"
             "it to a worker that knows the function, or have it wait behind others, and return the reference. Return\n"
             "None, with nothing done, if this is not the usual case.");

static PyObject *
submit_task(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 8) {
        PyErr_SetString(PyExc_TypeError, "submit_task() takes 8 arguments");
        return NULL;
    }
    PyObject *export = args[1], *now = args[6];
    Plan plan = {.home = args[2],
                 .numbers = args[3],
                 .data = args[4],
                 .origin = args[5],
                 .submitted = now,
                 .parent = args[7],
                 .hold = Py_None,
                 .group = no_text,
                 .arguments = Py_None};
    PyObject *children;
    int is_usual = read_parent(&plan, &children);
    if (is_usual < 0) {
        return NULL;
    }
    if (!is_usual) {
        Py_RETURN_NONE;
    }
    Made made = {NULL, NULL, NULL, NULL, NULL, NULL};
    Place place = {.lease = NULL};
    int done = 0;
    if (read_kind(&plan, args[0]) && find_place(plan.target, export, plan.retries, &place)) {
        int collects = PyGC_Disable();
        done = make_and_place(&plan, &place, export, children, now, &made);
        if (collects) {
            PyGC_Enable();
        }
    }
    PyErr_Clear(); /* whatever it was, the steps in Python meet it again */
    PyObject *result = Py_NewRef(done ? made.ref : Py_None);
    if (!done && made.entry != NULL) {
        Py_CLEAR(AT(made.entry, entry_class.call)); /* else it and the call would keep each other */
    }
    if ((done == 2 && follow(&place.way)) || (done && send_if_full(&place))) {
        Py_CLEAR(result);
    }
    drop(&made);
    leave_place(&place);
    Py_XDECREF(children);
    Py_DECREF(plan.parent_id);
    return result;
}

/* Return the first call of a queue if it was not sent yet, a borrowed reference; NULL if this is not the usual case. */
static PyObject *
head_of(PyObject *queue, PyObject *calls)
{
    PyObject *call = PySequence_GetItem(calls, 0);
    if (call == NULL) {
        PyErr_Clear();
        return NULL;
    }
    Py_DECREF(call); /* the deque keeps it */
    if (Py_TYPE(call) != call_class.type || AT(call, call_class.queue) != queue || !is_fresh(call) ||
        AT(call, call_class.arguments) != Py_None || AT(call, call_class.origin) == NULL ||
        AT(call, call_class.submitted) == NULL || AT(call, call_class.parent_id) == NULL) {
        return NULL;
    }
    PyObject *details = AT(call, call_class.details);
    return details == NULL || !PyTuple_CheckExact(details) || PyTuple_GET_SIZE(details) != DETAILS ? NULL : call;
}

/* Send the first task of a queue, and take it out. Returns what `send_to` does. */
static int
send_head(PyObject *queue, PyObject *calls, PyObject *lease, Way *way)
{
    PyObject *call = head_of(queue, calls);
    if (call == NULL || !has_room(lease, way->calls, AT(call, call_class.retries))) {
        return 0;
    }
    PyObject *details = AT(call, call_class.details), *key = known_key(way, PyTuple_GET_ITEM(details, 0));
    PyObject *message = NULL;
    if (key != NULL) {
        message =
            message_of(AT(call, call_class.number), key, details, AT(lease, lease_class.lease_id),
                       AT(call, call_class.origin), AT(call, call_class.submitted), AT(call, call_class.parent_id));
    }
    int done = message == NULL ? 0 : put_in_flight(way, call, message);
    if (done) {
        note_retries(lease, AT(call, call_class.retries));
        Py_DECREF(exchange(call, call_class.queue, Py_None)); /* the caller has the queue, too */
        PyObject *taken = PyObject_CallMethodNoArgs(calls, name_popleft);
        Py_XDECREF(taken); /* it is in flight */
    }
    Py_XDECREF(key);
    Py_XDECREF(message);
    PyErr_Clear();
    return done;
}

PyDoc_STRVAR(
    send_doc,
    "send_tasks(queue, lease): send the first tasks of a queue with the next flush, as many as the worker has\n"
    "room for and as are the usual case. Return the number.");

static PyObject *
send_tasks(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "send_tasks() takes 2 arguments");
        return NULL;
    }
    PyObject *queue = args[0], *lease = args[1];
    Way way;
    if (tasks_class.type == NULL || Py_TYPE(queue) != queue_class.type || Py_TYPE(lease) != lease_class.type ||
        AT(lease, lease_class.lease_id) == NULL || !is_deque(AT(queue, queue_class.calls)) ||
        !find_way(AT(lease, lease_class.connection), 0, &way)) {
        return PyLong_FromLong(0);
    }
    PyObject *calls = Py_NewRef(AT(queue, queue_class.calls));
    int collects = PyGC_Disable(), is_first = 0, done;
    long sent = 0;
    while (PyList_GET_SIZE(way.outbox) + 1 < GATHER && (done = send_head(queue, calls, lease, &way)) != 0) {
        is_first |= done == 2;
        sent++;
    }
    if (collects) {
        PyGC_Enable();
    }
    Py_DECREF(calls);
    int failed = is_first && follow(&way);
    leave(&way);
    return failed ? NULL : PyLong_FromLong(sent);
}

static PyMethodDef functions[] = {
    {"know_tasks",  (PyCFunction)(void (*)(void))know_tasks,  METH_FASTCALL, know_doc  },
    {"send_tasks",  (PyCFunction)(void (*)(void))send_tasks,  METH_FASTCALL, send_doc  },
    {"submit_task", (PyCFunction)(void (*)(void))submit_task, METH_FASTCALL, submit_doc},
    {NULL,          NULL,                                     0,             NULL      },
};

int
add_tasks(PyObject *module)
{
    if (intern(&name_append, "append") || intern(&name_key, "key") || intern(&name_popleft, "popleft") ||
        intern(&name_waiting, "waiting")) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
