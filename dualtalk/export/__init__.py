"""Conversations for other programs: game engines, animation suites, spreadsheets, scripts of the field.

It stands above `render`, whose colours and placements it uses for the people it exports.
"""

from dualtalk.export.formats import FORMATS, export_conversation

__all__ = ["FORMATS", "export_conversation"]
