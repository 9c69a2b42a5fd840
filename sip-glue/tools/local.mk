# sip-glue/tools
