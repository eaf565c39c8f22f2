"""All registered layers and losses at once: with this import, Keras loads a model.keras in any process."""

from mam_keras.model import attention, heads, losses, masks, perception, pooling
from mam_keras.model.backbones import blocks, preprocessing

__all__ = ["attention", "blocks", "heads", "losses", "masks", "perception", "pooling", "preprocessing"]
