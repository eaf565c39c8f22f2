"""Image classifiers that show what they look at: published systems on the same data, loop, analyses and controls.

The folders follow the way of the data: `config` -> `data` -> `systems` -> `fit` -> run directory -> `analysis` ->
`report`, `export`. Importing the package imports neither TensorFlow nor Keras, so that a mistake in a configuration is
reported at once.
"""

__version__ = "0.1.0"
