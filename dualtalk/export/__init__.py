"""Export of conversations to other programs: game engines, animation suites, spreadsheets and research scripts.

Another package adds a format through the entry-point group `dualtalk.exporters`; see `dualtalk.export.registry`.
"""

from importlib import import_module

# Imported on first use: the registry needs no heavy package, so that the command line can list the formats
# quickly.
_PUBLIC = {
    "EXPORTERS": "dualtalk.export.registry",
    "Exporter": "dualtalk.export.registry",
    "Export": "dualtalk.export.formats",
    "export_conversation": "dualtalk.export.formats",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dualtalk.export' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
