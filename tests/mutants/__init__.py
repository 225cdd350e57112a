"""One-line mutants of a package, each run against the fast tests of its area: `make mutants PACKAGE=… TESTS=…`.

A mutant that no test fails on is a rule that could be lost tomorrow without anybody noticing.

Why a tool of our own: mutmut 3 changes what stands inside functions and leaves out module constants, tables and
decorated functions, where most rules of this program stand; it has no sample, and works on a copy inside the
checkout. cosmic-ray writes each mutant into the checkout and starts a new Python for it, which imports Pulumi for
seconds before the first test. mutatest ends at Python 3.8.
"""
