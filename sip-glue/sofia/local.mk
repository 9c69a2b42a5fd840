# sip-glue/sofia

# ---- bodies and the offer/answer engine ----
EXTRA_DIST += \
	sip-glue/sofia/engine.h \
	sip-glue/sofia/guard.h \
	sip-glue/sofia/mime.h
# ---- end ----
