"""From a stranger's folder or table of images to a configuration, and what was seen on the way. Decodes no image."""
