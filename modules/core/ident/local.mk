# modules/core/ident
