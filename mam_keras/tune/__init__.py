"""The search for good settings: trials are training runs, Keras Tuner's oracles say which, validation says how good."""
