"""Export of conversations to other programs: game engines, animation suites, spreadsheets and research scripts.

Another package adds a format through the entry-point group `dualtalk.exporters`; see `dualtalk.export.registry`.
"""

from dualtalk.lazy import lazy_attributes

# Imported on first use: the registry needs no heavy package, so that the command line can list the formats
# quickly.
_PUBLIC = {
    "EXPORTERS": "dualtalk.export.registry",
    "Exporter": "dualtalk.export.registry",
    "Export": "dualtalk.export.contents",
    "ExportOptions": "dualtalk.export.contents",
    "export_conversation": "dualtalk.export.formats",
}
__all__ = list(_PUBLIC)
__getattr__ = lazy_attributes(__name__, _PUBLIC)
