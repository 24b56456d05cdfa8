/* Waiting for results: `Waiter`, and `ReactorBase`, the base class of `Reactor`, see `local/reactor`. */
#include "holders.h"
#include "polling.h"

#include <signal.h>

static PyTypeObject *waiter_type, *reactor_type;
static PyObject *getsignal, *sigint; /* `_signal.getsignal` and the number of SIGINT */
static PyObject *name_blame, *name_due, *name_end_sleep, *name_handler, *name_left, *name_pass_on, *name_raise_due,
    *name_release, *name_run, *name_settle, *name_sleeper, *name_targets, *name_wake;

/* ---------------------------------------------------------------------------------------------------------- waiters */

typedef struct {
    PyObject_HEAD
    char done, follows, interrupted;
    unsigned long long ident;
    PyObject *lock, *led;
} Waiter;

typedef struct {
    PyObject_HEAD
    /* Objects, from `selector` to `shelter`: NULL only once deleted, see `is_whole`. */
    PyObject *selector, *leader, *reading, *followers, *dirty, *trash, *left_steps, *timers, *guard, *shelter;
    char sleeping, is_late, parked, closed;
    double read_at;
    unsigned long long stints, main_ident;
} ReactorBase;

static PyMemberDef waiter_members[] = {
    {"done", T_BOOL, offsetof(Waiter, done), 0, NULL},
    {"follows", T_BOOL, offsetof(Waiter, follows), 0, NULL},
    {"interrupted", T_BOOL, offsetof(Waiter, interrupted), 0, NULL},
    {"ident", T_ULONGLONG, offsetof(Waiter, ident), 0, NULL},
    {"lock", T_OBJECT_EX, offsetof(Waiter, lock), 0, NULL},
    {"led", T_OBJECT_EX, offsetof(Waiter, led), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

HOLDER(Waiter, waiter, lock, led)

static int
is_set(PyObject *object)
{
    return object != NULL && object != Py_None;
}

/* Wake the thread if it sleeps. Returns 0, or -1 with an exception. */
static int
rouse(Waiter *self)
{
    if (is_set(self->lock)) {
        PyObject *result = PyObject_CallMethodNoArgs(self->lock, name_release);
        if (result == NULL) {
            if (!PyErr_ExceptionMatches(PyExc_RuntimeError)) {
                return -1;
            }
            PyErr_Clear(); /* it is awake already */
        }
        Py_XDECREF(result);
    }
    PyObject *led = self->led;
    if (!is_set(led) || (PyObject_TypeCheck(led, reactor_type) && !((ReactorBase *)led)->sleeping)) {
        return 0;
    }
    Py_INCREF(led);
    PyObject *result = PyObject_CallMethodNoArgs(led, name_end_sleep);
    Py_DECREF(led);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static PyObject *
waiter_rouse(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    if (rouse(self)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
waiter_finish(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    self->done = 1;
    return waiter_rouse(self, NULL);
}

static PyObject *
waiter_ready(Waiter *self, PyObject *Py_UNUSED(thing))
{
    return waiter_finish(self, NULL);
}

static PyObject *
waiter_interrupt(Waiter *self, PyObject *Py_UNUSED(ignored))
{
    self->interrupted = 1;
    if (is_set(self->led)) {
        PyObject *led = self->led;
        Py_INCREF(led);
        PyObject *result = PyObject_CallMethodNoArgs(led, name_wake);
        Py_DECREF(led);
        if (result == NULL) {
            return NULL;
        }
        Py_DECREF(result);
    }
    return waiter_rouse(self, NULL);
}

static PyMethodDef waiter_methods[] = {
    {"finish",    (PyCFunction)waiter_finish,    METH_NOARGS, NULL},
    {"interrupt", (PyCFunction)waiter_interrupt, METH_NOARGS, NULL},
    {"ready",     (PyCFunction)waiter_ready,     METH_O,      NULL},
    {"rouse",     (PyCFunction)waiter_rouse,     METH_NOARGS, NULL},
    {NULL,        NULL,                          0,           NULL},
};

PyDoc_STRVAR(waiter_doc, "What `local.reactor.waiter` describes.");

static PyType_Slot waiter_slots[] = {
    {Py_tp_doc,     (void *)waiter_doc},
    HOLDER_SLOTS(waiter), {Py_tp_methods, waiter_methods    },
    {0,             NULL              }
};

static PyType_Spec waiter_spec = {
    .name = "nbactors.speedups._compiled.Waiter",
    .basicsize = sizeof(Waiter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = waiter_slots,
};

/* ---------------------------------------------------------------------------------------------------------- leading */

static PyMemberDef reactor_members[] = {
    {"_selector", T_OBJECT_EX, offsetof(ReactorBase, selector), 0, NULL},
    {"leader", T_OBJECT_EX, offsetof(ReactorBase, leader), 0, NULL},
    {"reading", T_OBJECT_EX, offsetof(ReactorBase, reading), 0, NULL},
    {"followers", T_OBJECT_EX, offsetof(ReactorBase, followers), 0, NULL},
    {"dirty", T_OBJECT_EX, offsetof(ReactorBase, dirty), 0, NULL},
    {"trash", T_OBJECT_EX, offsetof(ReactorBase, trash), 0, NULL},
    {"left_steps", T_OBJECT_EX, offsetof(ReactorBase, left_steps), 0, NULL},
    {"_timers", T_OBJECT_EX, offsetof(ReactorBase, timers), 0, NULL},
    {"guard", T_OBJECT_EX, offsetof(ReactorBase, guard), 0, NULL},
    {"shelter", T_OBJECT_EX, offsetof(ReactorBase, shelter), 0, NULL},
    {"_sleeping", T_BOOL, offsetof(ReactorBase, sleeping), 0, NULL},
    {"is_late", T_BOOL, offsetof(ReactorBase, is_late), 0, NULL},
    {"parked", T_BOOL, offsetof(ReactorBase, parked), 0, NULL},
    {"closed", T_BOOL, offsetof(ReactorBase, closed), 0, NULL},
    {"read_at", T_DOUBLE, offsetof(ReactorBase, read_at), 0, NULL},
    {"stints", T_ULONGLONG, offsetof(ReactorBase, stints), 0, NULL},
    {"_main_ident", T_ULONGLONG, offsetof(ReactorBase, main_ident), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

HOLDER(ReactorBase, reactor, selector, shelter)

/* Return whether the steps in C may serve. */
static int
is_usual(ReactorBase *self)
{
    return are_whole(&self->selector, reactor_count) && is_quick_selector(self->selector);
}

/* Return whether a queue has anything in it, or -1 with an exception. */
static int
is_filled(PyObject *queue)
{
    Py_ssize_t size = queue == NULL ? 0 : PyObject_Size(queue);
    return size < 0 ? -1 : size > 0;
}

/* Return an attribute that is a number, or -1 with an exception. */
static double
number_of(PyObject *object, PyObject *name)
{
    PyObject *value = PyObject_GetAttr(object, name);
    double number = value == NULL ? -1 : PyFloat_AsDouble(value);
    Py_XDECREF(value);
    return number;
}

/* Call a method without arguments. Returns 0, or -1 with an exception. */
static int
call(PyObject *object, PyObject *name)
{
    PyObject *result = PyObject_CallMethodNoArgs(object, name);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Do what `_settle` does, where there is something to do. Returns 0, or -1 with an exception. */
static int
settle(ReactorBase *self)
{
    int is_due = is_filled(self->dirty);
    if (!is_due) {
        is_due = is_filled(self->trash);
    }
    if (!is_due) {
        PyObject *targets = PyObject_GetAttr(self->left_steps, name_targets);
        is_due = targets == NULL ? -1 : is_filled(targets);
        Py_XDECREF(targets);
    }
    return is_due > 0 ? call((PyObject *)self, name_settle) : is_due;
}

/* Run the callback of an event. An exception goes to `blame`. Returns 0, or -1 with an exception. */
static int
run_callback(ReactorBase *self, Event *event)
{
    PyObject *mask = PyLong_FromLong(event->mask);
    PyObject *callback = PyTuple_GET_ITEM(event->key, 3); /* `data` of the SelectorKey */
    PyObject *result = mask == NULL ? NULL : PyObject_CallOneArg(callback, mask);
    if (result == NULL && mask != NULL) {
        PyObject *outer[3], *error = begin_handling(outer);
        result = PyObject_CallMethodObjArgs((PyObject *)self, name_blame, error, callback, mask, NULL);
        end_handling(outer);
        Py_DECREF(error);
    }
    Py_XDECREF(mask);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Do what `poll` does. Returns 0, or -1 with an exception. `waiter` may be NULL. */
static int
poll_once(ReactorBase *self, double seconds, Waiter *waiter)
{
    Event events[MAX_EVENTS];
    if (!is_usual(self) || settle(self) || !is_usual(self)) { /* code in Python has run meanwhile */
        return PyErr_Occurred() ? -1 : 0;
    }
    if (seconds != 0) {
        self->sleeping = 1;
        /* All checks below follow the flag: a thread that came before the flag saw no sleeping leader to wake. */
        double due = number_of(self->timers, name_due);
        int is_due = PyErr_Occurred() ? -1 : is_filled(self->dirty);
        if (!is_due) {
            is_due = is_filled(self->trash);
        }
        if (is_due < 0) {
            self->sleeping = 0;
            return -1;
        }
        if (is_due || (waiter != NULL && waiter->done)) {
            seconds = 0;
        } else if (due < Py_HUGE_VAL) {
            double until = due - monotonic();
            until = until > 0 ? until : 0;
            if (seconds < 0 || until < seconds) {
                seconds = until;
            }
        }
    }
    PyObject *selector = self->selector;
    Py_INCREF(selector);
    int count = poll_selector(selector, waiter != NULL, seconds, events);
    self->sleeping = 0;
    self->is_late = seconds == 0 || (waiter != NULL && has_found_at_once(selector));
    Py_DECREF(selector);
    if (count < 0) {
        if (self->closed && (PyErr_ExceptionMatches(PyExc_OSError) || PyErr_ExceptionMatches(PyExc_ValueError))) {
            PyErr_Clear(); /* another thread has closed the selector */
            return 0;
        }
        return -1;
    }
    self->read_at = monotonic();
    int failed = 0;
    for (int i = 0; i < count; i++) {
        failed = failed || run_callback(self, &events[i]);
        Py_DECREF(events[i].key);
    }
    if (failed) {
        return -1;
    }
    PyObject *timers = self->timers;
    if (timers == NULL) {
        return 0;
    }
    double due = number_of(timers, name_due);
    if (due == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (due <= self->read_at) {
        Py_INCREF(timers);
        failed = call(timers, name_run);
        Py_DECREF(timers);
    }
    return failed;
}

PyDoc_STRVAR(
    poll_doc,
    "_poll_quickly(timeout, waiter): do what `poll` does. Return False, with nothing done, if this is not the\n"
    "usual case.");

static PyObject *
reactor_poll(ReactorBase *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_poll_quickly takes a timeout and a waiter");
        return NULL;
    }
    if (!is_usual(self) || !(args[1] == Py_None || PyObject_TypeCheck(args[1], waiter_type))) {
        Py_RETURN_FALSE;
    }
    double seconds = args[0] == Py_None ? NO_END : PyFloat_AsDouble(args[0]);
    if (PyErr_Occurred() || poll_once(self, seconds, args[1] == Py_None ? NULL : (Waiter *)args[1])) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

/* Return whether the runtime's own handler of SIGINT is installed; -1 with an exception. */
static int
is_sheltered(PyObject *shelter)
{
    PyObject *handler = PyObject_CallOneArg(getsignal, sigint);
    PyObject *own = handler == NULL ? NULL : PyObject_GetAttr(shelter, name_handler);
    int is_own = own == NULL ? -1 : own == handler;
    Py_XDECREF(handler);
    Py_XDECREF(own);
    return is_own;
}

/* Return whether a signal is due; -1 with an exception. */
static int
is_signal_due(PyObject *shelter)
{
    PyObject *due = PyObject_GetAttr(shelter, name_due);
    int is_due = due == NULL ? -1 : PyObject_IsTrue(due);
    Py_XDECREF(due);
    return is_due;
}

/* Poll until the waiter is done, or the wait is over. `deadline` is NO_END for none. Returns 0, or -1 with an
 * exception. */
static int
lead(ReactorBase *self, Waiter *waiter, double deadline)
{
    while (!waiter->done && !waiter->interrupted && !self->closed) {
        double seconds = NO_END;
        if (deadline != NO_END) {
            seconds = deadline - monotonic();
            if (seconds <= 0) { /* poll once without blocking: get(timeout=0) must see results that have arrived */
                return poll_once(self, 0, NULL);
            }
        }
        if (!is_usual(self)) { /* the steps in Python go on */
            return 0;
        }
        if (poll_once(self, seconds, waiter)) {
            return -1;
        }
    }
    return 0;
}

/* End the leadership, as the `finally` clauses of the steps in Python do, also while an exception is set. Without a
 * `shelter` the thread was not in a wait. Returns 0, or -1 with an exception. */
static int
leave(ReactorBase *self, PyObject *shelter, PyObject *outer)
{
    PyObject *before[3], *error = PyErr_Occurred() ? begin_handling(before) : NULL;
    Py_INCREF(Py_None);
    store(&self->leader, Py_None);
    int failed = 0, has_followers = is_filled(self->followers);
    PyObject *guard = self->guard;
    if (has_followers || self->parked || self->closed || guard == NULL) {
        failed = has_followers < 0 || call((PyObject *)self, name_pass_on);
    } else if (guard != Py_None) { /* all that `pass_on` does then */
        Py_INCREF(guard);
        failed = call(guard, name_left);
        Py_DECREF(guard);
    }
    PyObject *type, *second, *trace;
    PyErr_Fetch(&type, &second, &trace);
    int is_restored = shelter == NULL || !PyObject_SetAttr(shelter, name_sleeper, outer);
    if (error != NULL) {
        end_handling(before);
    }
    if (failed) { /* it has the first exception as its context, since that was being handled */
        PyErr_Restore(type, second, trace);
    } else if (error != NULL && is_restored) {
        PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), Py_NewRef(error), PyException_GetTraceback(error));
    }
    Py_XDECREF(error);
    return failed || error != NULL || !is_restored ? -1 : 0;
}

PyDoc_STRVAR(wait_doc,
             "_wait_quickly(waiter, deadline): wait on the main thread, as the leader. Return whether the waiter is\n"
             "done; None if the steps in Python are to go on.");

static PyObject *
reactor_wait(ReactorBase *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_wait_quickly takes a waiter and a deadline");
        return NULL;
    }
    if (!is_usual(self) || self->leader != Py_None || self->closed || PyThread_get_thread_ident() != self->main_ident ||
        !PyObject_TypeCheck(args[0], waiter_type)) {
        Py_RETURN_NONE;
    }
    Waiter *waiter = (Waiter *)args[0];
    double deadline = args[1] == Py_None ? NO_END : PyFloat_AsDouble(args[1]);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (args[1] != Py_None && deadline < 0) { /* it is long over */
        deadline = 0;
    }
    PyObject *shelter = self->shelter;
    Py_INCREF(shelter);
    int is_own = is_sheltered(shelter);
    PyObject *outer = is_own > 0 ? PyObject_GetAttr(shelter, name_sleeper) : NULL;
    if (outer == NULL) {
        Py_DECREF(shelter);
        if (is_own) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    waiter->ident = self->main_ident;
    int is_due = PyObject_SetAttr(shelter, name_sleeper, (PyObject *)waiter) ? -1 : is_signal_due(shelter);
    if (is_due > 0) { /* a SIGINT before this line; a later one finds the waiter */
        waiter->interrupted = 1;
    }
    int failed = is_due < 0;
    if (!failed && self->leader != Py_None) { /* a shelter that is code in Python has let another thread lead */
        failed = PyObject_SetAttr(shelter, name_sleeper, outer);
        Py_DECREF(outer);
        Py_DECREF(shelter);
        if (failed) {
            return NULL;
        }
        Py_RETURN_NONE;
    }
    if (!failed) {
        Py_INCREF(waiter);
        store(&self->leader, (PyObject *)waiter);
        self->stints++;
        /* Through `led`, another thread ends this poll: for example one that cancels a call before it was sent. */
        Py_INCREF(self);
        store(&waiter->led, (PyObject *)self);
        failed = lead(self, waiter, deadline);
    }
    failed = leave(self, shelter, outer) || failed;
    is_due = failed ? 0 : is_signal_due(shelter);
    if (is_due > 0) {
        waiter->interrupted = 0;
        failed = call(shelter, name_raise_due);
    }
    Py_DECREF(outer);
    Py_DECREF(shelter);
    if (failed || is_due < 0) {
        return NULL;
    }
    if (!waiter->done && !waiter->interrupted && !self->closed && (deadline == NO_END || monotonic() < deadline)) {
        Py_RETURN_NONE;
    }
    return PyBool_FromLong(waiter->done);
}

PyDoc_STRVAR(visit_doc,
             "_visit_quickly(stints): do what `_lead_for_a_moment` does; None, with nothing done, if this is not the\n"
             "usual case.");

static PyObject *
reactor_visit(ReactorBase *self, PyObject *stints)
{
    long added = PyLong_AsLong(stints);
    if (added == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (!is_usual(self) || self->leader != Py_None) {
        Py_RETURN_NONE;
    }
    Waiter *waiter = (Waiter *)PyObject_CallNoArgs((PyObject *)waiter_type);
    if (waiter == NULL) {
        return NULL;
    }
    if (self->leader != Py_None) { /* the garbage collector has run code in Python, which leads now */
        Py_DECREF(waiter);
        Py_RETURN_NONE;
    }
    waiter->ident = PyThread_get_thread_ident();
    store(&self->leader, (PyObject *)waiter);
    self->stints += (unsigned long long)added;
    int failed = poll_once(self, 0, NULL) || (is_usual(self) ? settle(self) : call((PyObject *)self, name_settle));
    failed = leave(self, NULL, NULL) || failed;
    if (failed) {
        return NULL;
    }
    Py_RETURN_TRUE;
}

static PyMethodDef reactor_methods[] = {
    {"_poll_quickly",  (PyCFunction)(void (*)(void))reactor_poll, METH_FASTCALL, poll_doc },
    {"_visit_quickly", (PyCFunction)reactor_visit,                METH_O,        visit_doc},
    {"_wait_quickly",  (PyCFunction)(void (*)(void))reactor_wait, METH_FASTCALL, wait_doc },
    {NULL,             NULL,                                      0,             NULL     },
};

PyDoc_STRVAR(reactor_doc, "The state of a reactor that the steps in C and those in Python share.");

static PyType_Slot reactor_slots[] = {
    {Py_tp_doc,     (void *)reactor_doc},
    HOLDER_SLOTS(reactor), {Py_tp_methods, reactor_methods    },
    {0,             NULL               }
};

static PyType_Spec reactor_spec = {
    .name = "nbactors.speedups._compiled.ReactorBase",
    .basicsize = sizeof(ReactorBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = reactor_slots,
};

int
add_leading(PyObject *module)
{
    if (intern(&name_blame, "blame") || intern(&name_due, "due") || intern(&name_end_sleep, "end_sleep") ||
        intern(&name_raise_due, "raise_due") || intern(&name_handler, "handler") || intern(&name_left, "left") ||
        intern(&name_pass_on, "pass_on") || intern(&name_release, "release") || intern(&name_run, "run") ||
        intern(&name_settle, "_settle") || intern(&name_sleeper, "sleeper") || intern(&name_targets, "targets") ||
        intern(&name_wake, "wake")) {
        return -1;
    }
    PyObject *signals = PyImport_ImportModule("_signal");
    getsignal = signals == NULL ? NULL : PyObject_GetAttrString(signals, "getsignal");
    Py_XDECREF(signals);
    sigint = PyLong_FromLong(SIGINT);
    if (getsignal == NULL || sigint == NULL) {
        return -1;
    }
    waiter_type = (PyTypeObject *)PyType_FromSpec(&waiter_spec);
    reactor_type = (PyTypeObject *)PyType_FromSpec(&reactor_spec);
    return waiter_type == NULL || reactor_type == NULL ||
                   PyModule_AddObjectRef(module, "Waiter", (PyObject *)waiter_type) ||
                   PyModule_AddObjectRef(module, "ReactorBase", (PyObject *)reactor_type)
               ? -1
               : 0;
}
