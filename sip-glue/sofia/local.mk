# sip-glue/sofia
