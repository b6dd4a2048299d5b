"""Instruction datasets from text nobody labelled, by teaching a model to work backwards."""

__version__ = "0.1.0"
