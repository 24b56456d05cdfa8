/* Atoms: numbers, short strings, short bytes and None, which need no pickler. The bytes are those of `pickle`. */
#ifndef NBACTORS_ATOMS_H
#define NBACTORS_ATOMS_H

#include "compiled.h"

/* Pickle a value with protocol 5. Returns bytes, a new reference; NULL without an exception if the value is not an atom
 * that is pickled here, NULL with an exception if memory runs out. */
PyObject *dump_atom(PyObject *value);

#endif
