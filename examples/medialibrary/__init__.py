"""A media library in small: a catalogue of files, and the scanner that fills it."""

from medialibrary.catalogue import Catalogue, Library, MediaFile, name_libraries, printable
from medialibrary.scanner import MediaScanner
from medialibrary.settings import (
    PAGE,
    Settings,
    load_settings,
    python_folders,
    settings_from_environment,
)

__all__ = [
    "PAGE",
    "Catalogue",
    "Library",
    "MediaFile",
    "MediaScanner",
    "Settings",
    "load_settings",
    "name_libraries",
    "printable",
    "python_folders",
    "settings_from_environment",
]
