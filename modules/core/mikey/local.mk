# modules/core/mikey
