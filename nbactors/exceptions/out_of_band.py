"""Whether user code may pickle references by itself, outside of a call or `put`."""

from __future__ import annotations

import os

from nbactors.exceptions.errors import OufOfBandObjectRefSerializationException

MAY = "RAY_allow_out_of_band_object_ref_serialization"
"""The environment variable, of Ray's name, that forbids it if it is 0."""


def check(object_id: str) -> None:
    """Check that user code may pickle a reference.

    Raises:
        OufOfBandObjectRefSerializationException: The environment variable says that it may not.
    """
    if os.environ.get(MAY) in ("0", "false", "False"):
        raise OufOfBandObjectRefSerializationException(
            f"It is not allowed to pickle ObjectRef({object_id}) outside of a call or put(): the runtime does not see "
            "where such a copy goes, and keeps the object as long as its owner lives. Pass the reference as an "
            f"argument, or set {MAY}=1"
        )
