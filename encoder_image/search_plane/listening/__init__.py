"""What the search log says: which arm of an experiment people click more in, and which queries find too little."""
