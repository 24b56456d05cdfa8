/* The usual case of `wait`: one of the references to objects of this process is ready, and the others are copied. */
#include "calls.h"

/* Return whether the object of a reference is ready: 1, 0, or -1, without an exception, if this is a stand-in. */
static int
is_ready(PyObject *ref)
{
    PyObject *entry = Py_TYPE(ref) == ref_class.type ? AT(ref, ref_class.entry) : NULL;
    if (entry == NULL || entry_class.type == NULL || !PyObject_TypeCheck(entry, entry_class.type)) {
        return -1;
    }
    PyObject *state = AT(entry, entry_class.state);
    if (state == numbers[PENDING] || state == numbers[ASKED]) {
        return 0;
    }
    return state != NULL && PyLong_CheckExact(state) ? 1 : -1;
}

/* Return the index of the first reference that is ready, the number of all if none is; -1 if this is not the usual
 * case. */
static Py_ssize_t
find_ready(PyObject *refs)
{
    Py_ssize_t index = 0;
    for (; index < PyList_GET_SIZE(refs); index++) {
        int is = is_ready(PyList_GET_ITEM(refs, index));
        if (is) {
            return is < 0 ? -1 : index;
        }
    }
    return index;
}

/* Have two lists exchange their elements. To copy those of a list into one of another type takes twice as long. */
static void
swap(PyObject *one, PyObject *other)
{
    PyListObject *left = (PyListObject *)one, *right = (PyListObject *)other;
    PyObject **items = left->ob_item;
    Py_ssize_t allocated = left->allocated, size = PyList_GET_SIZE(one);
    left->ob_item = right->ob_item;
    left->allocated = right->allocated;
    Py_SET_SIZE(left, PyList_GET_SIZE(other));
    right->ob_item = items;
    right->allocated = allocated;
    Py_SET_SIZE(right, size);
}

/* Split references into the first one that is ready, and the others, while the garbage collector rests. */
static int
split(PyObject *refs, PyObject *ready, PyObject *rest)
{
    Py_ssize_t index = find_ready(refs), count = PyList_GET_SIZE(refs);
    if (index < 0 || PyList_GET_SIZE(rest)) {
        return -1;
    }
    if (index < count && PyList_Append(ready, PyList_GET_ITEM(refs, index))) {
        return -1;
    }
    PyObject *others = PyList_GetSlice(refs, index ? 0 : 1, count);
    if (others == NULL || (index && PyList_SetSlice(others, index, index + 1, NULL))) { /* nothing beyond the end */
        Py_XDECREF(others);
        return -1;
    }
    swap(rest, others);
    Py_DECREF(others);
    return 0;
}

PyDoc_STRVAR(
    split_doc,
    "split_one(refs, kind): return a list of the first reference that is ready, if one is, and the others in a\n"
    "list of this kind. Return None if this is not the usual case.");

static PyObject *
split_one(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    if (count != 2 || !PyType_Check(args[1]) || !PyType_IsSubtype((PyTypeObject *)args[1], &PyList_Type)) {
        PyErr_SetString(PyExc_TypeError, "split_one() takes a list and a kind of list");
        return NULL;
    }
    PyObject *refs = args[0], *ready = NULL, *rest = NULL, *pair = NULL;
    int is_plain = PyList_CheckExact(refs) || (PyObject *)Py_TYPE(refs) == args[1]; /* no other has its own iterator */
    if (!is_plain || !PyList_GET_SIZE(refs)) {
        Py_RETURN_NONE;
    }
    int collects = PyGC_Disable();
    ready = PyList_New(0);
    rest = ready == NULL ? NULL : PyObject_CallNoArgs(args[1]);
    if (rest != NULL && !split(refs, ready, rest)) {
        pair = PyTuple_Pack(2, ready, rest);
    }
    if (collects) {
        PyGC_Enable();
    }
    Py_XDECREF(ready);
    Py_XDECREF(rest);
    if (pair == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return pair;
}

static PyMethodDef functions[] = {
    {"split_one", (PyCFunction)(void (*)(void))split_one, METH_FASTCALL, split_doc},
    {NULL,        NULL,                                   0,             NULL     },
};

int
add_splits(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
