"""vocabulary: what is to be said and done about each type of alarm, in one table.

In: the name of a type. Out: its words in Vietnamese and English, and who is told of it when. Holds no rule,
never decides whether an alarm is raised.
"""
