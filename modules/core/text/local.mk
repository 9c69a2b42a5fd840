# modules/core/text
