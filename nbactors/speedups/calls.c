/* The usual case of making a call and sending it. */
#include "calls.h"
#include "connections.h"
#include "holders.h"

EntryClass entry_class;
CallClass call_class;
FlightClass flight_class;
QueueClass queue_class;
RefClass ref_class;
WaitingClass waiting_class;
AnswerClass answer_class;
PyObject *run_type;
static LinkClass link_class;
static TurnsClass turns_class;
static PyTypeObject *method_type;
static PyObject *message_type, *count_type;

PyObject *numbers[STATES], *no_bytes, *no_text, *no_time, *no_tuple;
static PyObject *name_append, *name_children, *name_dirty, *name_in_flight, *name_nudge, *name_reactor, *name_task_id;

static const Slot entry_slots[] = {
    {"call",    &entry_class.call   },
    {"data",    &entry_class.data   },
    {"home",    &entry_class.home   },
    {"index",   &entry_class.index  },
    {"number",  &entry_class.number },
    {"parts",   &entry_class.parts  },
    {"state",   &entry_class.state  },
    {"waiters", &entry_class.waiters},
    {NULL,      NULL                },
};
static const Slot call_slots[] = {
    {"arguments",  &call_class.arguments },
    {"awaited",    &call_class.awaited   },
    {"canceled",   &call_class.canceled  },
    {"connection", &call_class.connection},
    {"details",    &call_class.details   },
    {"entries",    &call_class.entries   },
    {"group",      &call_class.group     },
    {"hold",       &call_class.hold      },
    {"message",    &call_class.message   },
    {"number",     &call_class.number    },
    {"origin",     &call_class.origin    },
    {"parent",     &call_class.parent    },
    {"parent_id",  &call_class.parent_id },
    {"queue",      &call_class.queue     },
    {"retries",    &call_class.retries   },
    {"state",      &call_class.state     },
    {"stream",     &call_class.stream    },
    {"submitted",  &call_class.submitted },
    {"target",     &call_class.target    },
    {"timeout_s",  &call_class.timeout_s },
    {"timer",      &call_class.timer     },
    {"watcher",    &call_class.watcher   },
    {NULL,         NULL                  },
};
static const Slot flight_slots[] = {
    {"answered",  &flight_class.answered },
    {"answering", &flight_class.answering},
    {"calls",     &flight_class.calls    },
    {"functions", &flight_class.functions},
    {NULL,        NULL                   },
};
static const Slot link_slots[] = {
    {"_connection",  &link_class.connection },
    {"_doomed",      &link_class.doomed     },
    {"_down",        &link_class.down       },
    {"_max_retries", &link_class.max_retries},
    {"_queues",      &link_class.queues     },
    {"_restarting",  &link_class.restarting },
    {"_turns",       &link_class.turns      },
    {NULL,           NULL                   },
};
static const Slot turns_slots[] = {
    {"owner", &turns_class.owner},
    {"steps", &turns_class.steps},
    {NULL,    NULL              }
};
static const Slot queue_slots[] = {
    {"calls", &queue_class.calls},
    {NULL,    NULL              }
};
static const Slot waiting_slots[] = {
    {"news",     &waiting_class.news    },
    {"watchers", &waiting_class.watchers},
    {NULL,       NULL                   }
};
static const Slot answer_slots[] = {
    {"data",   &answer_class.data  },
    {"number", &answer_class.number},
    {NULL,     NULL                }
};
static const Slot ref_slots[] = {
    {"_entry", &ref_class.entry},
    {NULL,     NULL            }
};

int
find_slots(PyObject *type, const Slot *slots)
{
    for (; slots->name != NULL; slots++) {
        if (find_slot((PyTypeObject *)type, slots->name, slots->offset)) {
            return -1;
        }
    }
    return 0;
}

PyDoc_STRVAR(know_doc,
             "Use these classes from now on: Entry, Waiting, InFlight, PendingCall, CallQueue, Turns, LocalActorLink,\n"
             "ObjectRef, Call, Run, Reply and MethodMeta.");

static PyObject *
know(PyObject *Py_UNUSED(module), PyObject *const *classes, Py_ssize_t count)
{
    const struct {
        PyTypeObject **type;
        const Slot *slots;
    } known[] = {
        {&entry_class.type,              entry_slots  },
        {&waiting_class.type,            waiting_slots},
        {&flight_class.type,             flight_slots },
        {&call_class.type,               call_slots   },
        {&queue_class.type,              queue_slots  },
        {&turns_class.type,              turns_slots  },
        {&link_class.type,               link_slots   },
        {&ref_class.type,                ref_slots    },
        {(PyTypeObject **)&message_type, NULL         },
        {(PyTypeObject **)&run_type,     NULL         },
        {&answer_class.type,             answer_slots },
        {&method_type,                   NULL         },
    };
    if (count != sizeof known / sizeof *known) {
        PyErr_SetString(PyExc_TypeError, "know() takes one class of each kind");
        return NULL;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (!PyType_Check(classes[i])) {
            PyErr_SetString(PyExc_TypeError, "know() takes classes");
            return NULL;
        }
        if (known[i].slots != NULL && find_slots(classes[i], known[i].slots)) {
            return NULL;
        }
        Py_INCREF(classes[i]);
        Py_XDECREF(*known[i].type);
        *known[i].type = (PyTypeObject *)classes[i];
    }
    Py_RETURN_NONE;
}

int
is_deque(PyObject *object)
{
    return object != NULL && Py_TYPE(object) == deque_type;
}

int
is_empty_deque(PyObject *object)
{
    return is_deque(object) && PyObject_Size(object) == 0;
}

int
is_count(PyObject *object)
{
    return (PyObject *)Py_TYPE(object) == count_type;
}

int
are_free(PyObject *turns)
{
    return turns != NULL && Py_TYPE(turns) == turns_class.type && AT(turns, turns_class.owner) == numbers[0] &&
           is_empty_deque(AT(turns, turns_class.steps));
}

/* Return the connection on which an actor's link would send a fresh call of a group now, a borrowed reference; NULL if
 * the call has to wait, or something else is to be done first. */
static PyObject *
open_connection(PyObject *link, PyObject *group)
{
    if (Py_TYPE(link) != link_class.type || AT(link, link_class.down) != Py_None ||
        AT(link, link_class.restarting) != Py_None || !is_empty_deque(AT(link, link_class.doomed))) {
        return NULL;
    }
    PyObject *queues = AT(link, link_class.queues);
    if (!are_free(AT(link, link_class.turns)) || queues == NULL || !PyDict_CheckExact(queues) ||
        !PyUnicode_CheckExact(group)) {
        return NULL;
    }
    PyObject *queue = PyDict_GetItemWithError(queues, group);
    if (queue != NULL && (Py_TYPE(queue) != queue_class.type || !is_empty_deque(AT(queue, queue_class.calls)))) {
        return NULL;
    }
    return AT(link, link_class.connection);
}

void
leave(Way *way)
{
    Py_CLEAR(way->line);
    Py_CLEAR(way->reactor);
    Py_CLEAR(way->outbox);
    Py_CLEAR(way->flight);
    Py_CLEAR(way->calls);
}

PyObject *
flight_of(PyObject *connection)
{
    PyObject *flight = PyObject_GetAttr(connection, name_in_flight);
    if (flight != NULL && (Py_TYPE(flight) != flight_class.type || AT(flight, flight_class.calls) == NULL ||
                           !PyDict_CheckExact(AT(flight, flight_class.calls)))) {
        Py_CLEAR(flight);
    }
    return flight;
}

int
find_way(PyObject *connection, int at_once, Way *way)
{
    memset(way, 0, sizeof *way);
    if (connection == NULL || !is_connection(connection)) {
        return 0;
    }
    Py_INCREF(connection);
    way->line = connection;
    way->flight = flight_of(connection);
    if (way->flight != NULL) {
        way->calls = Py_NewRef(AT(way->flight, flight_class.calls));
        way->at_once = at_once < 0 ? PyDict_GET_SIZE(way->calls) == 0 : at_once;
        way->outbox = messages_of(connection, way->at_once);
    }
    if (way->outbox != NULL && PyList_GET_SIZE(way->outbox) + 1 < GATHER) {
        way->reactor = PyObject_GetAttr(connection, name_reactor);
    }
    if (way->reactor == NULL) {
        PyErr_Clear();
        leave(way);
        return 0;
    }
    return 1;
}

/* Have the leader flush the connection soon. Returns 0, or -1 with an exception. */
static int
make_dirty(Way *way)
{
    PyObject *dirty = PyObject_GetAttr(way->reactor, name_dirty);
    PyObject *appended = is_deque(dirty) ? PyObject_CallMethodOneArg(dirty, name_append, way->line) : NULL;
    Py_XDECREF(dirty);
    Py_XDECREF(appended);
    return appended == NULL ? -1 : 0;
}

int
put_in_flight(Way *way, PyObject *call, PyObject *message)
{
    PyObject *number = AT(call, call_class.number), *outbox = way->outbox;
    int is_first = !PyList_GET_SIZE(outbox);
    if ((!way->at_once && is_first && make_dirty(way)) || PyDict_SetItem(way->calls, number, call)) {
        PyErr_Clear();
        return 0; /* a connection that is dirty for nothing is flushed for nothing */
    }
    if (PyList_Append(outbox, message)) {
        PyErr_Clear();
        if (PyDict_DelItem(way->calls, number)) {
            PyErr_Clear();
        }
        return 0;
    }
    Py_DECREF(exchange(call, call_class.connection, way->line)); /* it was None, and the state a small number */
    Py_DECREF(exchange(call, call_class.state, numbers[SENT]));
    if (way->at_once) {
        return send_line(way->line, outbox) ? 1 : 2;
    }
    return is_first ? 2 : 1;
}

int
follow(Way *way)
{
    if (way->at_once) {
        return flush_line(way->line);
    }
    PyObject *result = PyObject_CallMethodNoArgs(way->reactor, name_nudge);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

int
is_fresh(PyObject *call)
{
    PyObject *number = AT(call, call_class.number);
    return AT(call, call_class.state) == numbers[QUEUED] && AT(call, call_class.connection) == Py_None &&
           AT(call, call_class.stream) == Py_None && number != NULL && PyLong_CheckExact(number);
}

PyDoc_STRVAR(go_out_doc,
             "go_out(call, connection, message, at_once): send a call that waits for nothing. Return False, with\n"
             "nothing done, if this is not the usual case.");

static PyObject *
go_out(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "go_out() takes 4 arguments");
        return NULL;
    }
    PyObject *call = args[0];
    Way way;
    if (Py_TYPE(call) != call_class.type || !is_fresh(call) || !find_way(args[1], args[3] == Py_True, &way)) {
        Py_RETURN_FALSE;
    }
    int collects = PyGC_Disable();
    int done = put_in_flight(&way, call, args[2]);
    if (collects) {
        PyGC_Enable();
    }
    int failed = done == 2 && follow(&way);
    leave(&way);
    return failed ? NULL : PyBool_FromLong(done);
}

static PyObject *
empty(PyTypeObject *type)
{
    return type->tp_alloc(type, 0);
}

static void
set(PyObject *object, Py_ssize_t offset, PyObject *value)
{
    Py_INCREF(value);
    AT(object, offset) = value;
}

/* Do what `Entry.__init__` does. */
static void
fill_entry(PyObject *entry, PyObject *home, PyObject *number, PyObject *call)
{
    set(entry, entry_class.home, home);
    set(entry, entry_class.number, number);
    set(entry, entry_class.index, numbers[0]);
    set(entry, entry_class.state, numbers[PENDING]);
    set(entry, entry_class.data, no_bytes);
    set(entry, entry_class.parts, Py_None);
    set(entry, entry_class.waiters, no_tuple);
    set(entry, entry_class.call, call);
}

/* Do what `PendingCall.__init__` does, and what `LocalActorLink.call` does after it. */
static void
fill_call(PyObject *call, const Plan *plan, const Made *made)
{
    set(call, call_class.number, made->number);
    set(call, call_class.entries, made->entries);
    set(call, call_class.target, plan->target);
    set(call, call_class.message, made->message);
    set(call, call_class.arguments, plan->arguments);
    set(call, call_class.awaited, Py_None);
    set(call, call_class.queue, Py_None);
    set(call, call_class.retries, plan->retries);
    set(call, call_class.details, Py_None);
    set(call, call_class.state, numbers[QUEUED]);
    set(call, call_class.hold, plan->hold);
    set(call, call_class.group, plan->group);
    set(call, call_class.canceled, Py_None);
    set(call, call_class.timeout_s, no_time);
    set(call, call_class.timer, Py_None);
    set(call, call_class.parent, plan->parent);
    set(call, call_class.parent_id, plan->parent_id);
    set(call, call_class.submitted, plan->submitted);
    set(call, call_class.watcher, Py_None);
    set(call, call_class.origin, plan->origin);
    set(call, call_class.stream, Py_None);
    set(call, call_class.connection, Py_None);
}

int
make_empty(Made *made)
{
    made->entry = empty(entry_class.type);
    made->ref = empty(ref_class.type);
    made->call = empty(call_class.type);
    made->entries = made->entry == NULL ? NULL : PyTuple_Pack(1, made->entry);
    return made->ref == NULL || made->call == NULL || made->entries == NULL ? -1 : 0;
}

void
fill(const Plan *plan, Made *made)
{
    set(made->ref, ref_class.entry, made->entry);
    fill_entry(made->entry, plan->home, made->number, made->call);
    fill_call(made->call, plan, made);
}

/* Make a call, and all that belongs to it. Returns 0, or -1, perhaps with an exception. */
static int
make(const Plan *plan, Made *made)
{
    made->number = Py_TYPE(plan->numbers)->tp_iternext(plan->numbers); /* one that is not used is left out */
    if (made->number == NULL || make_empty(made)) {
        return -1;
    }
    PyObject *fields[FIELDS] = {made->number, plan->name,      plan->data,     numbers[1],         no_text,
                                Py_None,      Py_None,         plan->group,    plan->backpressure, plan->origin,
                                no_bytes,     plan->submitted, plan->parent_id};
    made->message = PyObject_Vectorcall(message_type, fields, FIELDS, NULL);
    if (made->message == NULL) {
        return -1;
    }
    fill(plan, made);
    return 0;
}

void
drop(Made *made)
{
    Py_XDECREF(made->number);
    Py_XDECREF(made->entry);
    Py_XDECREF(made->ref);
    Py_XDECREF(made->entries);
    Py_XDECREF(made->message);
    Py_XDECREF(made->call);
}

/* Complete the plan by the metadata of the method. Return whether its calls are the usual case. */
static int
read_method(Plan *plan)
{
    PyObject *method = plan->method;
    if (Py_TYPE(method) != method_type || PyTuple_GET_SIZE(method) != 11 || Py_TYPE(plan->target) != link_class.type ||
        PyTuple_GET_ITEM(method, 2) != numbers[1] ||                                         /* num_returns */
        PyTuple_GET_ITEM(method, 8) != Py_False || PyTuple_GET_ITEM(method, 9) != Py_None) { /* retried, timeout_s */
        return 0;
    }
    plan->name = PyTuple_GET_ITEM(method, 0);
    plan->group = PyTuple_GET_ITEM(method, 5);
    plan->retries = PyTuple_GET_ITEM(method, 7);
    plan->backpressure = PyTuple_GET_ITEM(method, 6);
    if (plan->retries == Py_None) {
        plan->retries = AT(plan->target, link_class.max_retries);
    }
    if (PyTuple_GET_ITEM(method, 10) == Py_False) { /* has_events */
        plan->submitted = no_time;
    }
    return plan->retries != NULL;
}

int
read_parent(Plan *plan, PyObject **children)
{
    *children = NULL;
    plan->parent_id = no_bytes;
    if (plan->parent == Py_None) {
        Py_INCREF(no_bytes);
        return 1;
    }
    plan->parent_id = PyObject_GetAttr(plan->parent, name_task_id);
    if (plan->parent_id == NULL) {
        return -1;
    }
    *children = PyObject_GetAttr(plan->parent, name_children);
    if (*children == NULL || !PyDict_CheckExact(*children)) { /* the job's first call makes the dict */
        PyErr_Clear();
        Py_CLEAR(*children);
        Py_CLEAR(plan->parent_id);
        return 0;
    }
    return 1;
}

/* Make and send a call. Returns what `put_in_flight` does, while the garbage collector rests. */
static int
make_and_send(const Plan *plan, Way *way, PyObject *children, Made *made)
{
    if (make(plan, made) || (children != NULL && PyDict_SetItem(children, made->call, Py_None))) {
        return 0;
    }
    int done = put_in_flight(way, made->call, made->message);
    if (!done && children != NULL && PyDict_DelItem(children, made->call)) {
        PyErr_Clear();
    }
    return done;
}

PyDoc_STRVAR(submit_doc,
             "submit(link, home, numbers, method, data, origin, submitted, hold, parent): make an actor's call with\n"
             "one result and no options, send it, and return the reference. Return None, with nothing done, if this\n"
             "is not the usual case.");

static PyObject *
submit(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 9) {
        PyErr_SetString(PyExc_TypeError, "submit() takes 9 arguments");
        return NULL;
    }
    Plan plan = {.target = args[0],
                 .home = args[1],
                 .numbers = args[2],
                 .method = args[3],
                 .data = args[4],
                 .origin = args[5],
                 .submitted = args[6],
                 .hold = args[7],
                 .parent = args[8],
                 .arguments = Py_None};
    Way way;
    PyObject *children;
    int is_usual = read_parent(&plan, &children);
    if (is_usual < 0) {
        return NULL;
    }
    if (!is_usual) {
        Py_RETURN_NONE;
    }
    if (!read_method(&plan) || !is_count(plan.numbers) || !PyBytes_CheckExact(plan.data) ||
        !find_way(open_connection(plan.target, plan.group), -1, &way)) {
        PyErr_Clear();
        Py_XDECREF(children);
        Py_DECREF(plan.parent_id);
        Py_RETURN_NONE;
    }
    Made made = {NULL, NULL, NULL, NULL, NULL, NULL};
    int collects = PyGC_Disable();
    int done = make_and_send(&plan, &way, children, &made);
    PyErr_Clear(); /* whatever it was, the steps in Python meet it again */
    if (collects) {
        PyGC_Enable();
    }
    PyObject *result = done ? made.ref : Py_None;
    Py_INCREF(result);
    if (!done && made.entry != NULL) {
        Py_CLEAR(AT(made.entry, entry_class.call)); /* else it and the call would keep each other */
    }
    if (done == 2 && follow(&way)) {
        Py_CLEAR(result);
    }
    drop(&made);
    leave(&way);
    Py_XDECREF(children);
    Py_DECREF(plan.parent_id);
    return result;
}

PyDoc_STRVAR(begin_doc,
             "begin(home, number, target, message, arguments): make a call with one result; return it and the\n"
             "reference.");

static PyObject *
begin(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 5 || call_class.type == NULL) {
        PyErr_SetString(PyExc_TypeError, "begin() takes 5 arguments, and classes that are known");
        return NULL;
    }
    Plan plan = {.home = args[0],
                 .target = args[2],
                 .arguments = args[4],
                 .origin = numbers[0],
                 .submitted = no_time,
                 .hold = Py_None,
                 .parent = Py_None,
                 .group = no_text,
                 .retries = numbers[0],
                 .parent_id = no_bytes};
    Made made = {.number = args[1], .message = args[3]};
    Py_INCREF(made.number);
    Py_INCREF(made.message);
    int collects = PyGC_Disable();
    PyObject *result = NULL;
    if (!make_empty(&made)) {
        result = PyTuple_Pack(2, made.call, made.ref);
    }
    if (result != NULL) {
        fill(&plan, &made);
    }
    if (collects) {
        PyGC_Enable();
    }
    drop(&made);
    return result;
}

static PyMethodDef functions[] = {
    {"know",   (PyCFunction)(void (*)(void))know,   METH_FASTCALL, know_doc  },
    {"go_out", (PyCFunction)(void (*)(void))go_out, METH_FASTCALL, go_out_doc},
    {"begin",  (PyCFunction)(void (*)(void))begin,  METH_FASTCALL, begin_doc },
    {"submit", (PyCFunction)(void (*)(void))submit, METH_FASTCALL, submit_doc},
    {NULL,     NULL,                                0,             NULL      },
};

/* Get an attribute of a module. Returns 0, or -1 with an exception. */
static int
fetch(PyObject **place, const char *module, const char *name)
{
    PyObject *imported = PyImport_ImportModule(module);
    *place = imported == NULL ? NULL : PyObject_GetAttrString(imported, name);
    Py_XDECREF(imported);
    return *place == NULL ? -1 : 0;
}

int
add_calls(PyObject *module)
{
    for (long i = 0; i < STATES; i++) {
        numbers[i] = PyLong_FromLong(i);
        if (numbers[i] == NULL) {
            return -1;
        }
    }
    no_bytes = PyBytes_FromStringAndSize(NULL, 0);
    no_tuple = PyTuple_New(0);
    no_time = PyFloat_FromDouble(0.0);
    if (no_bytes == NULL || no_tuple == NULL || no_time == NULL || intern(&no_text, "") ||
        intern(&name_append, "append") || intern(&name_children, "children") || intern(&name_dirty, "dirty") ||
        intern(&name_in_flight, "in_flight") || intern(&name_nudge, "nudge") || intern(&name_reactor, "_reactor") ||
        intern(&name_task_id, "task_id") || fetch(&count_type, "itertools", "count")) {
        return -1;
    }
    return PyModule_AddFunctions(module, functions);
}
