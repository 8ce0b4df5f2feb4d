"""Readers and writers of files. They know arrays, names and times, and nothing of the types built on them."""
