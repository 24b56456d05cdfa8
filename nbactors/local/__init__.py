"""The embedded engine."""

from nbactors.local.whole_import import import_whole

import_whole("msgspec")
