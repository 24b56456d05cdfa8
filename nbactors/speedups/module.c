/* The module of the compiled part. */
#include "compiled.h"

PyTypeObject *deque_type;

#define VERSION 4 /* what `speedups/form.py` expects; raised with each change of a function or an attribute */

PyDoc_STRVAR(module_doc, "The compiled part of the path of a call, see `nbactors.speedups`.");

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "nbactors.speedups._compiled",
    .m_doc = module_doc,
    .m_size = -1,
};

/* What the files have, in the order of their names. */
static int (*const add[])(PyObject *) = {
    add_answers, add_arrivals, add_atoms,   add_calls,   add_connections, add_jobs,   add_lanes,
    add_leading, add_loops,    add_methods, add_polling, add_replies,     add_splits, add_tasks,
};

PyMODINIT_FUNC
PyInit__compiled(void)
{
    PyObject *module = PyModule_Create(&definition), *collections = PyImport_ImportModule("collections");
    deque_type = collections == NULL ? NULL : (PyTypeObject *)PyObject_GetAttrString(collections, "deque");
    Py_XDECREF(collections);
    if (deque_type == NULL) {
        Py_CLEAR(module);
    }
    for (size_t i = 0; module != NULL && i < sizeof add / sizeof *add; i++) {
        if (add[i](module)) {
            Py_CLEAR(module);
        }
    }
    if (module != NULL && PyModule_AddIntConstant(module, "VERSION", VERSION)) {
        Py_CLEAR(module);
    }
    return module;
}
