"""Where the parts of a region's mesh listen. istiod and the gateway's administration: inside their namespace only."""

GATEWAY = 8088
GATEWAY_ADMIN = 15000
ISTIOD = 15080
ISTIOD_METRICS = 15014
XDS = 15010
