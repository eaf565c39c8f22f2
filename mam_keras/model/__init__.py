"""The network of Kimura & Tanaka as a Keras functional model with named outputs."""

from mam_keras.model.assembly import build, compile_losses, output_names, parts

__all__ = ["build", "compile_losses", "output_names", "parts"]
