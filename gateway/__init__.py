"""citylight-gateway: street lights and city sensors over MQTT to a store and to the city's IOC.

In: MQTT messages. Out: stored readings and alarms, nothing lost in silence. Never commands a lamp.
"""

__version__ = "0.1.0"
