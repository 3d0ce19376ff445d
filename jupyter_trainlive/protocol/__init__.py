"""The contract as code: job directory, journals, states and their fold, messages.

Everything here needs the standard library only, because it also runs inside training kernels whose
environment has none of this project's dependencies.
"""
