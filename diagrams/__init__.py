"""Architecture drawings, made from the stack files and the code; none is drawn by hand."""
