"""s390 and s390_ext, the formats of the stand-alone dump tools."""
