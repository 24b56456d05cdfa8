/* The lanes of actors that run several calls at the same time: `LaneBase`, the base of `LoopLane` and `ThreadLane`. */
#include "lanes.h"
#include "jobs.h"

#include <pythread.h>

typedef struct {
    PyObject_HEAD
    PyObject *queue, *idle, *lookout, *performer, *loop, *current;
    unsigned long ident;
    Py_ssize_t limit;
    int running, count;
    char started, paused, is_gathering, has_gathered, is_due, is_short, is_watching;
} LaneBase;

static PyObject *name_append, *name_call, *name_create_task, *name_finished, *name_go_on, *name_on_idle, *name_put,
    *name_task_ends;
static PyMethodDef task_ends_method;
static PyTypeObject *lane_type;

HOLDER(LaneBase, lane, queue, current)

static PyMemberDef lane_members[] = {
    {"_jobs", T_OBJECT_EX, offsetof(LaneBase, queue), 0, NULL},
    {"_idle", T_OBJECT_EX, offsetof(LaneBase, idle), 0, NULL},
    {"_lookout", T_OBJECT_EX, offsetof(LaneBase, lookout), 0, NULL},
    {"_performer", T_OBJECT_EX, offsetof(LaneBase, performer), 0, NULL},
    {"loop", T_OBJECT_EX, offsetof(LaneBase, loop), 0, NULL},
    {"_current", T_OBJECT_EX, offsetof(LaneBase, current), 0, NULL},
    {"_ident", T_ULONG, offsetof(LaneBase, ident), 0, NULL},
    {"_running", T_INT, offsetof(LaneBase, running), 0, NULL},
    {"_limit", T_PYSSIZET, offsetof(LaneBase, limit), 0, NULL},
    {"_count", T_INT, offsetof(LaneBase, count), 0, NULL},
    {"_started", T_BOOL, offsetof(LaneBase, started), 0, NULL},
    {"_paused", T_BOOL, offsetof(LaneBase, paused), 0, NULL},
    {"_is_gathering", T_BOOL, offsetof(LaneBase, is_gathering), 0, NULL},
    {"_has_gathered", T_BOOL, offsetof(LaneBase, has_gathered), 0, NULL},
    {"_due", T_BOOL, offsetof(LaneBase, is_due), 0, NULL},
    {"_is_short", T_BOOL, offsetof(LaneBase, is_short), 0, NULL},
    {"_watching", T_BOOL, offsetof(LaneBase, is_watching), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

int
is_lane_busy(PyObject *object)
{
    LaneBase *lane = (LaneBase *)object;
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
is_queued_only(LaneBase *self)
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
lane_put(LaneBase *self, PyObject *job)
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

/* Begin a job in the current context, and make the task that runs it. Returns 0, or -1 with an exception. */
static int
begin(LaneBase *self, JobBase *job)
{
    PyObject *ends = PyCFunction_New(&task_ends_method, (PyObject *)self);
    PyObject *token = ends == NULL ? NULL : PyContextVar_Set(self->current, (PyObject *)job);
    PyObject *rest = token == NULL ? NULL : PyObject_CallMethodObjArgs(self->performer, name_call, job, ends, NULL);
    Py_XDECREF(ends);
    Py_XDECREF(token);
    if (rest == NULL) {
        return -1;
    }
    if (rest == Py_None) {
        PyObject *finished = PyObject_CallMethodOneArg((PyObject *)self, name_finished, (PyObject *)job);
        Py_XDECREF(finished);
        Py_DECREF(rest);
        return finished == NULL ? -1 : 0;
    }
    PyObject *loop = self->loop == NULL ? Py_None : self->loop; /* user code has run meanwhile */
    Py_INCREF(loop);
    PyObject *task = PyObject_CallMethodOneArg(loop, name_create_task, rest);
    Py_DECREF(loop);
    Py_DECREF(rest);
    if (task != NULL) {
        store(&job->launched, task);
    }
    return task == NULL ? -1 : 0;
}

PyDoc_STRVAR(admit_doc, "Start calls up to the limit. Return False if the first one that is left is not the usual\n"
                        "case. The loop's thread.");

static PyObject *
lane_admit(LaneBase *self, PyObject *Py_UNUSED(ignored))
{
    while (are_whole(&self->queue, lane_count) && self->running < self->limit && !self->paused) {
        PyObject *job = take_first(self->lookout, self->queue);
        if (job == NULL) {
            return NULL;
        }
        if (job == Py_None) {
            Py_DECREF(job);
            Py_ssize_t count = PyObject_Size(self->queue);
            return count < 0 ? NULL : PyBool_FromLong(count == 0);
        }
        self->running++;
        ((JobBase *)job)->thread = self->ident;
        PyObject *context = PyContext_CopyCurrent();
        int failed = context == NULL || PyContext_Enter(context);
        if (!failed) {
            failed = begin(self, (JobBase *)job);
            PyObject *type, *error, *trace;
            PyErr_Fetch(&type, &error, &trace);
            if (PyContext_Exit(context)) {
                PyErr_Clear(); /* it was the current one */
            }
            PyErr_Restore(type, error, trace);
        }
        Py_XDECREF(context);
        Py_DECREF(job);
        if (failed) {
            return NULL;
        }
    }
    Py_RETURN_TRUE;
}

PyDoc_STRVAR(task_ends_doc, "Do what `_task_ends` does.");

static PyObject *
lane_task_ends(PyObject *object, PyObject *argument)
{
    LaneBase *self = (LaneBase *)object;
    PyObject *took = are_whole(&self->queue, lane_count) ? finish_job(self->lookout, argument) : NULL;
    if (took == NULL && PyErr_Occurred()) {
        return NULL;
    }
    if (took == NULL || took == Py_None) {
        Py_XDECREF(took);
        return PyObject_CallMethodOneArg(object, name_task_ends, argument);
    }
    Py_DECREF(took);
    JobBase *job = (JobBase *)argument;
    self->running--;
    Py_INCREF(Py_None);
    store(&job->task, Py_None);
    Py_INCREF(Py_None);
    store(&job->launched, Py_None);
    Py_ssize_t count = self->queue == NULL ? 0 : PyObject_Size(self->queue);
    if (count < 0) {
        return NULL;
    }
    if (count == 0) {
        if (self->running == 0) {
            return PyObject_CallMethodNoArgs(object, name_on_idle);
        }
    } else if (!self->is_due) {
        return PyObject_CallMethodNoArgs(object, name_go_on);
    }
    Py_RETURN_NONE;
}

static PyMethodDef task_ends_method = {"task_ends", lane_task_ends, METH_O, task_ends_doc};

static PyMethodDef lane_methods[] = {
    {"put_quickly",    (PyCFunction)lane_put,   METH_O,      put_doc  },
    {"_admit_quickly", (PyCFunction)lane_admit, METH_NOARGS, admit_doc},
    {NULL,             NULL,                    0,           NULL     },
};

PyDoc_STRVAR(lane_doc, "Takes calls in that run at the same time.");

static PyType_Slot lane_slots[] = {
    {Py_tp_doc,     (void *)lane_doc},
    HOLDER_SLOTS(lane), {Py_tp_methods, lane_methods    },
    {0,             NULL            }
};

static PyType_Spec lane_spec = {
    .name = "nbactors.speedups._compiled.LaneBase",
    .basicsize = sizeof(LaneBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = lane_slots,
};

int
add_lanes(PyObject *module)
{
    if (intern(&name_append, "append") || intern(&name_call, "call") || intern(&name_create_task, "create_task") ||
        intern(&name_finished, "_finished") || intern(&name_go_on, "_go_on") || intern(&name_on_idle, "_on_idle") ||
        intern(&name_put, "put") || intern(&name_task_ends, "_task_ends")) {
        return -1;
    }
    lane_type = add_type(module, "LaneBase", &lane_spec);
    return lane_type == NULL ? -1 : 0;
}
