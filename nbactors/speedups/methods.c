/* The methods that calls name: `PerformerBase`, the base of `Performer`; and `LoopPerformerBase`, that of
 * `LoopPerformer`.
 */
#include "jobs.h"

typedef struct {
    PyObject_HEAD
    PyObject *hosted, *output, *title, *memory;
} PerformerBase;

static PyObject *name_await, *name_begin, *name_code, *name_coroutine_code, *name_instance, *name_label, *name_module,
    *name_names, *name_origin, *name_raised, *name_refuse, *name_rest, *name_running;
static PyTypeObject *performer_type;
static PyObject *no_args, *no_kwargs; /* () and {} */

HOLDER(PerformerBase, performer, hosted, memory)

static PyMemberDef performer_members[] = {
    {"hosted", T_OBJECT_EX, offsetof(PerformerBase, hosted), 0, NULL},
    {"_output", T_OBJECT_EX, offsetof(PerformerBase, output), 0, NULL},
    {"title", T_OBJECT_EX, offsetof(PerformerBase, title), 0, NULL},
    {"memory", T_OBJECT_EX, offsetof(PerformerBase, memory), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Return whether two integers are the same small ones. */
static int
are_equal(PyObject *one, PyObject *other)
{
    return one == other ||
           (PyLong_CheckExact(one) && PyLong_CheckExact(other) && PyObject_RichCompareBool(one, other, Py_EQ) == 1);
}

/* Return the name of a job that calls `method`, a new reference, if that has a name already and its title is shown;
 * NULL if not. */
static PyObject *
name_of(PerformerBase *self, JobBase *job, PyObject *method)
{
    PyObject *names = PyObject_GetAttr(self->hosted, name_names);
    PyObject *name = names == NULL || !PyDict_CheckExact(names) ? NULL : PyDict_GetItemWithError(names, method);
    Py_XINCREF(name);
    Py_XDECREF(names);
    if (name == NULL || !PyUnicode_CheckExact(name) || !PyUnicode_CheckExact(job->label)) {
        Py_XDECREF(name);
        return NULL;
    }
    PyObject *label = PyUnicode_GetLength(job->label) ? job->label : name;
    PyObject *shown = PyObject_GetAttr(self->title, name_label);
    int is_shown =
        shown != NULL && (shown == label || (PyUnicode_CheckExact(shown) && PyUnicode_Compare(shown, label) == 0));
    Py_XDECREF(shown);
    if (!is_shown) {
        Py_CLEAR(name);
    }
    return name;
}

/* Do what `_name_quickly` does. 1: done. 0: nothing was done. */
static int
give_name(PerformerBase *self, PyObject *object)
{
    JobBase *job = (JobBase *)object;
    if (usual_layout(object) != &call_layout || !are_whole(&self->hosted, performer_count)) {
        return 0;
    }
    PyObject *message = job->message, *method = field(message, call_layout.method);
    PyObject *origin = is_plain(method) ? PyObject_GetAttr(self->output, name_origin) : NULL;
    int is_there = origin != NULL && are_equal(origin, field(message, call_layout.origin));
    Py_XDECREF(origin);
    PyObject *module = is_there ? PyObject_GetAttr(self->hosted, name_module) : NULL;
    PyObject *name = module == NULL ? NULL : name_of(self, job, method);
    if (name == NULL) {
        Py_XDECREF(module);
        PyErr_Clear();
        return 0;
    }
    if (PyUnicode_GetLength(job->label) == 0) {
        Py_INCREF(name);
        store(&job->label, name);
    }
    store(&job->name, name);
    store(&job->module, module);
    return 1;
}

PyDoc_STRVAR(name_doc, "Give a job its name, label and module. Return False, with nothing done, if this is no call\n"
                       "of a method of the user's, if its title or output is to be set up, or if the method has no\n"
                       "name yet.");

static PyObject *
performer_name(PerformerBase *self, PyObject *job)
{
    return PyBool_FromLong(give_name(self, job));
}

/* Return whether a job whose message is a call has no arguments. */
static int
is_bare(JobBase *job)
{
    PyObject *data = field(job->message, call_layout.data), *deps = job->deps;
    return PyBytes_CheckExact(data) && PyBytes_GET_SIZE(data) == 0 && job->rest == Py_None &&
           (deps == Py_None || (PyList_CheckExact(deps) && PyList_GET_SIZE(deps) == 0) ||
            (PyTuple_CheckExact(deps) && PyTuple_GET_SIZE(deps) == 0));
}

PyDoc_STRVAR(prepare_doc, "Do what `prepare` does for a call of a method of the user's without arguments. Return\n"
                          "None, with nothing done, if this is not the usual case.");

static PyObject *
performer_prepare(PerformerBase *self, PyObject *object)
{
    JobBase *job = (JobBase *)object;
    if (usual_layout(object) != &call_layout || !is_bare(job) || !give_name(self, object)) {
        Py_RETURN_NONE;
    }
    PyObject *instance = PyObject_GetAttr(self->hosted, name_instance);
    PyObject *method = field(job->message, call_layout.method);
    Py_INCREF(method);
    PyObject *function = instance == NULL ? NULL : PyObject_GetAttr(instance, method); /* may run the user's code */
    Py_DECREF(method);
    Py_XDECREF(instance);
    PyObject *all = function == NULL ? NULL : PyTuple_Pack(3, function, no_args, no_kwargs);
    Py_XDECREF(function);
    return all;
}

static PyMethodDef performer_methods[] = {
    {"_name_quickly",    (PyCFunction)performer_name,    METH_O, name_doc   },
    {"_prepare_quickly", (PyCFunction)performer_prepare, METH_O, prepare_doc},
    {NULL,               NULL,                           0,      NULL       },
};

PyDoc_STRVAR(performer_doc, "Finds the methods of calls.");

static PyType_Slot performer_slots[] = {
    {Py_tp_doc,     (void *)performer_doc},
    HOLDER_SLOTS(performer), {Py_tp_methods, performer_methods    },
    {0,             NULL                 }
};

static PyType_Spec performer_spec = {
    .name = "nbactors.speedups._compiled.PerformerBase",
    .basicsize = sizeof(PerformerBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = performer_slots,
};

/* ------------------------------------------------------------------------------------------------------ on event loops
 */

typedef struct {
    PyObject_HEAD
    PyObject *performer, *hosted, *invoke;
    unsigned long main_thread;
} LoopPerformerBase;

HOLDER(LoopPerformerBase, loop_performer, performer, invoke)

static PyMemberDef loop_performer_members[] = {
    {"_performer", T_OBJECT_EX, offsetof(LoopPerformerBase, performer), 0, NULL},
    {"_hosted", T_OBJECT_EX, offsetof(LoopPerformerBase, hosted), 0, NULL},
    {"_invoke", T_OBJECT_EX, offsetof(LoopPerformerBase, invoke), 0, NULL},
    {"_main_thread", T_ULONG, offsetof(LoopPerformerBase, main_thread), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

/* Return whether a job is to be called here: on the main thread, without a limit of memory. */
static int
is_called_here(LoopPerformerBase *self, PyObject *object)
{
    JobBase *job = (JobBase *)object;
    if (usual_layout(object) != &call_layout || !are_whole(&self->performer, loop_performer_count) ||
        job->thread != self->main_thread || job->cancel != Py_None || !is_bare(job) ||
        !PyObject_TypeCheck(self->performer, performer_type)) {
        return 0;
    }
    return ((PerformerBase *)self->performer)->memory == Py_None;
}

/* Return whether what a method has returned is its own coroutine. */
static int
is_coroutine_of(PyObject *function, PyObject *result)
{
    if (!PyCoro_CheckExact(result)) {
        return 0;
    }
    PyObject *code = PyObject_GetAttr(function, name_code);
    PyObject *its = code == NULL ? NULL : PyObject_GetAttr(result, name_coroutine_code);
    Py_XDECREF(code);
    Py_XDECREF(its);
    PyErr_Clear();
    return its != NULL && its == code;
}

/* Call a job's method. Returns the coroutine that completes the job, None if the job is complete; NULL with an
 * exception that is the job's answer. */
static PyObject *
call_method(LoopPerformerBase *self, PyObject *job, PyObject *prepared, PyObject *ends)
{
    if (((JobBase *)job)->cancel != Py_None) { /* it has come meanwhile */
        return PyObject_CallMethodOneArg(self->performer, name_refuse, job);
    }
    PyObject *function = PyTuple_GET_ITEM(prepared, 0), *invoke = Py_NewRef(self->invoke);
    PyObject *result = PyObject_Vectorcall(invoke, ((PyTupleObject *)prepared)->ob_item, 3, NULL);
    Py_DECREF(invoke);
    if (result == NULL) {
        return NULL;
    }
    PyObject *count = field(((JobBase *)job)->message, call_layout.num_returns), *rest;
    if (PyLong_CheckExact(count) && PyLong_AsLong(count) >= 0 && is_coroutine_of(function, result)) {
        PyObject *args[] = {(PyObject *)self, job, result, ends};
        rest = PyObject_VectorcallMethod(name_await, args, 4, NULL);
    } else {
        rest = PyObject_CallMethodObjArgs((PyObject *)self, name_rest, job, function, result, ends, NULL);
    }
    Py_DECREF(result);
    return rest;
}

/* Note that the main thread runs a job no more. An exception that is set stays. */
static void
leave(PyObject *hosted, PyObject *job)
{
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyObject *running = PyObject_GetAttr(hosted, name_running);
    if (running == NULL || (running == job && PyObject_SetAttr(hosted, name_running, Py_None))) {
        PyErr_Clear();
    }
    Py_XDECREF(running);
    PyErr_Restore(type, error, trace);
}

PyDoc_STRVAR(call_doc, "Call a job's method: the usual case here, all others by `begin`. A loop's thread.");

static PyObject *
loop_performer_call(LoopPerformerBase *self, PyObject *const *args, Py_ssize_t count)
{
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "call takes a job and a function");
        return NULL;
    }
    PyObject *job = args[0];
    int is_here = is_called_here(self, job);
    PyErr_Clear();
    if (!is_here) {
        return PyObject_CallMethodObjArgs((PyObject *)self, name_begin, job, args[1], NULL);
    }
    PyObject *hosted = Py_NewRef(self->hosted), *performer = Py_NewRef(self->performer), *rest = NULL;
    int is_set = !PyObject_SetAttr(hosted, name_running, job); /* what SIGINT interrupts */
    PyObject *prepared = is_set ? performer_prepare((PerformerBase *)performer, job) : NULL;
    if (prepared == Py_None) {
        rest = PyObject_CallMethodObjArgs((PyObject *)self, name_begin, job, args[1], NULL);
    } else {
        rest = prepared == NULL ? NULL : call_method(self, job, prepared, args[1]);
        if (rest == NULL) {
            PyObject *outer[3], *error = begin_handling(outer);
            rest = PyObject_CallMethodObjArgs(performer, name_raised, job, error, NULL);
            end_handling(outer);
            Py_DECREF(error);
        }
    }
    Py_XDECREF(prepared);
    leave(hosted, job);
    Py_DECREF(performer);
    Py_DECREF(hosted);
    return rest;
}

static PyMethodDef loop_performer_methods[] = {
    {"call", (PyCFunction)(void (*)(void))loop_performer_call, METH_FASTCALL, call_doc},
    {NULL,   NULL,                                             0,             NULL    },
};

PyDoc_STRVAR(loop_performer_doc, "Calls methods on event loops.");

static PyType_Slot loop_performer_slots[] = {
    {Py_tp_doc,     (void *)loop_performer_doc},
    HOLDER_SLOTS(loop_performer),
    {Py_tp_methods, loop_performer_methods    },
    {0,             NULL                      }
};

static PyType_Spec loop_performer_spec = {
    .name = "nbactors.speedups._compiled.LoopPerformerBase",
    .basicsize = sizeof(LoopPerformerBase),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = loop_performer_slots,
};

int
add_methods(PyObject *module)
{
    no_args = PyTuple_New(0);
    no_kwargs = PyDict_New();
    if (no_args == NULL || no_kwargs == NULL || intern(&name_await, "_await") || intern(&name_begin, "begin") ||
        intern(&name_code, "__code__") || intern(&name_coroutine_code, "cr_code") ||
        intern(&name_instance, "instance") || intern(&name_label, "label") || intern(&name_module, "module") ||
        intern(&name_names, "names") || intern(&name_origin, "descriptors_origin") || intern(&name_raised, "raised") ||
        intern(&name_refuse, "refuse") || intern(&name_rest, "_rest") || intern(&name_running, "running")) {
        return -1;
    }
    performer_type = add_type(module, "PerformerBase", &performer_spec);
    PyTypeObject *type = performer_type == NULL ? NULL : add_type(module, "LoopPerformerBase", &loop_performer_spec);
    Py_XDECREF(type);
    return type == NULL ? -1 : 0;
}
