/* Jobs: `JobBase`, the base of `Job`; `CallerJobsBase`, the base of `CallerJobs`; `LookoutBase`, the base of `Lookout`.
 */
#include "jobs.h"

PyTypeObject *job_type, *reply_type;
Layout call_layout, run_layout;

static PyObject *name_count_fast, *name_jobs, *name_popleft, *name_recorder;
static PyObject *no_text; /* "" */
static PyTypeObject *caller_jobs_type, *job_base_type, *lookout_type;

/* ------------------------------------------------------------------------------------------------------------- jobs */

HOLDER(JobBase, job_base, connection, production)

static PyMemberDef job_base_members[] = {
    {"connection", T_OBJECT_EX, offsetof(JobBase, connection), 0, NULL},
    {"message", T_OBJECT_EX, offsetof(JobBase, message), 0, NULL},
    {"rest", T_OBJECT_EX, offsetof(JobBase, rest), 0, NULL},
    {"deps", T_OBJECT_EX, offsetof(JobBase, deps), 0, NULL},
    {"name", T_OBJECT_EX, offsetof(JobBase, name), 0, NULL},
    {"label", T_OBJECT_EX, offsetof(JobBase, label), 0, NULL},
    {"module", T_OBJECT_EX, offsetof(JobBase, module), 0, NULL},
    {"cancel", T_OBJECT_EX, offsetof(JobBase, cancel), 0, NULL},
    {"children", T_OBJECT_EX, offsetof(JobBase, children), 0, NULL},
    {"failure", T_OBJECT_EX, offsetof(JobBase, failure), 0, NULL},
    {"waits", T_OBJECT_EX, offsetof(JobBase, waits), 0, NULL},
    {"launched", T_OBJECT_EX, offsetof(JobBase, launched), 0, NULL},
    {"task", T_OBJECT_EX, offsetof(JobBase, task), 0, NULL},
    {"production", T_OBJECT_EX, offsetof(JobBase, production), 0, NULL},
    {"read_at", T_DOUBLE, offsetof(JobBase, read_at), 0, NULL},
    {"since", T_DOUBLE, offsetof(JobBase, since), 0, NULL},
    {"thread", T_ULONG, offsetof(JobBase, thread), 0, NULL},
    {"interrupts", T_INT, offsetof(JobBase, interrupts), 0, NULL},
    {"is_task", T_BOOL, offsetof(JobBase, is_task), 0, NULL},
    {"answered", T_BOOL, offsetof(JobBase, answered), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static void
put(PyObject **place, PyObject *object)
{
    Py_INCREF(object);
    Py_DECREF(*place); /* None */
    *place = object;
}

JobBase *
new_job(PyObject *connection, PyObject *message, Layout *layout)
{
    JobBase *job = (JobBase *)job_base_new(job_type, NULL, NULL);
    if (job == NULL) {
        return NULL;
    }
    put(&job->connection, connection);
    put(&job->message, message);
    put(&job->deps, field(message, layout->deps));
    put(&job->name, no_text);
    put(&job->label, field(message, layout->name));
    put(&job->module, no_text);
    job->is_task = layout == &run_layout;
    return job;
}

PyDoc_STRVAR(job_base_doc, "The state of a job that the steps in C and those in Python share.");

static PyType_Slot job_base_slots[] = {
    {Py_tp_doc, (void *)job_base_doc},
    HOLDER_SLOTS(job_base), {0,         NULL                }
};

static PyType_Spec job_base_spec = {
    .name = "nbactors.speedups._compiled.JobBase",
    .basicsize = sizeof(JobBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = job_base_slots,
};

/* ----------------------------------------------------------------------------------------------------------- tables */

HOLDER(CallerJobsBase, caller_jobs, events, running)

static PyMemberDef caller_jobs_members[] = {
    {"events", T_OBJECT_EX, offsetof(CallerJobsBase, events), 0, NULL},
    {"waiting", T_OBJECT_EX, offsetof(CallerJobsBase, waiting), 0, NULL},
    {"running", T_OBJECT_EX, offsetof(CallerJobsBase, running), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(caller_jobs_doc, "The jobs of one caller.");

static PyType_Slot caller_jobs_slots[] = {
    {Py_tp_doc, (void *)caller_jobs_doc},
    HOLDER_SLOTS(caller_jobs), {0,         NULL                   }
};

static PyType_Spec caller_jobs_spec = {
    .name = "nbactors.speedups._compiled.CallerJobsBase",
    .basicsize = sizeof(CallerJobsBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = caller_jobs_slots,
};

CallerJobsBase *
jobs_of(PyObject *connection)
{
    PyObject *jobs = PyObject_GetAttr(connection, name_jobs);
    if (jobs == NULL) {
        PyErr_Clear();
        return NULL;
    }
    CallerJobsBase *table = (CallerJobsBase *)jobs;
    if (!PyObject_TypeCheck(jobs, caller_jobs_type) || table->events == NULL || table->waiting == NULL ||
        table->running == NULL || !PyDict_CheckExact(table->waiting) || !PyDict_CheckExact(table->running)) {
        Py_DECREF(jobs);
        return NULL;
    }
    return table;
}

/* -------------------------------------------------------------------------------------------------------- lookouts */

typedef struct {
    PyObject_HEAD
    PyObject *catch_up;
    double ended, unread;
    char is_shut_to_tasks;
} LookoutBase;

HOLDER(LookoutBase, lookout, catch_up, catch_up)

static PyMemberDef lookout_members[] = {
    {"_catch_up", T_OBJECT_EX, offsetof(LookoutBase, catch_up), 0, NULL},
    {"_ended", T_DOUBLE, offsetof(LookoutBase, ended), 0, NULL},
    {"_unread_s", T_DOUBLE, offsetof(LookoutBase, unread), 0, NULL},
    {"is_shut_to_tasks", T_BOOL, offsetof(LookoutBase, is_shut_to_tasks), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Do what `Job.begin` does. 1: done. 0: this is not the usual case, and nothing was done. */
static int
begin(JobBase *job, Layout *layout)
{
    CallerJobsBase *jobs = jobs_of(job->connection);
    if (jobs == NULL) {
        return 0;
    }
    PyObject *number = field(job->message, layout->number);
    int is_done = 0;
    if (PyDict_GetItemWithError(jobs->waiting, number) == (PyObject *)job &&
        PyDict_Contains(jobs->running, number) == 0 && /* no other job is let go, whose finalizers might run */
        PyDict_SetItem(jobs->running, number, (PyObject *)job) == 0) {
        is_done = PyDict_DelItem(jobs->waiting, number) == 0;
        job->since = monotonic();
    }
    Py_DECREF(jobs);
    PyErr_Clear();
    return is_done;
}

PyDoc_STRVAR(pop_doc, "Take the first job out of a queue, and begin it. Return None, with nothing done, if there is\n"
                      "none or this is not the usual case.");

static PyObject *
lookout_pop(LookoutBase *self, PyObject *queue)
{
    Py_ssize_t count = PyObject_Size(queue);
    PyObject *job = count > 0 ? PySequence_GetItem(queue, 0) : NULL;
    if (job == NULL) {
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    Layout *layout = usual_layout(job);
    if (layout != NULL && ((JobBase *)job)->read_at >= self->ended &&
        !(self->is_shut_to_tasks && ((JobBase *)job)->is_task) && begin((JobBase *)job, layout)) {
        PyObject *popped = PyObject_CallMethodNoArgs(queue, name_popleft);
        if (popped == NULL) {
            Py_DECREF(job);
            return NULL;
        }
        Py_DECREF(popped);
        return job;
    }
    Py_DECREF(job);
    Py_RETURN_NONE;
}

/* Return the function that counts a job of a busy worker, a new reference; None if the job is not counted; NULL,
 * without an exception, if this is not the usual case. */
static PyObject *
counter_of(JobBase *job, Layout *layout, CallerJobsBase *jobs)
{
    PyObject *submitted = field(job->message, layout->submitted);
    if (!PyFloat_CheckExact(submitted) || job->failure != Py_None) {
        return NULL;
    }
    if (PyFloat_AS_DOUBLE(submitted) == 0.0 || jobs->events == Py_None) {
        Py_INCREF(Py_None);
        return Py_None;
    }
    PyObject *recorder = PyObject_GetAttr(jobs->events, name_recorder);
    PyObject *count = recorder == NULL ? NULL : PyObject_GetAttr(recorder, name_count_fast);
    Py_XDECREF(recorder);
    if (count == Py_None) {
        Py_CLEAR(count);
    }
    PyErr_Clear();
    return count;
}

PyDoc_STRVAR(finish_doc, "Do what `Job.end` and `after` do; return what `after` returns. Return None, with nothing\n"
                         "done, if this is not the usual case.");

static PyObject *
lookout_finish(LookoutBase *self, PyObject *object)
{
    Layout *layout = usual_layout(object);
    JobBase *job = (JobBase *)object;
    CallerJobsBase *jobs = layout == NULL ? NULL : jobs_of(job->connection);
    PyObject *count = jobs == NULL ? NULL : counter_of(job, layout, jobs);
    if (count == NULL) {
        Py_XDECREF(jobs);
        Py_RETURN_NONE;
    }
    if (PyDict_DelItem(jobs->running, field(job->message, layout->number))) {
        PyErr_Clear();
    }
    double end = monotonic(), took = end - job->since;
    if (took > self->unread) {
        self->ended = end;
    }
    PyObject *counted = count == Py_None ? NULL : PyObject_CallOneArg(count, job->name);
    int failed = counted == NULL && count != Py_None;
    Py_XDECREF(counted);
    Py_DECREF(count);
    Py_DECREF(jobs);
    return failed ? NULL : PyFloat_FromDouble(took);
}

PyObject *
take_first(PyObject *lookout, PyObject *queue)
{
    if (PyObject_TypeCheck(lookout, lookout_type)) {
        return lookout_pop((LookoutBase *)lookout, queue);
    }
    Py_RETURN_NONE;
}

PyObject *
finish_job(PyObject *lookout, PyObject *job)
{
    if (PyObject_TypeCheck(lookout, lookout_type)) {
        return lookout_finish((LookoutBase *)lookout, job);
    }
    Py_RETURN_NONE;
}

static PyMethodDef lookout_methods[] = {
    {"_pop_quickly",    (PyCFunction)lookout_pop,    METH_O, pop_doc   },
    {"_finish_quickly", (PyCFunction)lookout_finish, METH_O, finish_doc},
    {NULL,              NULL,                        0,      NULL      },
};

PyDoc_STRVAR(lookout_doc, "Begins and ends the jobs of one queue.");

static PyType_Slot lookout_slots[] = {
    {Py_tp_doc,     (void *)lookout_doc},
    HOLDER_SLOTS(lookout), {Py_tp_methods, lookout_methods    },
    {0,             NULL               }
};

static PyType_Spec lookout_spec = {
    .name = "nbactors.speedups._compiled.LookoutBase",
    .basicsize = sizeof(LookoutBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = lookout_slots,
};

/* --------------------------------------------------------------------------------------------------------- messages */

static int
find_all(PyTypeObject *type, Layout *layout)
{
    return find_slot(type, "number", &layout->number) || find_slot(type, "num_returns", &layout->num_returns) ||
           find_slot(type, "name", &layout->name) || find_slot(type, "deps", &layout->deps) ||
           find_slot(type, "rest", &layout->rest) || find_slot(type, "origin", &layout->origin) ||
           find_slot(type, "submitted", &layout->submitted) || find_slot(type, "data", &layout->data);
}

PyDoc_STRVAR(know_doc, "know_jobs(Job, Call, Run, Reply): have the steps here serve these types.");

static PyObject *
know_jobs(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyTypeObject *job, *call, *run, *reply;
    Layout of_call = {.method = -1, .group = -1}, of_run = {.method = -1, .group = -1};
    if (!PyArg_ParseTuple(args, "O!O!O!O!", &PyType_Type, &job, &PyType_Type, &call, &PyType_Type, &run, &PyType_Type,
                          &reply)) {
        return NULL;
    }
    if (!PyType_IsSubtype(job, job_base_type) || job->tp_basicsize != sizeof(JobBase)) {
        PyErr_SetString(PyExc_TypeError, "a Job has the attributes of a JobBase, and no others");
        return NULL;
    }
    if (find_all(call, &of_call) || find_all(run, &of_run) || find_slot(call, "method", &of_call.method) ||
        find_slot(call, "group", &of_call.group)) {
        return NULL;
    }
    of_call.type = call;
    of_run.type = run;
    Py_INCREF(job);
    Py_INCREF(call);
    Py_INCREF(run);
    Py_INCREF(reply); /* for good, as the module */
    job_type = job;
    call_layout = of_call;
    run_layout = of_run;
    reply_type = reply;
    Py_RETURN_NONE;
}

static PyMethodDef functions[] = {
    {"know_jobs", know_jobs, METH_VARARGS, know_doc},
    {NULL,        NULL,      0,            NULL    },
};

int
add_jobs(PyObject *module)
{
    if (intern(&name_count_fast, "count_fast") || intern(&name_jobs, "jobs") || intern(&name_popleft, "popleft") ||
        intern(&name_recorder, "recorder") || intern(&no_text, "")) {
        return -1;
    }
    job_base_type = add_type(module, "JobBase", &job_base_spec);
    caller_jobs_type = job_base_type == NULL ? NULL : add_type(module, "CallerJobsBase", &caller_jobs_spec);
    lookout_type = caller_jobs_type == NULL ? NULL : add_type(module, "LookoutBase", &lookout_spec);
    return lookout_type == NULL || PyModule_AddFunctions(module, functions) ? -1 : 0;
}
