# sip-glue/host
