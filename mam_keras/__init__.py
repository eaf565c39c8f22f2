"""Multi-channel attention masks for attribute classifiers (Kimura & Tanaka, arXiv 1904.13078 and 1905.02719).

The folders follow the way of the data: `config` -> `data` -> `model` -> `fit` -> run directory. Importing the
package imports neither TensorFlow nor Keras, so that a mistake in a configuration is reported at once.
"""

__version__ = "0.1.0"
