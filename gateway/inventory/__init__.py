"""In: texts of the city's inventory (CSV, GeoJSON). Out: a validated ``Fleet``, and differences.
Every mistake is reported with file, line, column and remedy, many in one go.
Never keeps state, never guesses a missing reference, never changes a file.
"""
