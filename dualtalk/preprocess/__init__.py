"""Preprocessing: from a corpus as published to a store of aligned, validated and split clips."""
