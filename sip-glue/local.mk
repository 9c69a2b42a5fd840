# sip-glue
