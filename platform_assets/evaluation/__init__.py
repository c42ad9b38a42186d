"""The product's own code measured on labelled data: protocols, measures and the reading of data folders."""
