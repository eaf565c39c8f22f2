"""Runs that differ in a few settings: trained at equal budget, chosen on validation, compared on test."""
