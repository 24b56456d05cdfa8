/* The lanes of actors that run several calls at the same time: `Lane`, the base of `LoopLane` and `ThreadLane`. */
#include "lanes.h"
#include "holders.h"

#include <pythread.h>

typedef struct {
    PyObject_HEAD
    PyObject *queue, *idle;
    unsigned long ident;
    int running, count;
    char started, is_gathering, has_gathered, is_due, is_short, is_watching;
} Lane;

static PyObject *name_append, *name_put;
static PyTypeObject *lane_type;

HOLDER(Lane, lane, queue, idle)

static PyMemberDef lane_members[] = {
    {"_jobs", T_OBJECT_EX, offsetof(Lane, queue), 0, NULL},
    {"_idle", T_OBJECT_EX, offsetof(Lane, idle), 0, NULL},
    {"_ident", T_ULONG, offsetof(Lane, ident), 0, NULL},
    {"_running", T_INT, offsetof(Lane, running), 0, NULL},
    {"_count", T_INT, offsetof(Lane, count), 0, NULL},
    {"_started", T_BOOL, offsetof(Lane, started), 0, NULL},
    {"_is_gathering", T_BOOL, offsetof(Lane, is_gathering), 0, NULL},
    {"_has_gathered", T_BOOL, offsetof(Lane, has_gathered), 0, NULL},
    {"_due", T_BOOL, offsetof(Lane, is_due), 0, NULL},
    {"_is_short", T_BOOL, offsetof(Lane, is_short), 0, NULL},
    {"_watching", T_BOOL, offsetof(Lane, is_watching), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

int
is_lane_busy(PyObject *object)
{
    Lane *lane = (Lane *)object;
    if (!PyObject_TypeCheck(object, lane_type) || lane->queue == NULL) {
        return -1;
    }
    Py_ssize_t count = PyObject_Size(lane->queue);
    if (count < 0) {
        PyErr_Clear();
    }
    return count < 0 ? -1 : count > 0 || lane->running > 1;
}

/* Return whether a call need only be queued: the loop, or an awake thread, looks into the queue soon. */
static int
is_queued_only(Lane *self)
{
    if (!self->started) {
        return 0;
    }
    if (self->ident) { /* that of the loop's thread */
        return self->ident == PyThread_get_thread_ident() && (self->is_gathering || self->is_due);
    }
    return self->is_short && self->is_watching && self->idle != NULL && PyList_Check(self->idle) &&
           self->count > PyList_GET_SIZE(self->idle);
}

PyDoc_STRVAR(put_doc, "Do what `put` does. The leader's thread.");

static PyObject *
lane_put(Lane *self, PyObject *job)
{
    if (self->queue == NULL || !is_queued_only(self)) {
        return PyObject_CallMethodOneArg((PyObject *)self, name_put, job);
    }
    PyObject *appended = PyObject_CallMethodOneArg(self->queue, name_append, job);
    if (appended != NULL && self->is_gathering) {
        self->has_gathered = 1;
    }
    return appended;
}

static PyMethodDef lane_methods[] = {
    {"put_quickly", (PyCFunction)lane_put, METH_O, put_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(lane_doc, "Takes calls in that run at the same time.");

static PyType_Slot lane_slots[] = {
    {Py_tp_doc, (void *)lane_doc}, HOLDER_SLOTS(lane), {Py_tp_methods, lane_methods}, {0, NULL}};

static PyType_Spec lane_spec = {
    .name = "nbactors.speedups._compiled.Lane",
    .basicsize = sizeof(Lane),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = lane_slots,
};

int
add_lanes(PyObject *module)
{
    if (intern(&name_append, "append") || intern(&name_put, "put")) {
        return -1;
    }
    lane_type = add_type(module, "Lane", &lane_spec);
    return lane_type == NULL ? -1 : 0;
}
