/* The event loops of asyncio actors: `LoopBase`, the base of `ActorLoop`. They use what asyncio's own loop uses:
 * handles of callbacks, a deque of those that are due, a heap of those that wait for their time, and a selector. */
#include "loops.h"
#include "holders.h"
#include "polling.h"

#define MANY_TIMERS 100 /* as in asyncio: of so many timers the cancelled ones are thrown away together */

typedef struct {
    PyObject_HEAD
    PyObject *ready, *scheduled, *selector, *debug, *closed, *stopping, *factory, *cancelled, *resolution, *step,
        *context;
    char catches, collects; /* whether the next callback is a task's first step; whether garbage is collected then */
} LoopBase;

static PyTypeObject *handle_type, *loop_type, *task_type; /* NULL before `know_loops` */
static PyObject *asyncio, *base_call_soon, *base_run_once, *heappop, *selector_kind;
static Py_ssize_t callback_at, args_at, loop_at, context_at, cancelled_at, repr_at, traceback_at;
static PyObject *name_append, *name_cancelled, *name_popleft, *name_process_events, *name_report, *name_run,
    *name_scheduled, *name_task, *name_when, *task_options;

HOLDER(LoopBase, loop, ready, context)

static PyMemberDef loop_members[] = {
    {"_ready", T_OBJECT_EX, offsetof(LoopBase, ready), 0, NULL},
    {"_scheduled", T_OBJECT_EX, offsetof(LoopBase, scheduled), 0, NULL},
    {"_selector", T_OBJECT_EX, offsetof(LoopBase, selector), 0, NULL},
    {"_debug", T_OBJECT_EX, offsetof(LoopBase, debug), 0, NULL},
    {"_closed", T_OBJECT_EX, offsetof(LoopBase, closed), 0, NULL},
    {"_stopping", T_OBJECT_EX, offsetof(LoopBase, stopping), 0, NULL},
    {"_task_factory", T_OBJECT_EX, offsetof(LoopBase, factory), 0, NULL},
    {"_timer_cancelled_count", T_OBJECT_EX, offsetof(LoopBase, cancelled), 0, NULL},
    {"_clock_resolution", T_OBJECT_EX, offsetof(LoopBase, resolution), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Return whether a loop is open, without debug mode, and has the parts that asyncio's loop has. */
static int
is_usual(LoopBase *self)
{
    return handle_type != NULL && are_whole(&self->ready, loop_count) && self->debug == Py_False &&
           self->closed == Py_False && Py_TYPE(self->ready) == deque_type;
}

/* ---------------------------------------------------------------------------------------------------------- handles */

static inline PyObject **
slot(PyObject *handle, Py_ssize_t offset)
{
    return (PyObject **)((char *)handle + offset);
}

static PyObject *
new_handle(PyObject *callback, PyObject *args, PyObject *loop, PyObject *context)
{
    PyObject *handle = handle_type->tp_alloc(handle_type, 0);
    if (handle != NULL) {
        *slot(handle, callback_at) = Py_NewRef(callback);
        *slot(handle, args_at) = Py_NewRef(args);
        *slot(handle, loop_at) = Py_NewRef(loop);
        *slot(handle, context_at) = Py_NewRef(context);
        *slot(handle, cancelled_at) = Py_NewRef(Py_False);
        *slot(handle, repr_at) = Py_NewRef(Py_None);
        *slot(handle, traceback_at) = Py_NewRef(Py_None);
    }
    return handle;
}

/* Return the handles that are due, a new reference; NULL with an exception. */
static PyObject *
ready_of(LoopBase *self)
{
    if (self->ready == NULL) {
        PyErr_SetString(PyExc_AttributeError, "_ready");
    }
    return Py_XNewRef(self->ready);
}

/* Append a handle to those that are due. Returns 0, or -1 with an exception. */
static int
add_ready(LoopBase *self, PyObject *handle)
{
    PyObject *ready = ready_of(self),
             *added = ready == NULL ? NULL : PyObject_CallMethodOneArg(ready, name_append, handle);
    Py_XDECREF(ready);
    Py_XDECREF(added);
    return added == NULL ? -1 : 0;
}

void
exit_context(PyObject *context)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    if (PyContext_Exit(context)) {
        PyErr_Clear(); /* it was the current one */
    }
    PyErr_Restore(type, error, trace);
}

PyObject *
call_in(PyObject *context, PyObject *callable, PyObject *const *args, Py_ssize_t count)
{
    if (PyContext_Enter(context)) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(callable, args, count, NULL);
    exit_context(context);
    return result;
}

/* Call the callback of a handle, as `Handle._run` does. Returns 0, or -1 with an exception. */
static int
run(LoopBase *self, PyObject *handle)
{
    PyObject *ran;
    if (!Py_IS_TYPE(handle, handle_type)) { /* that of a timer */
        PyObject *cancelled = PyObject_GetAttr(handle, name_cancelled);
        int is_cancelled = cancelled == NULL ? -1 : PyObject_IsTrue(cancelled);
        Py_XDECREF(cancelled);
        if (is_cancelled) {
            return is_cancelled < 0 ? -1 : 0;
        }
        ran = PyObject_CallMethodNoArgs(handle, name_run);
        Py_XDECREF(ran);
        return ran == NULL ? -1 : 0;
    }
    if (*slot(handle, cancelled_at) == Py_True) {
        return 0;
    }
    PyObject *callback = *slot(handle, callback_at), *args = *slot(handle, args_at),
             *context = *slot(handle, context_at);
    if (callback == NULL || args == NULL || !PyTuple_CheckExact(args) || context == NULL ||
        !PyContext_CheckExact(context)) {
        ran = PyObject_CallMethodNoArgs(handle, name_run);
        Py_XDECREF(ran);
        return ran == NULL ? -1 : 0;
    }
    Py_INCREF(callback); /* the callback may cancel its handle */
    Py_INCREF(args);
    Py_INCREF(context);
    ran = call_in(context, callback, ((PyTupleObject *)args)->ob_item, PyTuple_GET_SIZE(args));
    Py_DECREF(callback);
    Py_DECREF(args);
    Py_DECREF(context);
    if (ran == NULL && !PyErr_ExceptionMatches(PyExc_SystemExit) && !PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        PyErr_NormalizeException(&type, &error, &trace);
        if (trace != NULL) {
            PyException_SetTraceback(error, trace);
        }
        ran = PyObject_CallMethodObjArgs((PyObject *)self, name_report, handle, error, NULL);
        Py_XDECREF(type);
        Py_XDECREF(error);
        Py_XDECREF(trace);
    }
    Py_XDECREF(ran);
    return ran == NULL ? -1 : 0;
}

/* -------------------------------------------------------------------------------------------------------- callbacks */

PyDoc_STRVAR(call_soon_doc, "See asyncio.");

static PyObject *
loop_call_soon(LoopBase *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
    Py_ssize_t named = names == NULL ? 0 : PyTuple_GET_SIZE(names);
    if (count < 1 || !is_usual(self) ||
        (named && (named > 1 || PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), "context")))) {
        PyObject *all = PyTuple_New(count + named + 1);
        if (all == NULL) {
            return NULL;
        }
        PyTuple_SET_ITEM(all, 0, Py_NewRef((PyObject *)self));
        for (Py_ssize_t i = 0; i < count + named; i++) {
            PyTuple_SET_ITEM(all, i + 1, Py_NewRef(args[i]));
        }
        PyObject *handle = PyObject_Vectorcall(base_call_soon, ((PyTupleObject *)all)->ob_item, count + 1, names);
        Py_DECREF(all);
        return handle;
    }
    if (self->catches && count == 1 && named) {
        self->catches = 0;
        store(&self->step, Py_NewRef(args[0])); /* in place of None, as the next one */
        store(&self->context, Py_NewRef(args[1]));
        if (self->collects) {
            PyGC_Enable();
        }
        Py_RETURN_NONE;
    }
    PyObject *context = named && args[count] != Py_None ? Py_NewRef(args[count]) : PyContext_CopyCurrent();
    PyObject *rest = context == NULL ? NULL : PyTuple_New(count - 1);
    for (Py_ssize_t i = 1; rest != NULL && i < count; i++) {
        PyTuple_SET_ITEM(rest, i - 1, Py_NewRef(args[i]));
    }
    PyObject *handle = rest == NULL ? NULL : new_handle(args[0], rest, (PyObject *)self, context);
    Py_XDECREF(rest);
    Py_XDECREF(context);
    if (handle != NULL && add_ready(self, handle)) {
        Py_CLEAR(handle);
    }
    return handle;
}

PyObject *
make_task(PyObject *object, PyObject *coroutine, PyObject *context, Step *step)
{
    LoopBase *self = (LoopBase *)object;
    step->call = step->context = NULL;
    if (!PyObject_TypeCheck(object, loop_type) || !is_usual(self) || self->factory != Py_None || self->catches) {
        return NULL;
    }
    PyObject *type = PyObject_GetAttr(asyncio, name_task);
    Py_XDECREF(type);
    if (type != (PyObject *)task_type) { /* it was patched */
        return NULL;
    }
    PyObject *args[] = {coroutine, object, context};
    /* Up to `call_soon` the constructor runs no code in Python. So what is caught there is this task's step. */
    self->collects = PyGC_Disable() != 0;
    self->catches = 1;
    PyObject *task = PyObject_Vectorcall(type, args, 1, task_options);
    if (self->catches) {
        self->catches = 0;
        if (self->collects) {
            PyGC_Enable();
        }
        return task;
    }
    Step caught = {self->step, self->context};
    self->step = Py_NewRef(Py_None);
    self->context = Py_NewRef(Py_None);
    if (task != NULL) {
        *step = caught;
        return task;
    }
    PyErr_Clear();
    Py_XDECREF(caught.call); /* the task, which was not made to its end, goes with it */
    Py_XDECREF(caught.context);
    return NULL;
}

PyDoc_STRVAR(get_debug_doc, "See asyncio.");

static PyObject *
loop_get_debug(LoopBase *self, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(self->debug == NULL ? Py_False : self->debug);
}

/* ------------------------------------------------------------------------------------------------------------ turns */

/* Return when the first of the timers is due; a negative number without an exception if there is none, with one if that
 * cannot be told. */
static double
first_time(LoopBase *self)
{
    if (PyList_GET_SIZE(self->scheduled) == 0) {
        return -1.0;
    }
    PyObject *when = PyObject_GetAttr(PyList_GET_ITEM(self->scheduled, 0), name_when);
    double time = when == NULL ? -1.0 : PyFloat_AsDouble(when);
    Py_XDECREF(when);
    return time;
}

/* Return whether asyncio would throw cancelled timers away in this turn: 1, 0, or -1 with an exception. */
static int
has_cancelled(LoopBase *self)
{
    Py_ssize_t count = PyList_GET_SIZE(self->scheduled);
    if (count == 0) {
        return 0;
    }
    if (count > MANY_TIMERS) {
        long cancelled = PyLong_AsLong(self->cancelled);
        if (cancelled < 0 || cancelled > count / 2) {
            return PyErr_Occurred() ? -1 : 1;
        }
    }
    PyObject *is_cancelled = PyObject_GetAttr(PyList_GET_ITEM(self->scheduled, 0), name_cancelled);
    Py_XDECREF(is_cancelled);
    return is_cancelled == NULL ? -1 : is_cancelled != Py_False;
}

/* Return whether a turn is the usual case, and for how many seconds it may sleep. */
static int
is_usual_turn(LoopBase *self, double *timeout)
{
    if (!is_usual(self) || !PyList_CheckExact(self->scheduled) || !PyFloat_CheckExact(self->resolution) ||
        !PyLong_CheckExact(self->cancelled) || (PyObject *)Py_TYPE(self->selector) != selector_kind ||
        !is_quick_selector(self->selector) || has_cancelled(self)) {
        return 0;
    }
    *timeout = NO_END;
    if (PyObject_Size(self->ready) > 0 || self->stopping != Py_False) {
        *timeout = 0.0;
    } else if (PyList_GET_SIZE(self->scheduled)) {
        *timeout = first_time(self) - monotonic();
        *timeout = *timeout > 0 ? *timeout : 0.0;
    }
    return !PyErr_Occurred();
}

/* Return the handle of an event of this kind, a borrowed reference; None if there is none, and NULL, without an
 * exception, if this is not the usual case. */
static PyObject *
handle_of(Event *event, int kind)
{
    PyObject *key = event->key,
             *pair = PyTuple_Check(key) && PyTuple_GET_SIZE(key) == 4 ? PyTuple_GET_ITEM(key, 3) : NULL;
    if (pair == NULL || !PyTuple_CheckExact(pair) || PyTuple_GET_SIZE(pair) != 2) {
        return NULL;
    }
    PyObject *handle = PyTuple_GET_ITEM(pair, kind);
    if (!(event->mask & 1 << kind) || handle == Py_None) {
        return Py_None;
    }
    return Py_IS_TYPE(handle, handle_type) && *slot(handle, cancelled_at) == Py_False ? handle : NULL;
}

/* Have the callbacks of events called in this turn. Returns 0, or -1 with an exception. */
static int
add_events(LoopBase *self, Event *events, int count)
{
    int are_usual = 1, failed = 0;
    for (int i = 0; i < count; i++) {
        are_usual = are_usual && handle_of(&events[i], 0) != NULL && handle_of(&events[i], 1) != NULL;
    }
    if (are_usual) {
        for (int i = 0; i < 2 * count && !failed; i++) {
            PyObject *handle = handle_of(&events[i / 2], i % 2);
            failed = handle != Py_None && add_ready(self, handle);
        }
    } else {
        PyObject *list = list_of(events, count);
        PyObject *processed =
            list == NULL ? NULL : PyObject_CallMethodOneArg((PyObject *)self, name_process_events, list);
        failed = processed == NULL;
        Py_XDECREF(list);
        Py_XDECREF(processed);
    }
    return failed ? -1 : 0;
}

/* Have the callbacks of timers that are due called in this turn. Returns 0, or -1 with an exception. */
static int
add_due(LoopBase *self)
{
    double end = -1.0;
    while (self->scheduled != NULL && PyList_CheckExact(self->scheduled) && PyList_GET_SIZE(self->scheduled)) {
        if (end < 0) {
            end = monotonic() + PyFloat_AsDouble(self->resolution);
        }
        double when = first_time(self);
        if (PyErr_Occurred()) {
            return -1;
        }
        if (when >= end) {
            break;
        }
        PyObject *handle = PyObject_CallOneArg(heappop, self->scheduled);
        int failed = handle == NULL || PyObject_SetAttr(handle, name_scheduled, Py_False) || add_ready(self, handle);
        Py_XDECREF(handle);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

/* Call the callbacks that are due now, and not those that they make due. Returns 0, or -1 with an exception. */
static int
run_ready(LoopBase *self)
{
    PyObject *ready = ready_of(self);
    Py_ssize_t count = ready == NULL ? -1 : PyObject_Size(ready);
    int failed = count < 0;
    while (!failed && count-- > 0) {
        PyObject *handle = PyObject_CallMethodNoArgs(ready, name_popleft);
        failed = handle == NULL || run(self, handle);
        Py_XDECREF(handle);
    }
    Py_XDECREF(ready);
    return failed ? -1 : 0;
}

PyDoc_STRVAR(run_once_doc, "See asyncio: one turn of the loop. The usual case here, all others by asyncio's own.");

static PyObject *
loop_run_once(LoopBase *self, PyObject *Py_UNUSED(ignored))
{
    double timeout;
    if (!is_usual_turn(self, &timeout)) {
        PyErr_Clear();
        return PyObject_CallOneArg(base_run_once, (PyObject *)self);
    }
    Event events[MAX_EVENTS];
    PyObject *selector = Py_NewRef(self->selector);
    int count = poll_selector(selector, 1, timeout, events);
    Py_DECREF(selector);
    if (count < 0) {
        return NULL;
    }
    int failed = add_events(self, events, count);
    drop_events(events, count);
    if (failed || add_due(self) || run_ready(self)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef loop_methods[] = {
    {"call_soon", (PyCFunction)(void (*)(void))loop_call_soon, METH_FASTCALL | METH_KEYWORDS, call_soon_doc},
    {"get_debug", (PyCFunction)loop_get_debug,                 METH_NOARGS,                   get_debug_doc},
    {"_run_once", (PyCFunction)loop_run_once,                  METH_NOARGS,                   run_once_doc },
    {NULL,        NULL,                                        0,                             NULL         },
};

PyDoc_STRVAR(loop_doc, "The state of an event loop that asyncio's steps and those in C share.");

static PyType_Slot loop_slots[] = {
    {Py_tp_doc,     (void *)loop_doc},
    HOLDER_SLOTS(loop), {Py_tp_methods, loop_methods    },
    {0,             NULL            }
};

static PyType_Spec loop_spec = {
    .name = "nbactors.speedups._compiled.LoopBase",
    .basicsize = sizeof(LoopBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = loop_slots,
};

/* ------------------------------------------------------------------------------------------------------------- module
 */

PyDoc_STRVAR(know_doc, "know_loops(asyncio, BriskLoopSelector): have the loops here use asyncio's types, and poll\n"
                       "selectors of this type.");

static PyObject *
know_loops(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *package, *selector;
    if (!PyArg_ParseTuple(args, "OO!", &package, &PyType_Type, &selector)) {
        return NULL;
    }
    PyObject *handle = PyObject_GetAttrString(package, "Handle");
    PyObject *task = handle == NULL ? NULL : PyObject_GetAttrString(package, "Task");
    PyObject *base = task == NULL ? NULL : PyObject_GetAttrString(package, "SelectorEventLoop");
    PyObject *call_soon = base == NULL ? NULL : PyObject_GetAttrString(base, "call_soon");
    PyObject *run_once = call_soon == NULL ? NULL : PyObject_GetAttrString(base, "_run_once");
    if (run_once != NULL && PyType_Check(handle) && PyType_Check(task)) {
        PyTypeObject *type = (PyTypeObject *)handle;
        if (!find_slot(type, "_callback", &callback_at) && !find_slot(type, "_args", &args_at) &&
            !find_slot(type, "_loop", &loop_at) && !find_slot(type, "_context", &context_at) &&
            !find_slot(type, "_cancelled", &cancelled_at) && !find_slot(type, "_repr", &repr_at) &&
            !find_slot(type, "_source_traceback", &traceback_at)) {
            /* all for good, as the module */
            asyncio = Py_NewRef(package);
            selector_kind = Py_NewRef(selector);
            base_call_soon = Py_NewRef(call_soon);
            base_run_once = Py_NewRef(run_once);
            task_type = (PyTypeObject *)Py_NewRef(task);
            handle_type = (PyTypeObject *)Py_NewRef(handle);
        }
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "asyncio's Handle and Task are to be types");
    }
    Py_XDECREF(handle);
    Py_XDECREF(task);
    Py_XDECREF(base);
    Py_XDECREF(call_soon);
    Py_XDECREF(run_once);
    if (PyErr_Occurred()) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"know_loops", know_loops, METH_VARARGS, know_doc},
    {NULL,         NULL,       0,            NULL    },
};

int
add_loops(PyObject *module)
{
    PyObject *heaps = PyImport_ImportModule("heapq");
    heappop = heaps == NULL ? NULL : PyObject_GetAttrString(heaps, "heappop");
    Py_XDECREF(heaps);
    task_options =
        PY_VERSION_HEX < 0x030b0000 ? Py_BuildValue("(s)", "loop") : Py_BuildValue("(ss)", "loop", "context");
    if (heappop == NULL || task_options == NULL || intern(&name_append, "append") ||
        intern(&name_cancelled, "_cancelled") || intern(&name_popleft, "popleft") ||
        intern(&name_process_events, "_process_events") || intern(&name_report, "_report") ||
        intern(&name_run, "_run") || intern(&name_scheduled, "_scheduled") || intern(&name_task, "Task") ||
        intern(&name_when, "_when")) {
        return -1;
    }
    loop_type = add_type(module, "LoopBase", &loop_spec);
    return loop_type == NULL || PyModule_AddFunctions(module, functions) ? -1 : 0;
}
