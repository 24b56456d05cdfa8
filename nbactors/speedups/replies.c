/* The usual case of an answer: one small value for a call whose result perhaps one listener waits for. */
#include "calls.h"

static PyObject *name_answered, *name_children, *name_finish, *name_in_flight, *name_ready, *name_waiting;

/* Tell the listener of an entry, if there is one, and remove it. Returns 0, or -1 with an exception: then it stays. */
static int
tell(PyObject *entry, PyObject *waiter)
{
    PyObject *told = PyObject_CallMethodOneArg(waiter, name_ready, entry);
    if (told == NULL) {
        return -1;
    }
    Py_DECREF(told);
    PyObject *waiters = AT(entry, entry_class.waiters);
    if (waiters != NULL && PyDict_CheckExact(waiters)) {
        Py_INCREF(waiters);
        int found = PyDict_Contains(waiters, waiter);
        if (found < 0 || (found && PyDict_DelItem(waiters, waiter))) {
            Py_DECREF(waiters);
            return -1;
        }
        if (!PyDict_GET_SIZE(waiters)) {
            Py_XDECREF(exchange(entry, entry_class.waiters, no_tuple));
        }
        Py_DECREF(waiters);
    }
    return 0;
}

/* Count that an object has become final, unless a thread in `wait` has to be woken then. Returns whether it is counted.
 */
static int
count_news(PyObject *home)
{
    PyObject *waiting = PyObject_GetAttr(home, name_waiting), *more = NULL;
    if (waiting != NULL && Py_TYPE(waiting) == waiting_class.type) {
        PyObject *watchers = AT(waiting, waiting_class.watchers), *news = AT(waiting, waiting_class.news);
        if (watchers != NULL && PyList_CheckExact(watchers) && !PyList_GET_SIZE(watchers) && news != NULL &&
            PyLong_CheckExact(news)) {
            more = PyNumber_Add(news, numbers[1]);
        }
    }
    if (more != NULL) {
        Py_DECREF(exchange(waiting, waiting_class.news, more)); /* a number */
    }
    Py_XDECREF(more);
    Py_XDECREF(waiting);
    return more != NULL;
}

/* Return whether a call can end now, and has nothing to be cancelled or unregistered from. */
static int
can_finish(PyObject *call)
{
    return AT(call, call_class.awaited) == Py_None && AT(call, call_class.timer) == Py_None &&
           (AT(call, call_class.state) == numbers[SENT] || AT(call, call_class.state) == numbers[QUEUED]);
}

/* Find the calls of the job that has made this one: a new reference, or NULL for no job. Returns whether they are
 * found.
 */
static int
find_siblings(PyObject *call, PyObject **siblings)
{
    PyObject *parent = AT(call, call_class.parent);
    *siblings = NULL;
    if (parent == NULL || parent == Py_None) {
        return parent != NULL;
    }
    Py_INCREF(parent);
    *siblings = PyObject_GetAttr(parent, name_children);
    Py_DECREF(parent);
    if (*siblings != NULL && !PyDict_CheckExact(*siblings)) {
        Py_CLEAR(*siblings);
    }
    return *siblings != NULL;
}

/* Return the entry that a call's one small value is for, a borrowed reference; NULL if this is not the usual case. */
static PyObject *
usual_entry(PyObject *call)
{
    if (AT(call, call_class.stream) != Py_None || AT(call, call_class.watcher) != Py_None || !can_finish(call)) {
        return NULL;
    }
    PyObject *entries = AT(call, call_class.entries), *entry = NULL;
    if (entries != NULL && PyTuple_CheckExact(entries) && PyTuple_GET_SIZE(entries) == 1) {
        entry = PyTuple_GET_ITEM(entries, 0);
    }
    if (entry == NULL || Py_TYPE(entry) != entry_class.type || AT(entry, entry_class.home) == NULL ||
        (AT(entry, entry_class.state) != numbers[PENDING] && AT(entry, entry_class.state) != numbers[ASKED])) {
        return NULL;
    }
    return entry;
}

/* Return whether an entry has at most one listener, and which: a new reference, or NULL. */
static int
usual_waiter(PyObject *entry, PyObject **waiter)
{
    PyObject *waiters = AT(entry, entry_class.waiters), *value;
    Py_ssize_t position = 0;
    *waiter = NULL;
    if (waiters == NULL || !PyDict_CheckExact(waiters)) {
        return waiters != NULL && PyTuple_CheckExact(waiters) && !PyTuple_GET_SIZE(waiters);
    }
    if (PyDict_GET_SIZE(waiters) > 1) {
        return 0;
    }
    if (PyDict_Next(waiters, &position, waiter, &value)) {
        Py_INCREF(*waiter);
    }
    return 1;
}

/* Store the value of a call's entry. This, and what follows without a listener, is one step: what is dropped goes to
 * the caller, since finalizers may run. */
static void
resolve(PyObject *flight, PyObject *call, PyObject *entry, PyObject *data, PyObject **dropped)
{
    PyObject *target = AT(call, call_class.target);
    dropped[0] = exchange(flight, flight_class.answering, call);
    dropped[1] = target == NULL || target == Py_None ? NULL : exchange(flight, flight_class.answered, target);
    dropped[2] = exchange(entry, entry_class.data, data);
    dropped[3] = exchange(entry, entry_class.parts, Py_None);
    dropped[4] = exchange(entry, entry_class.state, numbers[READY]);
}

/* Do what `PendingCall.finish` does. */
static void
finish(PyObject *flight, PyObject *call, PyObject *entry, PyObject *siblings, PyObject **dropped)
{
    if (siblings != NULL && PyDict_DelItem(siblings, call)) { /* it was removed already */
        PyErr_Clear();
    }
    dropped[5] = exchange(entry, entry_class.call, Py_None);
    dropped[6] = exchange(call, call_class.state, numbers[FINISHED]);
    dropped[7] = exchange(call, call_class.arguments, Py_None);
    dropped[8] = exchange(call, call_class.details, Py_None);
    dropped[9] = exchange(call, call_class.message, Py_None);
    dropped[10] = exchange(call, call_class.target, Py_None);
    dropped[11] = exchange(call, call_class.hold, Py_None);
    dropped[12] = exchange(call, call_class.parent, Py_None);
    dropped[13] = exchange(flight, flight_class.answering, Py_None);
}

#define DROPPED 14

/* End the call `number` with a value. 1: done. 0: nothing was done. -1: an exception of the listener, which is still
 * there, as is the call in `answering`: the answer is handled again. */
static int
end_call(PyObject *flight, PyObject *calls, PyObject *number, PyObject *data)
{
    PyObject *call = PyDict_GetItemWithError(calls, number), *siblings, *waiter, *result = NULL;
    if (call == NULL || Py_TYPE(call) != call_class.type) {
        return 0;
    }
    Py_INCREF(call);
    PyObject *entry = find_siblings(call, &siblings) ? usual_entry(call) : NULL;
    if (entry == NULL || !usual_waiter(entry, &waiter)) {
        Py_XDECREF(siblings);
        Py_DECREF(call);
        return 0;
    }
    Py_INCREF(entry);
    if (!count_news(AT(entry, entry_class.home)) || PyDict_DelItem(calls, number)) {
        Py_DECREF(call);
        Py_DECREF(entry);
        Py_XDECREF(siblings);
        Py_XDECREF(waiter);
        return 0; /* what was counted for nothing has a thread in `wait` look for nothing */
    }
    /* From here on nothing fails but the listener. */
    PyObject *dropped[DROPPED] = {NULL};
    int failed = 0;
    resolve(flight, call, entry, data, dropped);
    if (waiter != NULL) {
        failed = tell(entry, waiter);
        Py_DECREF(waiter);
    }
    if (!failed && can_finish(call)) {
        finish(flight, call, entry, siblings, dropped);
    } else if (!failed) { /* a handler has interrupted the listener, and done something with the call */
        result = PyObject_CallMethodNoArgs(call, name_finish);
        failed = result == NULL;
        if (!failed) {
            dropped[13] = exchange(flight, flight_class.answering, Py_None);
        }
    }
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    for (size_t i = 0; i < DROPPED; i++) {
        Py_XDECREF(dropped[i]);
    }
    Py_XDECREF(result);
    Py_XDECREF(siblings);
    Py_DECREF(entry);
    Py_DECREF(call);
    PyErr_Restore(type, error, trace);
    return failed ? -1 : 1;
}

PyDoc_STRVAR(settle_doc,
             "settle(connection, reply): end a call that has returned one small value. Return False, with nothing\n"
             "done, if this is not the usual case. The leader's thread.");

static PyObject *
settle(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "settle() takes 2 arguments");
        return NULL;
    }
    int done = 0;
    PyObject *flight = PyObject_GetAttr(args[0], name_in_flight);
    if (flight != NULL && Py_TYPE(flight) == flight_class.type && Py_TYPE(args[1]) == answer_class.type) {
        PyObject *calls = AT(flight, flight_class.calls);
        PyObject *number = AT(args[1], answer_class.number), *data = AT(args[1], answer_class.data);
        if (data != NULL && number != NULL && PyLong_CheckExact(number) && calls != NULL && PyDict_CheckExact(calls)) {
            Py_INCREF(calls);
            done = end_call(flight, calls, number, data);
            Py_DECREF(calls);
        }
    }
    Py_XDECREF(flight);
    if (done < 0) {
        return NULL;
    }
    PyErr_Clear();
    return PyBool_FromLong(done);
}

PyDoc_STRVAR(tell_doc,
             "tell_answered(connection): do what `Replies.after_batch` does. Return False, with nothing done, if this\n"
             "is not the usual case. The leader's thread.");

static PyObject *
tell_answered(PyObject *Py_UNUSED(module), PyObject *connection)
{
    PyObject *flight = PyObject_GetAttr(connection, name_in_flight);
    if (flight == NULL || Py_TYPE(flight) != flight_class.type) {
        Py_XDECREF(flight);
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    PyObject *target = AT(flight, flight_class.answered), *told = Py_None;
    if (target != NULL && target != Py_None) {
        Py_INCREF(target);
        told = PyObject_CallMethodOneArg(target, name_answered, connection);
        /* Cleared last, so that an asynchronous exception does not lose the call. */
        if (told != NULL && AT(flight, flight_class.answered) == target) {
            Py_DECREF(exchange(flight, flight_class.answered, Py_None));
        }
        Py_XDECREF(told);
        Py_DECREF(target);
    }
    Py_DECREF(flight);
    if (told == NULL) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

static PyMethodDef functions[] = {
    {"settle",        (PyCFunction)(void (*)(void))settle, METH_FASTCALL, settle_doc},
    {"tell_answered", tell_answered,                       METH_O,        tell_doc  },
    {NULL,            NULL,                                0,             NULL      },
};

int
add_replies(PyObject *module)
{
    if (intern(&name_answered, "answered") || intern(&name_children, "children") || intern(&name_finish, "finish") ||
        intern(&name_in_flight, "in_flight") || intern(&name_ready, "ready") || intern(&name_waiting, "waiting")) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
