"""Whether user code may pickle references by itself, outside of a call or `put`."""

from __future__ import annotations

import os

from nbactors.exceptions.errors import OufOfBandObjectRefSerializationException

MAY = "RAY_allow_out_of_band_object_ref_serialization"
"""The environment variable, of Ray's name, that forbids it if it is 0."""


def is_forbidden() -> bool:
    """Return whether user code may not pickle references."""
    return os.environ.get(MAY) in ("0", "false", "False")


def refusal(object_id: str) -> OufOfBandObjectRefSerializationException:
    """Return the error of user code that pickles a reference and may not."""
    return OufOfBandObjectRefSerializationException(
        f"It is not allowed to pickle ObjectRef({object_id}) outside of a call or put(): the runtime does not see "
        "where such a copy goes, and keeps the object as long as its owner lives. Pass the reference as an "
        f"argument, or set {MAY}=1"
    )
