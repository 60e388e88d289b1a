"""The pool: which container runs which job, and the shell that makes it so."""
