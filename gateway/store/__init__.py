"""In: batches of readings. Out: the same readings in InfluxDB, in what speaks its language, or in DuckDB.

Never drops: a reading is stored, handed back with the server's words, or not yet taken.
"""
