//! Starts and talks to `varde-vision`, the worker that decodes pictures and sound.
