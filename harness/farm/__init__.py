"""Farms past one PC: a night whose boards hang on several PCs, by Dask distributed and one database."""
