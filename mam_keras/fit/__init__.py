"""Training: the one loop, its checkpoints, and the command line `python -m mam_keras.fit`."""
