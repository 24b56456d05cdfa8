/* Types whose instances hold objects as attributes. */
#ifndef NBACTORS_HOLDERS_H
#define NBACTORS_HOLDERS_H

#include "compiled.h"

static inline PyObject *
new_holder(PyTypeObject *type, Py_ssize_t first, Py_ssize_t count)
{
    PyObject *self = type->tp_alloc(type, 0);
    if (self != NULL) {
        PyObject **objects = (PyObject **)((char *)self + first);
        for (Py_ssize_t i = 0; i < count; i++) {
            Py_INCREF(Py_None);
            objects[i] = Py_None;
        }
    }
    return self;
}

/* Return whether no attribute was deleted, from Python or by the garbage collector. */
static inline int
are_whole(PyObject **objects, Py_ssize_t count)
{
    for (Py_ssize_t i = 0; i < count; i++) {
        if (objects[i] == NULL) {
            return 0;
        }
    }
    return 1;
}

/* Define what a type of this name needs whose objects lie from `first` to `last`. They begin as None. */
#define HOLDER(Type, name, first, last)                                                                                \
    enum { name##_count = (offsetof(Type, last) - offsetof(Type, first)) / sizeof(PyObject *) + 1 };                   \
    static PyObject *name##_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)                                  \
    {                                                                                                                  \
        (void)args, (void)kwargs;                                                                                      \
        return new_holder(type, offsetof(Type, first), name##_count);                                                  \
    }                                                                                                                  \
    static int name##_traverse(Type *self, visitproc visit, void *arg)                                                 \
    {                                                                                                                  \
        Py_VISIT(Py_TYPE(self));                                                                                       \
        for (int i = 0; i < name##_count; i++) {                                                                       \
            Py_VISIT((&self->first)[i]);                                                                               \
        }                                                                                                              \
        return 0;                                                                                                      \
    }                                                                                                                  \
    static int name##_clear(Type *self)                                                                                \
    {                                                                                                                  \
        for (int i = 0; i < name##_count; i++) {                                                                       \
            Py_CLEAR((&self->first)[i]);                                                                               \
        }                                                                                                              \
        return 0;                                                                                                      \
    }                                                                                                                  \
    static void name##_dealloc(Type *self)                                                                             \
    {                                                                                                                  \
        PyTypeObject *type = Py_TYPE(self);                                                                            \
        PyObject_GC_UnTrack(self);                                                                                     \
        name##_clear(self);                                                                                            \
        type->tp_free(self);                                                                                           \
        Py_DECREF(type);                                                                                               \
    }

/* The slots that `HOLDER` has defined, and the members. */
#define HOLDER_SLOTS(name)                                                                                             \
    {Py_tp_new, name##_new}, {Py_tp_traverse, name##_traverse}, {Py_tp_clear, name##_clear},                           \
        {Py_tp_dealloc, name##_dealloc},                                                                               \
    {                                                                                                                  \
        Py_tp_members, name##_members                                                                                  \
    }

/* Find where an attribute of a type lies that has it in a slot. Returns 0, or -1 with an exception. */
static inline int
find_slot(PyTypeObject *type, const char *name, Py_ssize_t *offset)
{
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    if (descriptor == NULL) {
        return -1;
    }
    PyMemberDef *member =
        Py_IS_TYPE(descriptor, &PyMemberDescr_Type) ? ((PyMemberDescrObject *)descriptor)->d_member : NULL;
    if (member == NULL || member->type != T_OBJECT_EX) {
        PyErr_Format(PyExc_TypeError, "%R has no slot %s", type, name);
        Py_DECREF(descriptor);
        return -1;
    }
    *offset = member->offset;
    Py_DECREF(descriptor);
    return 0;
}

/* Add a type to the module. Returns it, a new reference; or NULL with an exception. */
static inline PyTypeObject *
add_type(PyObject *module, const char *name, PyType_Spec *spec)
{
    PyObject *type = PyType_FromSpec(spec);
    if (type != NULL && PyModule_AddObjectRef(module, name, type)) {
        Py_CLEAR(type);
    }
    return (PyTypeObject *)type;
}

#endif
