/* The lanes of actors that run several calls at the same time: `LaneBase`, the base of `LoopLane` and `ThreadLane`. */
#include "lanes.h"
#include "jobs.h"
#include "loops.h"

#include <pythread.h>

#define SHORT 0.001 /* seconds, as in `thread_lane.py` */

typedef struct {
    PyObject_HEAD
    PyObject *queue, *idle, *lookout, *performer, *loop, *current, *active, *perform, *ends;
    unsigned long ident;
    Py_ssize_t limit, room, taken;
    int running, count;
    char started, paused, is_gathering, has_gathered, is_due, is_short, is_watching, is_admitting;
} LaneBase;

static PyObject *name_admit, *name_after, *name_append, *name_end, *name_call, *name_finished, *name_go_on,
    *name_launch, *name_on_idle, *name_put, *name_send, *name_task_ends;
static PyMethodDef task_ends_method;
static PyTypeObject *lane_type;

HOLDER(LaneBase, lane, queue, ends)

static PyMemberDef lane_members[] = {
    {"_jobs", T_OBJECT_EX, offsetof(LaneBase, queue), 0, NULL},
    {"_idle", T_OBJECT_EX, offsetof(LaneBase, idle), 0, NULL},
    {"_lookout", T_OBJECT_EX, offsetof(LaneBase, lookout), 0, NULL},
    {"_performer", T_OBJECT_EX, offsetof(LaneBase, performer), 0, NULL},
    {"loop", T_OBJECT_EX, offsetof(LaneBase, loop), 0, NULL},
    {"_current", T_OBJECT_EX, offsetof(LaneBase, current), 0, NULL},
    {"_active", T_OBJECT_EX, offsetof(LaneBase, active), 0, NULL},
    {"_run", T_OBJECT_EX, offsetof(LaneBase, perform), 0, NULL},
    {"_ident", T_ULONG, offsetof(LaneBase, ident), 0, NULL},
    {"_running", T_INT, offsetof(LaneBase, running), 0, NULL},
    {"_limit", T_PYSSIZET, offsetof(LaneBase, limit), 0, NULL},
    {"_room", T_PYSSIZET, offsetof(LaneBase, room), 0, NULL},
    {"_taken", T_PYSSIZET, offsetof(LaneBase, taken), 0, NULL},
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

/* Make the task that runs the rest of a job, and take its first step at once. `context` is the task's; `is_entered`
 * tells whether it is the current one. Returns 1; 0, with nothing done, if this is not the usual case; -1 with an
 * exception. */
static int
launch(LaneBase *self, JobBase *job, PyObject *rest, PyObject *context, int is_entered)
{
    Step step;
    PyObject *task = self->loop == NULL ? NULL : make_task(self->loop, rest, context, &step);
    if (task == NULL) {
        PyErr_Clear();
        return 0;
    }
    if (step.call == NULL) { /* the loop takes that step: as in `_launch` */
        PyObject *sent = PyObject_CallMethodOneArg(rest, name_send, Py_None);
        Py_XDECREF(sent);
        store(&job->launched, task);
        return sent == NULL ? -1 : 1;
    }
    store(&job->task, task);
    self->room--;
    PyObject *stepped = step.context == context && is_entered ? PyObject_CallNoArgs(step.call)
                                                              : call_in(step.context, step.call, NULL, 0);
    Py_DECREF(step.call);
    Py_DECREF(step.context);
    Py_XDECREF(stepped);
    return stepped == NULL ? -1 : 1;
}

PyDoc_STRVAR(launch_doc, "Do what `_launch` does, and take the task's first step at once. Return False, with nothing\n"
                         "done, if this is not the usual case. The loop's thread.");

static PyObject *
lane_launch(LaneBase *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_launch_quickly takes a job and a coroutine");
        return NULL;
    }
    if (usual_layout(args[0]) == NULL || !PyCoro_CheckExact(args[1])) {
        Py_RETURN_FALSE;
    }
    PyObject *context = PyContext_CopyCurrent();
    int is_done = context == NULL ? -1 : launch(self, (JobBase *)args[0], args[1], context, 0);
    Py_XDECREF(context);
    return is_done < 0 ? NULL : PyBool_FromLong(is_done);
}

/* Begin a job in the current context. Returns 0, or -1 with an exception. */
static int
begin(LaneBase *self, JobBase *job, PyObject *context)
{
    if (self->ends == Py_None) {
        PyObject *ends = PyCFunction_New(&task_ends_method, (PyObject *)self);
        if (ends == NULL) {
            return -1;
        }
        store(&self->ends, ends);
    }
    PyObject *token = PyContextVar_Set(self->current, (PyObject *)job);
    PyObject *args[] = {self->performer, (PyObject *)job, self->ends};
    PyObject *rest = token == NULL ? NULL : PyObject_VectorcallMethod(name_call, args, 3, NULL);
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
    int is_done = launch(self, job, rest, context, 1);
    if (is_done == 0) {
        PyObject *launched = PyObject_CallMethodObjArgs((PyObject *)self, name_launch, job, rest, NULL);
        is_done = launched == NULL ? -1 : 1;
        Py_XDECREF(launched);
    }
    Py_DECREF(rest);
    return is_done < 0 ? -1 : 0;
}

/* Start calls as long as they are the usual case. Returns whether none is left that may begin now: 1, 0, or -1 with an
 * exception. */
static int
admit(LaneBase *self)
{
    while (are_whole(&self->queue, lane_count) && self->running < self->limit && self->room > 0 && !self->paused) {
        PyObject *job = take_first(self->lookout, self->queue);
        if (job == NULL) {
            return -1;
        }
        if (job == Py_None) {
            Py_DECREF(job);
            Py_ssize_t count = PyObject_Size(self->queue);
            return count < 0 ? -1 : count == 0;
        }
        self->running++;
        ((JobBase *)job)->thread = self->ident;
        PyObject *context = PyContext_CopyCurrent();
        int failed = context == NULL || PyContext_Enter(context);
        if (!failed) {
            failed = begin(self, (JobBase *)job, context);
            exit_context(context);
        }
        Py_XDECREF(context);
        Py_DECREF(job);
        if (failed) {
            return -1;
        }
    }
    return 1;
}

/* Have calls that wait, and may run, started in the loop's next turn. Returns 0, or -1 with an exception. */
static int
go_on(LaneBase *self)
{
    Py_ssize_t count =
        !are_whole(&self->queue, lane_count) || self->is_due || self->paused || self->running >= self->limit
            ? 0
            : PyObject_Size(self->queue);
    if (count <= 0) {
        return count < 0 ? -1 : 0;
    }
    PyObject *due = PyObject_CallMethodNoArgs((PyObject *)self, name_go_on);
    Py_XDECREF(due);
    return due == NULL ? -1 : 0;
}

PyDoc_STRVAR(admit_doc, "Start calls up to the limit, and up to `_room` tasks. Return False if the first one that is\n"
                        "left is not the usual case. The loop's thread.");

static PyObject *
lane_admit(LaneBase *self, PyObject *Py_UNUSED(ignored))
{
    self->is_admitting = 1;
    int is_done = admit(self);
    self->is_admitting = 0;
    if (is_done < 0) {
        PyObject *type, *error, *trace;
        PyErr_Fetch(&type, &error, &trace);
        if (go_on(self)) {
            PyErr_Clear(); /* the first exception tells why */
        }
        PyErr_Restore(type, error, trace);
        return NULL;
    }
    return is_done && go_on(self) ? NULL : PyBool_FromLong(is_done);
}

/* Do what `_admit` does. Returns 0, or -1 with an exception. */
static int
admit_all(LaneBase *self)
{
    self->room = self->limit;
    PyObject *is_done = lane_admit(self, NULL);
    if (is_done == Py_False) { /* the first one that is left is not the usual case */
        Py_DECREF(is_done);
        is_done = PyObject_CallMethodNoArgs((PyObject *)self, name_admit);
    }
    Py_XDECREF(is_done);
    return is_done == NULL ? -1 : 0;
}

PyDoc_STRVAR(gather_doc, "Do what `gather` does.");

static PyObject *
lane_gather(LaneBase *self, PyObject *visit)
{
    self->is_gathering = 1;
    PyObject *result = PyObject_CallNoArgs(visit), *outer[3], *error = NULL;
    self->is_gathering = 0;
    if (!self->has_gathered) {
        return result;
    }
    self->has_gathered = 0;
    if (result == NULL) {
        error = begin_handling(outer);
    }
    if (admit_all(self)) {
        Py_CLEAR(result);
    }
    if (error != NULL) {
        end_handling(outer);
        if (PyErr_Occurred()) { /* a later one takes its place */
            Py_DECREF(error);
        } else {
            PyErr_Restore(Py_NewRef((PyObject *)Py_TYPE(error)), error, PyException_GetTraceback(error));
        }
    }
    return result;
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
    } else if (!self->is_due && !self->is_admitting) {
        return PyObject_CallMethodNoArgs(object, name_go_on);
    }
    Py_RETURN_NONE;
}

static PyMethodDef task_ends_method = {"task_ends", lane_task_ends, METH_O, task_ends_doc};

/* Run a job that has begun, on a thread of a pool, and end it. Returns 0, or -1 with an exception. */
static int
serve(LaneBase *self, PyObject *lookout, JobBase *job, unsigned long thread)
{
    self->taken++;
    job->thread = thread;
    PyObject *token = PyContextVar_Set(self->current, (PyObject *)job), *perform = Py_NewRef(self->perform);
    PyObject *ran = token == NULL ? NULL : PyObject_CallOneArg(perform, (PyObject *)job);
    Py_DECREF(perform);
    Py_XDECREF(token);
    Py_XDECREF(ran);
    PyObject *took = ran == NULL ? NULL : finish_job(lookout, (PyObject *)job);
    if (took == Py_None) { /* this is not the usual case */
        Py_DECREF(took);
        PyObject *ended = PyObject_CallMethodNoArgs((PyObject *)job, name_end);
        took = ended == NULL ? NULL : PyObject_CallMethodOneArg(lookout, name_after, (PyObject *)job);
        Py_XDECREF(ended);
    }
    double seconds = took == NULL ? 0.0 : PyFloat_AsDouble(took);
    Py_XDECREF(took);
    self->is_short = seconds < SHORT;
    return PyErr_Occurred() ? -1 : 0;
}

PyDoc_STRVAR(serve_doc,
             "Run calls that wait, as long as there are any and the next one is the usual case. The lookout\n"
             "and the identifier are those of the calling thread, which is in `_active` then.");

static PyObject *
lane_serve(LaneBase *self, PyObject *const *args, Py_ssize_t count)
{
    unsigned long thread = count == 2 ? PyLong_AsUnsignedLong(args[1]) : 0;
    if (count != 2 || PyErr_Occurred()) {
        PyErr_SetString(PyExc_TypeError, "_serve_quickly takes a lookout and an identifier");
        return NULL;
    }
    int failed = 0, has_run = 0;
    while (!failed && are_whole(&self->queue, lane_count) && PySet_CheckExact(self->active)) {
        /* Active before it reads the flag: `Renewal` sets the flag and then reads `runs`, so one sees the other. */
        failed = PySet_Add(self->active, args[1]);
        if (failed || self->paused) {
            break;
        }
        PyObject *job = take_first(args[0], self->queue);
        if (job == Py_None) {
            Py_DECREF(job);
            break;
        }
        has_run = 1;
        failed = job == NULL || serve(self, args[0], (JobBase *)job, thread);
        Py_XDECREF(job);
    }
    if (has_run && !failed && self->current != NULL) {
        PyObject *token = PyContextVar_Set(self->current, Py_None);
        failed = token == NULL;
        Py_XDECREF(token);
    }
    if (failed) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyMethodDef lane_methods[] = {
    {"put_quickly",     (PyCFunction)lane_put,                    METH_O,        put_doc   },
    {"gather_quickly",  (PyCFunction)lane_gather,                 METH_O,        gather_doc},
    {"_admit_quickly",  (PyCFunction)lane_admit,                  METH_NOARGS,   admit_doc },
    {"_launch_quickly", (PyCFunction)(void (*)(void))lane_launch, METH_FASTCALL, launch_doc},
    {"_serve_quickly",  (PyCFunction)(void (*)(void))lane_serve,  METH_FASTCALL, serve_doc },
    {NULL,              NULL,                                     0,             NULL      },
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
    if (intern(&name_admit, "_admit") || intern(&name_after, "after") || intern(&name_append, "append") ||
        intern(&name_end, "end") || intern(&name_call, "call") || intern(&name_finished, "_finished") ||
        intern(&name_go_on, "_go_on") || intern(&name_launch, "_launch") || intern(&name_on_idle, "_on_idle") ||
        intern(&name_put, "put") || intern(&name_send, "send") || intern(&name_task_ends, "_task_ends")) {
        return -1;
    }
    lane_type = add_type(module, "LaneBase", &lane_spec);
    return lane_type == NULL ? -1 : 0;
}
