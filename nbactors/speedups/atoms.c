/* Atoms, and the values of objects that are atoms. */
#include "atoms.h"
#include "calls.h"

#include <stdint.h>
#include <string.h>

#define LONGEST 255 /* bytes of a string whose length is one byte in the stream */

enum {
    PROTO = 0x80,
    FRAME = 0x95,
    MEMOIZE = 0x94,
    STOP = '.',
    NONE = 'N',
    YES = 0x88,
    NO = 0x89,
    BYTE = 'K',
    SHORT = 'M',
    INT = 'J',
    FLOAT = 'G',
    BYTES = 'C',
    TEXT = 0x8c,
};

/* Opcodes with their operands, of which the longest are a string's: opcode, length, text, memoize, stop. */
typedef struct {
    unsigned char bytes[LONGEST + 4];
    Py_ssize_t size;
} Opcodes;

static void
add_number(Opcodes *to, int opcode, uint64_t number, int size)
{
    to->bytes[to->size++] = (unsigned char)opcode;
    for (int i = 0; i < size; i++) { /* little-endian */
        to->bytes[to->size++] = (unsigned char)(number >> 8 * i);
    }
}

static void
add_float(Opcodes *to, double number)
{
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    to->bytes[to->size++] = FLOAT;
    for (int shift = 56; shift >= 0; shift -= 8) { /* big-endian */
        to->bytes[to->size++] = (unsigned char)(bits >> shift);
    }
}

/* Add a string. Returns whether it is short enough. */
static int
add_string(Opcodes *to, int opcode, const void *string, Py_ssize_t size)
{
    if (size > LONGEST) {
        return 0;
    }
    add_number(to, opcode, (uint64_t)size, 1);
    memcpy(to->bytes + to->size, string, (size_t)size);
    to->size += size;
    to->bytes[to->size++] = MEMOIZE;
    return 1;
}

/* Add an integer. Returns whether it has 32 bits at most. */
static int
add_integer(Opcodes *to, PyObject *value)
{
    int overflow;
    long number = PyLong_AsLongAndOverflow(value, &overflow);
    if (overflow || number < INT32_MIN || number > INT32_MAX) {
        return 0;
    }
    int is_short = number >= 0 && number <= UINT16_MAX;
    int opcode = !is_short ? INT : number > UINT8_MAX ? SHORT : BYTE;
    add_number(to, opcode, (uint64_t)number, opcode == INT ? 4 : opcode == SHORT ? 2 : 1);
    return 1;
}

static int
add_value(Opcodes *to, PyObject *value)
{
    if (value == Py_None || PyBool_Check(value)) {
        add_number(to, value == Py_None ? NONE : value == Py_True ? YES : NO, 0, 0);
        return 1;
    }
    if (PyLong_CheckExact(value)) {
        return add_integer(to, value);
    }
    if (PyFloat_CheckExact(value)) {
        add_float(to, PyFloat_AS_DOUBLE(value));
        return 1;
    }
    if (PyBytes_CheckExact(value)) {
        return add_string(to, BYTES, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    }
    if (PyUnicode_CheckExact(value) && PyUnicode_IS_COMPACT_ASCII(value)) {
        return add_string(to, TEXT, PyUnicode_1BYTE_DATA(value), PyUnicode_GET_LENGTH(value));
    }
    return 0;
}

PyObject *
dump_atom(PyObject *value)
{
    Opcodes opcodes = {.size = 0}, head = {.size = 0};
    if (!add_value(&opcodes, value)) {
        return NULL;
    }
    opcodes.bytes[opcodes.size++] = STOP;
    add_number(&head, PROTO, 5, 1);
    if (opcodes.size >= 4) { /* `pickle` frames no shorter stream */
        add_number(&head, FRAME, (uint64_t)opcodes.size, 8);
    }
    PyObject *data = PyBytes_FromStringAndSize(NULL, head.size + opcodes.size);
    if (data != NULL) {
        memcpy(PyBytes_AS_STRING(data), head.bytes, (size_t)head.size);
        memcpy(PyBytes_AS_STRING(data) + head.size, opcodes.bytes, (size_t)opcodes.size);
    }
    return data;
}

static uint64_t
number_at(const unsigned char *from, int size)
{
    uint64_t number = 0;
    for (int i = size - 1; i >= 0; i--) {
        number = number << 8 | from[i];
    }
    return number;
}

/* Make a float of 8 bytes, big-endian. */
static PyObject *
float_at(const unsigned char *from)
{
    uint64_t bits = 0;
    double number;
    for (int i = 0; i < 8; i++) {
        bits = bits << 8 | from[i];
    }
    memcpy(&number, &bits, sizeof number);
    return PyFloat_FromDouble(number);
}

/* Make a string of what follows its opcode: the length, the string, and that it is memoized. */
static PyObject *
string_at(int opcode, const unsigned char *from, Py_ssize_t size)
{
    if (size < 2 || size != from[0] + 2 || from[size - 1] != MEMOIZE) {
        return NULL;
    }
    const char *string = (const char *)from + 1;
    return opcode == BYTES ? PyBytes_FromStringAndSize(string, from[0])
                           : PyUnicode_DecodeUTF8(string, from[0], "surrogatepass");
}

/* Unpickle an atom. NULL if these bytes are no atom as `pickle` writes it with protocol 4 or 5, perhaps with an
 * exception: then `pickle` tells what is wrong. */
static PyObject *
load(const unsigned char *bytes, Py_ssize_t size)
{
    if (size < 4 || bytes[0] != PROTO || bytes[1] < 4 || bytes[1] > 5 || bytes[size - 1] != STOP) {
        return NULL;
    }
    const unsigned char *from = bytes + 2;
    if (from[0] == FRAME) {
        if (size < 13 || number_at(from + 1, 8) != (uint64_t)size - 11) {
            return NULL;
        }
        from += 9;
    }
    int opcode = from[0];
    Py_ssize_t left = bytes + size - 1 - ++from; /* of the operands */
    if (left == 0) {
        PyObject *value = opcode == NONE ? Py_None : opcode == YES ? Py_True : opcode == NO ? Py_False : NULL;
        Py_XINCREF(value);
        return value;
    }
    if ((opcode == BYTE && left == 1) || (opcode == SHORT && left == 2)) {
        return PyLong_FromLong((long)number_at(from, (int)left));
    }
    if (opcode == INT && left == 4) {
        return PyLong_FromLong((int32_t)number_at(from, 4));
    }
    if (opcode == FLOAT && left == 8) {
        return float_at(from);
    }
    return opcode == BYTES || opcode == TEXT ? string_at(opcode, from, left) : NULL;
}

/* Unpickle the value of an entry that is READY, with nothing but an atom. NULL, without an exception, if it is not. */
static PyObject *
value_of(PyObject *entry)
{
    if (entry_class.type == NULL || !PyObject_TypeCheck(entry, entry_class.type) ||
        AT(entry, entry_class.state) != numbers[READY] || AT(entry, entry_class.parts) != Py_None) {
        return NULL;
    }
    PyObject *data = AT(entry, entry_class.data);
    if (data == NULL || !PyBytes_CheckExact(data)) {
        return NULL;
    }
    PyObject *value = load((const unsigned char *)PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
    if (value == NULL) {
        PyErr_Clear();
    }
    return value;
}

PyDoc_STRVAR(load_atom_doc, "load_atom(entry): return its value if that is a small one; NotImplemented if not.");

static PyObject *
load_atom(PyObject *Py_UNUSED(module), PyObject *entry)
{
    PyObject *value = value_of(entry);
    if (value == NULL) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    return value;
}

PyDoc_STRVAR(load_atoms_doc,
             "load_atoms(entries): return the values of a list of entries, up to the first that is not a small one.");

static PyObject *
load_atoms(PyObject *Py_UNUSED(module), PyObject *entries)
{
    if (!PyList_CheckExact(entries)) {
        PyErr_SetString(PyExc_TypeError, "load_atoms() takes a list");
        return NULL;
    }
    PyObject *values = PyList_New(0);
    for (Py_ssize_t i = 0; values != NULL && i < PyList_GET_SIZE(entries); i++) {
        PyObject *value = value_of(PyList_GET_ITEM(entries, i));
        if (value == NULL) {
            break;
        }
        if (PyList_Append(values, value)) {
            Py_CLEAR(values);
        }
        Py_DECREF(value);
    }
    return values;
}

PyDoc_STRVAR(dump_doc, "dump_atom(value): pickle a small value; None if it is not one.");

static PyObject *
dump(PyObject *Py_UNUSED(module), PyObject *value)
{
    PyObject *data = dump_atom(value);
    if (data == NULL && !PyErr_Occurred()) {
        Py_RETURN_NONE;
    }
    return data;
}

static PyMethodDef functions[] = {
    {"dump_atom",  dump,       METH_O, dump_doc      },
    {"load_atom",  load_atom,  METH_O, load_atom_doc },
    {"load_atoms", load_atoms, METH_O, load_atoms_doc},
    {NULL,         NULL,       0,      NULL          },
};

int
add_atoms(PyObject *module)
{
    return PyModule_AddFunctions(module, functions);
}
