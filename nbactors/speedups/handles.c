/* The handles of callbacks that an event loop is about to call: instances of `asyncio.Handle`. */
#include "holders.h"

static PyTypeObject *handle_type; /* NULL before `know_handles` */
static Py_ssize_t callback_at, args_at, loop_at, context_at, cancelled_at, repr_at, traceback_at;

PyDoc_STRVAR(know_doc, "know_handles(Handle): have `new_handle` make handles of this type.");

static PyObject *
know_handles(PyObject *Py_UNUSED(module), PyObject *handle)
{
    if (!PyType_Check(handle)) {
        PyErr_SetString(PyExc_TypeError, "a type is wanted");
        return NULL;
    }
    PyTypeObject *type = (PyTypeObject *)handle;
    if (find_slot(type, "_callback", &callback_at) || find_slot(type, "_args", &args_at) ||
        find_slot(type, "_loop", &loop_at) || find_slot(type, "_context", &context_at) ||
        find_slot(type, "_cancelled", &cancelled_at) || find_slot(type, "_repr", &repr_at) ||
        find_slot(type, "_source_traceback", &traceback_at)) {
        return NULL;
    }
    Py_INCREF(type); /* for good, as the module */
    handle_type = type;
    Py_RETURN_NONE;
}

static void
put(PyObject *handle, Py_ssize_t offset, PyObject *value)
{
    Py_INCREF(value);
    *(PyObject **)((char *)handle + offset) = value;
}

PyDoc_STRVAR(new_doc, "new_handle(callback, args, loop, context): return a handle of a loop without debug mode.\n"
                      "With None for the context, the callback runs in a copy of the current one.");

static PyObject *
new_handle(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (handle_type == NULL || count != 4 || !PyTuple_CheckExact(args[1])) {
        PyErr_SetString(PyExc_TypeError, "new_handle takes a callback, a tuple, a loop and a context");
        return NULL;
    }
    PyObject *context = args[3] == Py_None ? PyContext_CopyCurrent() : Py_NewRef(args[3]);
    PyObject *handle = context == NULL ? NULL : handle_type->tp_alloc(handle_type, 0);
    if (handle != NULL) {
        put(handle, callback_at, args[0]);
        put(handle, args_at, args[1]);
        put(handle, loop_at, args[2]);
        put(handle, context_at, context);
        put(handle, cancelled_at, Py_False);
        put(handle, repr_at, Py_None);
        put(handle, traceback_at, Py_None);
    }
    Py_XDECREF(context);
    return handle;
}

static PyMethodDef functions[] = {
    {"know_handles", know_handles,                            METH_O,        know_doc},
    {"new_handle",   (PyCFunction)(void (*)(void))new_handle, METH_FASTCALL, new_doc },
    {NULL,           NULL,                                    0,             NULL    },
};

int
add_handles(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
