"""Directing: fine-tuning towards regions that a person marks, beside a control, and the page to do it on."""
