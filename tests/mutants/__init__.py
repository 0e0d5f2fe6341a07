"""Mutation testing: change the code in one place, run the tests that reach the place, and expect one of them to fail.

Why not mutmut or cosmic-ray: mutmut 3 replaces functions by trampolines, so it changes neither decorated functions nor
anything at module or class level, which leaves out all routes, schemas and models of this project. cosmic-ray changes
everything, but starts a new interpreter and the whole test command for each mutant. Neither draws a sample by a seed,
and neither knows SQLAlchemy's method chains, where one call more or less decides about a lock or a permission.
"""
