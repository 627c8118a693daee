"""In: parsed PUBLISH packets and device profiles. Out: raw columns per profile, rejects, status changes.

Never reads a clock, never drops a message without a reason, never trusts a name in a payload over the topic.
"""
