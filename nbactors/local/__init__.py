"""The embedded engine."""

from nbactors.definitions.whole_import import import_whole

import_whole("msgspec")
