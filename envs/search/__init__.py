"""Search in text, as Lucene does it: English terms, BM25."""

from .bm25 import Index

__all__ = ["Index"]
