/* The module of the compiled part. */
#include "compiled.h"

#define VERSION 2 /* what `speedups/form.py` expects; raised with each change of a function or an attribute */

PyDoc_STRVAR(module_doc, "The compiled part of the path of a call, see `nbactors.speedups`.");

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "nbactors.speedups._compiled",
    .m_doc = module_doc,
    .m_size = -1,
};

PyMODINIT_FUNC
PyInit__compiled(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (module != NULL && (add_answers(module) || add_arrivals(module) || add_connections(module) ||
                           add_handles(module) || add_jobs(module) || add_lanes(module) || add_methods(module) ||
                           add_polling(module) || PyModule_AddIntConstant(module, "VERSION", VERSION))) {
        Py_CLEAR(module);
    }
    return module;
}
