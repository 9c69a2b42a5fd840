# modules/core/xml
