"""Descriptions of the user's classes and functions, and the ways in which these are pickled."""
