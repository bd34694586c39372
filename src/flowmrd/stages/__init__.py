"""One function per stage: it reads the files of earlier stages, calls the library and writes its own files."""
