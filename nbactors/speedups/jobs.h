/* What the steps of a call in its worker share: the jobs, and the messages that they come from. */
#ifndef NBACTORS_JOBS_H
#define NBACTORS_JOBS_H

#include "holders.h"

/* `JobBase`, the base of `Job`. Objects come first, from `connection` to `production`. */
typedef struct {
    PyObject_HEAD
    PyObject *connection, *message, *rest, *deps, *name, *label, *module, *cancel, *children, *failure, *waits,
        *launched, *task, *production;
    double read_at, since;
    unsigned long thread;
    int interrupts;
    char is_task, answered;
} JobBase;

/* `CallerJobsBase`, the base of `CallerJobs`. */
typedef struct {
    PyObject_HEAD
    PyObject *events, *waiting, *running;
} CallerJobsBase;

/* Where the fields of a message lie that is a call: `Call`, or `Run`. */
typedef struct {
    PyTypeObject *type;
    Py_ssize_t number, num_returns, name, deps, rest, origin, submitted, data, method, group; /* -1: there is none */
} Layout;

extern PyTypeObject *job_type, *reply_type; /* NULL before `know_jobs` was called */
extern Layout call_layout, run_layout;

/* Return where the fields of a message lie; NULL if it is of another type. */
static inline Layout *
layout_of(PyObject *message)
{
    if (message == NULL) {
        return NULL;
    }
    PyTypeObject *type = Py_TYPE(message);
    return type == call_layout.type ? &call_layout : type == run_layout.type ? &run_layout : NULL;
}

/* Return a field of a message, a borrowed reference, which is never NULL. */
static inline PyObject *
field(PyObject *message, Py_ssize_t offset)
{
    PyObject *value = *(PyObject **)((char *)message + offset);
    return value == NULL ? Py_None : value;
}

/* Return the layout of a job's message if its attributes are of the types that the steps here want, else NULL. */
static inline Layout *
usual_layout(PyObject *object)
{
    if (job_type == NULL || Py_TYPE(object) != job_type) { /* a test's stand-in */
        return NULL;
    }
    JobBase *job = (JobBase *)object;
    Py_ssize_t count = (offsetof(JobBase, production) - offsetof(JobBase, connection)) / sizeof(PyObject *) + 1;
    Layout *layout = are_whole(&job->connection, count) ? layout_of(job->message) : NULL;
    return layout != NULL && PyLong_CheckExact(field(job->message, layout->number)) ? layout : NULL;
}

/* Return whether the method of this name is one of the user's. */
static inline int
is_plain(PyObject *method)
{
    return PyUnicode_CheckExact(method) && PyUnicode_GetLength(method) > 1 &&
           !(PyUnicode_READ_CHAR(method, 0) == '_' && PyUnicode_READ_CHAR(method, 1) == '_');
}

/* Return the record of a connection's jobs, a new reference; NULL without an exception if it has none of ours. */
CallerJobsBase *jobs_of(PyObject *connection);

/* Take the first job out of a queue, and begin it: `LookoutBase._pop_quickly`, also of None, which has nothing done. */
PyObject *take_first(PyObject *lookout, PyObject *queue);

/* End a job: `LookoutBase._finish_quickly`, also of None, which has nothing done. */
PyObject *finish_job(PyObject *lookout, PyObject *job);

/* Return a new job, as the constructor of `Job` makes it; NULL with an exception. */
JobBase *new_job(PyObject *connection, PyObject *message, Layout *layout);

#endif
