"""The first thing to try: faces that the program draws itself, a training of minutes, and its report."""
