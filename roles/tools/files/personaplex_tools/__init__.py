"""Looks at PersonaPlex on this machine: what is installed, what is served, how it converses. Changes nothing.

Standard library only, but for Opus, for which the virtualenv's own `sphn` is used.
"""
