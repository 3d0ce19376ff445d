"""What runs inside the training process: recorder, control gate, hooks and recipes.

Standard library only, apart from the framework whose hook is used: it also runs in kernels whose
environment has none of this project's dependencies.
"""
