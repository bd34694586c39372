"""One function a stage: reads the files of earlier stages, calls the library, writes its own files."""
