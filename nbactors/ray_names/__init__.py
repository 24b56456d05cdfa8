"""Names that programs for Ray use beside the API. `nbactors` imports each at its first use."""
