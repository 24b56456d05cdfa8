/* The arrival of calls in a worker: `ExecutorBase`, the base of `Executor`. */
#include "jobs.h"

typedef struct {
    PyObject_HEAD
    PyObject *queue, *waiter, *lanes, *put_plain, *recorder, *reactor;
    char constructed, is_retired, is_watching;
} ExecutorBase;

static PyObject *name_append, *name_enqueue, *name_finish, *name_is_armed, *name_put, *name_read_at;

HOLDER(ExecutorBase, executor, queue, reactor)

static PyMemberDef executor_members[] = {
    {"_jobs", T_OBJECT_EX, offsetof(ExecutorBase, queue), 0, NULL},
    {"_waiter", T_OBJECT_EX, offsetof(ExecutorBase, waiter), 0, NULL},
    {"lanes", T_OBJECT_EX, offsetof(ExecutorBase, lanes), 0, NULL},
    {"_put_plain", T_OBJECT_EX, offsetof(ExecutorBase, put_plain), 0, NULL},
    {"_recorder", T_OBJECT_EX, offsetof(ExecutorBase, recorder), 0, NULL},
    {"_reactor", T_OBJECT_EX, offsetof(ExecutorBase, reactor), 0, NULL},
    {"constructed", T_BOOL, offsetof(ExecutorBase, constructed), 0, NULL},
    {"is_retired", T_BOOL, offsetof(ExecutorBase, is_retired), 0, NULL},
    {"_is_watching", T_BOOL, offsetof(ExecutorBase, is_watching), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Return whether the arrival of a message is the usual case: all values are in it, and nothing is to be armed. */
static int
is_usual(ExecutorBase *self, PyObject *message, Layout *layout)
{
    PyObject *deps = field(message, layout->deps), *submitted = field(message, layout->submitted);
    if (field(message, layout->rest) != Py_None || !PyLong_CheckExact(field(message, layout->number)) ||
        !PyFloat_CheckExact(submitted) || (deps != Py_None && !(PyList_CheckExact(deps) && !PyList_GET_SIZE(deps)))) {
        return 0;
    }
    PyObject *count = field(message, layout->num_returns);
    if (!PyLong_CheckExact(count) || PyLong_AsLong(count) < 0) { /* a generator, which has its `Production` */
        return 0;
    }
    if (layout == &run_layout) {
        if (self->is_retired || !self->is_watching || self->lanes != Py_None) {
            return 0;
        }
    } else {
        PyObject *group = field(message, layout->group);
        if (!self->constructed || !PyUnicode_CheckExact(group) || PyUnicode_GetLength(group)) {
            return 0;
        }
    }
    if (PyFloat_AS_DOUBLE(submitted) == 0.0) {
        return 1;
    }
    PyObject *is_armed = PyObject_GetAttr(self->recorder, name_is_armed);
    Py_XDECREF(is_armed);
    return is_armed == Py_True;
}

/* Give a job to the main thread, or to a lane. Returns 0, or -1 with an exception. */
static int
put_in(ExecutorBase *self, JobBase *job, Layout *layout)
{
    PyObject *put;
    if (self->lanes == Py_None) {
        put = PyObject_CallMethodOneArg(self->queue, name_append, (PyObject *)job);
    } else if (self->put_plain != Py_None && is_plain(field(job->message, layout->method))) {
        PyObject *put_plain = self->put_plain;
        Py_INCREF(put_plain);
        put = PyObject_CallOneArg(put_plain, (PyObject *)job);
        Py_DECREF(put_plain);
    } else {
        put = PyObject_CallMethodOneArg((PyObject *)self, name_put, (PyObject *)job);
    }
    Py_XDECREF(put);
    return put == NULL ? -1 : 0;
}

/* Do the usual case of `Executor.enqueue`. 1: done. 0: nothing was done. -1: an exception. */
static int
take_in(ExecutorBase *self, PyObject *connection, PyObject *message)
{
    Layout *layout = layout_of(message);
    if (layout == NULL || !are_whole(&self->queue, executor_count) || !is_usual(self, message, layout)) {
        return 0;
    }
    PyObject *read_at = PyObject_GetAttr(self->reactor, name_read_at);
    CallerJobsBase *jobs = read_at == NULL || !PyFloat_CheckExact(read_at) ? NULL : jobs_of(connection);
    if (jobs == NULL || PyDict_Contains(jobs->waiting, field(message, layout->number))) {
        Py_XDECREF(jobs);
        Py_XDECREF(read_at);
        return 0;
    }
    int collects = PyGC_Disable();
    JobBase *job = new_job(connection, message, layout);
    if (collects) {
        PyGC_Enable();
    }
    int failed = job == NULL;
    if (!failed) {
        job->read_at = PyFloat_AS_DOUBLE(read_at);
        PyObject *number = field(message, layout->number);
        failed = PyDict_SetItem(jobs->waiting, number, (PyObject *)job);
        if (!failed) {
            failed = put_in(self, job, layout);
        }
        if (!failed && self->lanes == Py_None && self->waiter != NULL && self->waiter != Py_None) {
            PyObject *waiter = self->waiter;
            Py_INCREF(waiter);
            PyObject *finished = PyObject_CallMethodNoArgs(waiter, name_finish);
            failed = finished == NULL;
            Py_XDECREF(finished);
            Py_DECREF(waiter);
        }
        Py_DECREF(job);
    }
    Py_DECREF(jobs);
    Py_DECREF(read_at);
    return failed ? -1 : 1;
}

PyDoc_STRVAR(take_in_doc, "Take a call or task in: the usual case here, all others by `enqueue`. The leader's thread.");

static PyObject *
executor_take_in(ExecutorBase *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "take_in takes a connection and a message");
        return NULL;
    }
    int is_done = take_in(self, args[0], args[1]);
    if (is_done > 0) {
        Py_RETURN_NONE;
    }
    if (is_done < 0) {
        return NULL;
    }
    PyErr_Clear();
    return PyObject_CallMethodObjArgs((PyObject *)self, name_enqueue, args[0], args[1], NULL);
}

static PyMethodDef executor_methods[] = {
    {"take_in", (PyCFunction)(void (*)(void))executor_take_in, METH_FASTCALL, take_in_doc},
    {NULL,      NULL,                                          0,             NULL       },
};

PyDoc_STRVAR(executor_doc, "Takes calls and tasks in.");

static PyType_Slot executor_slots[] = {
    {Py_tp_doc,     (void *)executor_doc},
    HOLDER_SLOTS(executor), {Py_tp_methods, executor_methods    },
    {0,             NULL                }
};

static PyType_Spec executor_spec = {
    .name = "nbactors.speedups._compiled.ExecutorBase",
    .basicsize = sizeof(ExecutorBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = executor_slots,
};

int
add_arrivals(PyObject *module)
{
    if (intern(&name_append, "append") || intern(&name_enqueue, "enqueue") || intern(&name_finish, "finish") ||
        intern(&name_is_armed, "is_armed") || intern(&name_put, "_put") || intern(&name_read_at, "read_at")) {
        return -1;
    }
    PyTypeObject *type = add_type(module, "ExecutorBase", &executor_spec);
    Py_XDECREF(type);
    return type == NULL ? -1 : 0;
}
