"""From a finished run to a SavedModel that a stock TF Serving serves, with (a, b) still in the caller's hand."""
