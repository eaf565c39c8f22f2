"""From a finished run and somebody's image to one answer and its pictures, in Python and at the command line."""
