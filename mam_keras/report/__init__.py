"""From results to a page: figures, tables, templates. Computes nothing that an analysis could have computed."""
