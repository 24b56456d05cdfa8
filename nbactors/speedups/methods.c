/* The methods that calls name: `PerformerBase`, the base of `Performer`. */
#include "jobs.h"

typedef struct {
    PyObject_HEAD
    PyObject *hosted, *output, *title;
} PerformerBase;

static PyObject *name_instance, *name_label, *name_module, *name_names, *name_origin;
static PyObject *no_args, *no_kwargs; /* () and {} */

HOLDER(PerformerBase, performer, hosted, title)

static PyMemberDef performer_members[] = {
    {"hosted", T_OBJECT_EX, offsetof(PerformerBase, hosted), 0, NULL},
    {"_output", T_OBJECT_EX, offsetof(PerformerBase, output), 0, NULL},
    {"title", T_OBJECT_EX, offsetof(PerformerBase, title), 0, NULL},
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

int
add_methods(PyObject *module)
{
    no_args = PyTuple_New(0);
    no_kwargs = PyDict_New();
    if (no_args == NULL || no_kwargs == NULL || intern(&name_instance, "instance") || intern(&name_label, "label") ||
        intern(&name_module, "module") || intern(&name_names, "names") || intern(&name_origin, "descriptors_origin")) {
        return -1;
    }
    PyTypeObject *type = add_type(module, "PerformerBase", &performer_spec);
    Py_XDECREF(type);
    return type == NULL ? -1 : 0;
}
