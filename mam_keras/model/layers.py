"""All registered layers and losses at once: with this import, Keras loads a model.keras in any process."""

from mam_keras.model import attention, losses, masks, perception, pooling
from mam_keras.model.backbones import preprocessing

__all__ = ["attention", "losses", "masks", "perception", "pooling", "preprocessing"]
