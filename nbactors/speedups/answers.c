/* Answers: `AnswersBase`, the base of `Answers`. */
#include "atoms.h"
#include "connections.h"
#include "jobs.h"
#include "lanes.h"

#define MAX_ATOM_LENGTH 4096 /* as in `pickling` */
#define FLUSH 0.001          /* seconds, as `FLUSH_S` of `Answers` */
#define GATHER 256           /* as in `connection.py`: so many queued messages are sent */

typedef struct {
    PyObject_HEAD
    PyObject *backlog, *is_busy, *output;
    double flushed;
    unsigned long main_thread;
} AnswersBase;

static PyObject *name_origin, *pickle_dumps, *protocol;

HOLDER(AnswersBase, answers, backlog, output)

static PyMemberDef answers_members[] = {
    {"backlog", T_OBJECT_EX, offsetof(AnswersBase, backlog), 0, NULL},
    {"_is_busy", T_OBJECT_EX, offsetof(AnswersBase, is_busy), 0, NULL},
    {"_output", T_OBJECT_EX, offsetof(AnswersBase, output), 0, NULL},
    {"_flushed", T_DOUBLE, offsetof(AnswersBase, flushed), 0, NULL},
    {"_main_thread", T_ULONG, offsetof(AnswersBase, main_thread), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Return whether a value is one that `dumps_atom` pickles. */
static int
is_atom(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    return value == Py_None || type == &PyLong_Type || type == &PyFloat_Type || type == &PyBool_Type ||
           (type == &PyUnicode_Type && PyUnicode_GetLength(value) < MAX_ATOM_LENGTH) ||
           (type == &PyBytes_Type && PyBytes_GET_SIZE(value) < MAX_ATOM_LENGTH);
}

/* Return whether a job that has returned `result` is answered in the usual case. */
static int
is_usual(AnswersBase *self, JobBase *job, PyObject *result)
{
    Layout *layout = usual_layout((PyObject *)job);
    if (layout == NULL || !is_atom(result) || !are_whole(&self->backlog, answers_count) || job->cancel != Py_None ||
        job->answered || !sends_quickly(job->connection)) {
        return 0;
    }
    PyObject *count = field(job->message, layout->num_returns);
    if (!PyLong_CheckExact(count) || PyLong_AsLong(count) != 1) {
        return 0;
    }
    PyObject *origin = PyObject_GetAttr(self->output, name_origin);
    int has_output = origin == NULL || !PyLong_CheckExact(origin) || PyObject_IsTrue(origin);
    Py_XDECREF(origin);
    return !has_output;
}

/* Return the answer to a job, a new reference; NULL with an exception. */
static PyObject *
answer_of(JobBase *job, PyObject *result)
{
    PyObject *reply = NULL;
    int collects = PyGC_Disable();
    PyObject *data = dump_atom(result);
    if (data == NULL && !PyErr_Occurred()) {
        PyObject *to_dump[] = {result, protocol};
        data = PyObject_Vectorcall(pickle_dumps, to_dump, 2, NULL);
    }
    if (data != NULL) {
        PyObject *fields[] = {field(job->message, layout_of(job->message)->number), data};
        reply = PyObject_Vectorcall((PyObject *)reply_type, fields, 2, NULL);
        Py_DECREF(data);
    }
    if (collects) {
        PyGC_Enable();
    }
    return reply;
}

/* Return whether more calls wait: 1, 0, or -1 if this is to be asked of `_is_busy`. */
static int
is_backlogged(AnswersBase *self)
{
    return Py_TYPE(self->backlog) == deque_type ? PyObject_Size(self->backlog) > 0 : is_lane_busy(self->backlog);
}

/* Ask whether more calls wait, by code in Python: 1, 0, or -1 with an exception. */
static int
ask_if_busy(AnswersBase *self)
{
    PyObject *busy = PyObject_CallNoArgs(self->is_busy);
    int is_so = busy == NULL ? -1 : PyObject_IsTrue(busy);
    Py_XDECREF(busy);
    return is_so;
}

PyDoc_STRVAR(give_doc, "Answer with a call's result. Return False, with nothing done, if this is not the usual case.");

static PyObject *
answers_give(AnswersBase *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_give_quickly takes a job and its result");
        return NULL;
    }
    JobBase *job = (JobBase *)args[0];
    if (!is_usual(self, job, args[1])) {
        PyErr_Clear();
        Py_RETURN_FALSE;
    }
    int busy = is_backlogged(self);
    if (busy < 0) { /* there are several lanes */
        busy = ask_if_busy(self);
        if (busy < 0) {
            return NULL;
        }
        if (!is_usual(self, job, args[1])) { /* any more */
            PyErr_Clear();
            Py_RETURN_FALSE;
        }
    }
    PyObject *reply = answer_of(job, args[1]), *connection = job->connection;
    if (reply == NULL) {
        PyErr_Clear(); /* the steps in Python meet it again */
        Py_RETURN_FALSE;
    }
    double time = monotonic();
    int is_done;
    Py_INCREF(connection);
    if (!busy || time - self->flushed > FLUSH) {
        is_done = send_message_now(connection, reply);
        if (is_done) {
            self->flushed = time;
        }
    } else {
        is_done = add_message(connection, reply, GATHER);
    }
    Py_DECREF(connection);
    Py_DECREF(reply);
    return is_done < 0 ? NULL : PyBool_FromLong(is_done);
}

static PyMethodDef answers_methods[] = {
    {"_give_quickly", (PyCFunction)(void (*)(void))answers_give, METH_FASTCALL, give_doc},
    {NULL,            NULL,                                      0,             NULL    },
};

PyDoc_STRVAR(answers_doc, "Answers calls.");

static PyType_Slot answers_slots[] = {
    {Py_tp_doc,     (void *)answers_doc},
    HOLDER_SLOTS(answers), {Py_tp_methods, answers_methods    },
    {0,             NULL               }
};

static PyType_Spec answers_spec = {
    .name = "nbactors.speedups._compiled.AnswersBase",
    .basicsize = sizeof(AnswersBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = answers_slots,
};

int
add_answers(PyObject *module)
{
    if (intern(&name_origin, "descriptors_origin")) {
        return -1;
    }
    PyObject *pickles = PyImport_ImportModule("pickle");
    pickle_dumps = pickles == NULL ? NULL : PyObject_GetAttrString(pickles, "dumps");
    protocol = PyLong_FromLong(5);
    Py_XDECREF(pickles);
    PyTypeObject *type =
        pickle_dumps == NULL || protocol == NULL ? NULL : add_type(module, "AnswersBase", &answers_spec);
    Py_XDECREF(type);
    return type == NULL ? -1 : 0;
}
