"""Files that hold arrays of numbers, read and written part by part, one format a file, behind one `ArrayFile`."""
