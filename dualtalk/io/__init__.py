"""Readers and writers of files, in terms of arrays, names and pyannote.core types. The types of `dualtalk.core`
build on them."""
