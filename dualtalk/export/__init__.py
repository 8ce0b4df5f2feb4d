"""Conversations for other programs: game engines, animation suites, spreadsheets, scripts of the field."""

from dualtalk.export.formats import FORMATS, export_conversation

__all__ = ["FORMATS", "export_conversation"]
