/* Polling: `SelectorBase`, the base class of `BriskSelector`, see `local/reactor/brisk_selector.py`. */
#include "polling.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/epoll.h>

typedef struct {
    PyObject_HEAD
    PyObject *keys; /* a dict with a SelectorKey for each descriptor */
    int epoll;      /* -1: the steps in Python poll */
    char may_spin, is_brisk, found_at_once;
    int skips, last_skips, most_skips;
    double rests_until, glance_s, spin_s, aside_s, at_once_s, longest_s;
} SelectorBase;

static PyTypeObject *selector_type;
static PyObject *name_rest;

static PyMemberDef members[] = {
    {"_fd_to_key", T_OBJECT_EX, offsetof(SelectorBase, keys), 0, NULL},
    {"_epoll_fd", T_INT, offsetof(SelectorBase, epoll), 0, NULL},
    {"_may_spin", T_BOOL, offsetof(SelectorBase, may_spin), 0, NULL},
    {"_is_brisk", T_BOOL, offsetof(SelectorBase, is_brisk), 0, NULL},
    {"found_at_once", T_BOOL, offsetof(SelectorBase, found_at_once), 0, NULL},
    {"_rests_until", T_DOUBLE, offsetof(SelectorBase, rests_until), 0, NULL},
    {"_skips", T_INT, offsetof(SelectorBase, skips), 0, NULL},
    {"_last_skips", T_INT, offsetof(SelectorBase, last_skips), 0, NULL},
    {"_most_skips", T_INT, offsetof(SelectorBase, most_skips), 0, NULL},
    {"_glance_s", T_DOUBLE, offsetof(SelectorBase, glance_s), 0, NULL},
    {"_spin_s", T_DOUBLE, offsetof(SelectorBase, spin_s), 0, NULL},
    {"_aside_s", T_DOUBLE, offsetof(SelectorBase, aside_s), 0, NULL},
    {"_at_once_s", T_DOUBLE, offsetof(SelectorBase, at_once_s), 0, NULL},
    {"_longest_s", T_DOUBLE, offsetof(SelectorBase, longest_s), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyObject *
selector_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    (void)args, (void)kwargs;
    SelectorBase *self = (SelectorBase *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->epoll = -1;
    }
    return (PyObject *)self;
}

static int
selector_traverse(SelectorBase *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(self->keys);
    return 0;
}

static int
selector_clear(SelectorBase *self)
{
    Py_CLEAR(self->keys);
    return 0;
}

static void
selector_dealloc(SelectorBase *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    selector_clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

int
is_quick_selector(PyObject *selector)
{
    return PyObject_TypeCheck(selector, selector_type) && ((SelectorBase *)selector)->epoll >= 0;
}

int
has_found_at_once(PyObject *selector)
{
    return ((SelectorBase *)selector)->found_at_once;
}

void
drop_events(Event *events, int count)
{
    for (int i = 0; i < count; i++) {
        Py_DECREF(events[i].key);
    }
}

/* Make the events of what a poll has found. Returns how many there are, or -1 with an exception. */
static int
take(SelectorBase *self, struct epoll_event *found, int count, Event *events)
{
    int taken = 0;
    for (int i = 0; i < count; i++) {
        PyObject *fd = PyLong_FromLong(found[i].data.fd);
        PyObject *key = fd == NULL ? NULL : PyDict_GetItemWithError(self->keys, fd);
        Py_XDECREF(fd);
        if (key == NULL) {
            if (PyErr_Occurred()) {
                drop_events(events, taken);
                return -1;
            }
            continue; /* it was unregistered just now */
        }
        PyObject *wanted = PyTuple_Check(key) && PyTuple_GET_SIZE(key) > 3 ? PyTuple_GET_ITEM(key, 2) : Py_None;
        long mask = PyLong_AsLong(wanted);
        if (mask == -1 && PyErr_Occurred()) {
            drop_events(events, taken);
            return -1;
        }
        long ready = (found[i].events & ~(uint32_t)EPOLLIN ? 2 : 0) | (found[i].events & ~(uint32_t)EPOLLOUT ? 1 : 0);
        Py_INCREF(key);
        events[taken].key = key;
        events[taken].mask = ready & mask;
        taken++;
    }
    return taken;
}

/* Poll once, for at most some seconds. Signal handlers run, as in `select.epoll.poll`. */
static int
look(SelectorBase *self, double seconds, Event *events)
{
    struct epoll_event found[MAX_EVENTS];
    int count;
    if (!(seconds < self->longest_s)) { /* also if it is not a number */
        seconds = self->longest_s;
    }
    if (seconds == 0) {
        count = epoll_wait(self->epoll, found, MAX_EVENTS, 0);
    } else {
        double until = monotonic() + seconds;
        for (;;) {
            /* A handler whose signal has come before the sleep would run after it only. */
            if (PyErr_CheckSignals()) {
                return -1;
            }
            int epoll = self->epoll;
            int milliseconds = seconds < 0 ? -1 : (int)(seconds * 1e3) + (seconds * 1e3 > (int)(seconds * 1e3));
            Py_BEGIN_ALLOW_THREADS
            count = epoll_wait(epoll, found, MAX_EVENTS, milliseconds);
            Py_END_ALLOW_THREADS
            if (count >= 0 || errno != EINTR) {
                break;
            }
            if (seconds > 0) {
                seconds = until - monotonic();
                seconds = seconds > 0 ? seconds : 0;
            }
        }
    }
    if (count < 0) {
        if (errno == EINTR) {
            return 0;
        }
        PyErr_SetFromErrno(PyExc_OSError);
        return -1;
    }
    return self->keys == NULL ? 0 : take(self, found, count, events);
}

/* Poll without sleeping for at most some seconds. If it `yields` the processor after each poll, `is_aside` is set if
 * the processor came back later than after `aside_s`, which ends the spinning. */
static int
spin(SelectorBase *self, double seconds, int yields, Event *events, int *polls, int *is_aside)
{
    struct epoll_event found[MAX_EVENTS];
    int epoll = self->epoll, error = 0;
    int count = epoll_wait(epoll, found, MAX_EVENTS, 0);
    *polls = 1;
    *is_aside = 0;
    if (count == 0) {
        double aside = self->aside_s;
        Py_BEGIN_ALLOW_THREADS
        double before = monotonic(), until = before + seconds;
        for (;;) {
            if (yields) {
                sched_yield();
            }
            double after = monotonic();
            *is_aside = yields && after - before > aside;
            if (*is_aside || after >= until) {
                break;
            }
            before = after;
            count = epoll_wait(epoll, found, MAX_EVENTS, 0);
            error = errno;
            ++*polls;
            if (count != 0) {
                break;
            }
        }
        Py_END_ALLOW_THREADS
        errno = error;
    }
    if (count < 0) {
        if (errno != EINTR) {
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        return 0;
    }
    return self->keys == NULL ? 0 : take(self, found, count, events);
}

/* Do what `_glance` does. Returns the number of events, or -1 with an exception. */
static int
glance(SelectorBase *self, Event *events, int *polls)
{
    if (self->skips > 0) {
        self->skips--;
        return 0;
    }
    int is_aside;
    int count = spin(self, self->glance_s, 0, events, polls, &is_aside);
    if (count > 0) {
        self->last_skips = 0;
    } else {
        int twice = 2 * self->last_skips;
        self->last_skips = twice == 0 ? 1 : twice < self->most_skips ? twice : self->most_skips;
        self->skips = self->last_skips;
    }
    return count;
}

static int
select_briskly(SelectorBase *self, double seconds, Event *events)
{
    if (seconds >= 0 && seconds < self->spin_s) {
        self->found_at_once = 1;
        return look(self, seconds, events);
    }
    double began = monotonic();
    if (self->is_brisk) {
        int polls = 0, is_aside = 0;
        int count = began > self->rests_until ? spin(self, self->spin_s, 1, events, &polls, &is_aside)
                                              : glance(self, events, &polls);
        if (count) {
            self->found_at_once = polls == 1;
            return count;
        }
        double then = monotonic();
        if (is_aside) {
            PyObject *time = PyFloat_FromDouble(then);
            PyObject *result = time == NULL ? NULL : PyObject_CallMethodOneArg((PyObject *)self, name_rest, time);
            Py_XDECREF(time);
            Py_XDECREF(result);
            if (result == NULL) {
                return -1;
            }
        }
        if (seconds >= 0) {
            seconds = seconds - (then - began);
            seconds = seconds > 0 ? seconds : 0;
        }
    }
    int count = look(self, seconds, events);
    if (count >= 0) {
        double waited = monotonic() - began;
        self->found_at_once = waited < self->at_once_s;
        self->is_brisk = self->may_spin && waited < self->spin_s;
    }
    return count;
}

int
poll_selector(PyObject *selector, int is_brisk, double seconds, Event *events)
{
    return is_brisk ? select_briskly((SelectorBase *)selector, seconds, events)
                    : look((SelectorBase *)selector, seconds, events);
}

PyObject *
list_of(Event *events, int count)
{
    PyObject *list = PyList_New(count);
    for (int i = 0; list != NULL && i < count; i++) {
        PyObject *event = Py_BuildValue("(Ol)", events[i].key, events[i].mask);
        if (event == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, event);
    }
    return list;
}

/* Poll, for the selector's methods. */
static PyObject *
events_of(SelectorBase *self, PyObject *timeout, int is_brisk)
{
    double seconds = timeout == Py_None ? NO_END : PyFloat_AsDouble(timeout);
    if (PyErr_Occurred()) {
        return NULL;
    }
    if (seconds < 0) { /* as `select.epoll.poll` takes it */
        seconds = NO_END;
    }
    Event events[MAX_EVENTS];
    int count = poll_selector((PyObject *)self, is_brisk, seconds, events);
    PyObject *list = count < 0 ? NULL : list_of(events, count);
    drop_events(events, count);
    return list;
}

PyDoc_STRVAR(look_doc, "Do what `look` does. `_epoll_fd` is the descriptor of an epoll.");

static PyObject *
selector_look(SelectorBase *self, PyObject *timeout)
{
    return events_of(self, timeout, 0);
}

PyDoc_STRVAR(select_doc, "Do what `select_briskly` does. `_epoll_fd` is the descriptor of an epoll.");

static PyObject *
selector_select(SelectorBase *self, PyObject *timeout)
{
    return events_of(self, timeout, 1);
}

static PyMethodDef methods[] = {
    {"_look_quickly",   (PyCFunction)selector_look,   METH_O, look_doc  },
    {"_select_quickly", (PyCFunction)selector_select, METH_O, select_doc},
    {NULL,              NULL,                         0,      NULL      },
};

PyDoc_STRVAR(selector_doc, "The state of a selector that the steps in C and those in Python share.");

static PyType_Slot slots[] = {
    {Py_tp_doc,      (void *)selector_doc},
    {Py_tp_new,      selector_new        },
    {Py_tp_traverse, selector_traverse   },
    {Py_tp_clear,    selector_clear      },
    {Py_tp_dealloc,  selector_dealloc    },
    {Py_tp_members,  members             },
    {Py_tp_methods,  methods             },
    {0,              NULL                },
};

static PyType_Spec spec = {
    .name = "nbactors.speedups._compiled.SelectorBase",
    .basicsize = sizeof(SelectorBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

int
add_polling(PyObject *module)
{
    if (intern(&name_rest, "_rest")) {
        return -1;
    }
    selector_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return selector_type == NULL ? -1 : PyModule_AddObjectRef(module, "SelectorBase", (PyObject *)selector_type);
}
