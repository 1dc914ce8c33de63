"""A media library in small: a catalogue of files, and the scanner that fills it."""

from medialibrary.catalogue import Catalogue, Library, MediaFile, printable
from medialibrary.scanner import MediaScanner

__all__ = ["Catalogue", "Library", "MediaFile", "MediaScanner", "printable"]
