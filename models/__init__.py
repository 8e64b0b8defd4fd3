"""Numbers to numbers: the models, their tiers and their explanations. No input or output but save and load."""
