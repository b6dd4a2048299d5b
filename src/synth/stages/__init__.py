"""The verbs: each file is one stage, input -> output."""
