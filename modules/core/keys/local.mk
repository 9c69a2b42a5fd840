# modules/core/keys
